module.exports = function (context, req) {
  context.bindings.signalRMessages = [{
    "userId": req.body.recipient,
    "groupName": req.body.groupname,
    "target": "newMessage",
    "arguments": [ req.body ]
  }];
  context.done();
};
