import json

import azure.functions as func

bp = func.Blueprint()

HUB = "%CHAT_HUB%"
CONNECTION = "AzureSignalRConnectionString"


@bp.function_name(name="messages")
@bp.route(route="messages", methods=["POST"])
@bp.generic_input_binding(arg_name="endpoints", type="signalREndpoints", hubName=HUB, connectionStringSetting=CONNECTION)
@bp.generic_output_binding(arg_name="signalRMessages", type="signalR", hubName=HUB, connectionStringSetting=CONNECTION)
def send(req: func.HttpRequest, endpoints: str, signalRMessages: func.Out[str]) -> func.HttpResponse:
    try:
        body = req.get_json()
    except ValueError:
        return func.HttpResponse("Write JSON.", status_code=400)
    online = [endpoint for endpoint in json.loads(endpoints) if endpoint["online"]]
    message = {
        "target": "newMessage",
        "arguments": [{"sender": req.params.get("sender"), "text": body["text"]}],
        "endpoints": online,
    }
    if "groupName" in body:
        message["groupName"] = body["groupName"]
    signalRMessages.set(json.dumps(message))
    return func.HttpResponse(
        json.dumps({"endpoints": len(online)}), status_code=202, mimetype="application/json", headers={"X-Sent": "yes"}
    )


@bp.route(route="groups/{group}/users/{user}", methods=["PUT", "DELETE"], auth_level=func.AuthLevel.FUNCTION)
@bp.generic_output_binding(arg_name="signalRGroupActions", type="signalR", hubName=HUB, connectionStringSetting=CONNECTION)
def groups(req: func.HttpRequest, signalRGroupActions: func.Out[str]) -> func.HttpResponse:
    action = "add" if req.method == "PUT" else "remove"
    signalRGroupActions.set(
        json.dumps(
            {"userId": req.route_params["user"], "groupName": req.route_params["group"], "action": action}
        )
    )
    return func.HttpResponse(status_code=204)


@bp.queue_trigger(arg_name="message", queue_name="orders", connection="AzureWebJobsStorage")
def orders(message: func.QueueMessage) -> None:
    raise NotImplementedError
