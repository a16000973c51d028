var beats = 0;

module.exports = function (context, myTimer) {
    setTimeout(function () {
        beats += 1;
        context.log.verbose('late:', myTimer.isPastDue);
        context.bindings.signalRMessages = JSON.stringify([{ target: 'beat', arguments: [beats] }]);
        context.done();
    }, 10);
};
