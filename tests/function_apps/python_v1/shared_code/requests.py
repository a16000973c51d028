import json

import azure.functions as func


def send(req: func.HttpRequest, res: func.Out[func.HttpResponse], signalRMessages: func.Out[str]) -> None:
    body = req.get_json()
    message = {"target": "newMessage", "arguments": [body]}
    message |= {"groupName": body["groupname"]} if body.get("groupname") else {}
    message |= {"userId": body["recipient"]} if body.get("recipient") else {}
    signalRMessages.set(json.dumps(message))
    res.set(func.HttpResponse("sent", status_code=202))
