function change(action) {
  return function (context, req) {
    context.bindings.signalRGroupActions = [{
      "userId": req.body.recipient,
      "groupName": req.body.groupname,
      "action": action
    }];
    context.res.status(200).json({ group: req.body.groupname, action: action });
  };
}

module.exports = { run: change("add"), remove: change("remove") };
