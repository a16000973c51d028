module.exports = function (context, invocation) {
    context.done(null, {
        signalRMessages: { target: 'newConnection', arguments: [{ ConnectionId: invocation.ConnectionId }] }
    });
};
