import json
import logging
import os

import azure.functions as func

from messages import bp
from chat.text import greet

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(bp)

HUB = "%CHAT_HUB%"
CONNECTION = "AzureSignalRConnectionString"


@app.route(route="index", methods=["GET"])
def index(req: func.HttpRequest) -> func.HttpResponse:
    page = os.path.join(os.path.dirname(os.path.realpath(__file__)), "content", "index.html")
    with open(page, encoding="utf-8") as file:
        return func.HttpResponse(file.read(), mimetype="text/html")


@app.route(route="negotiate", methods=["POST"])
@app.generic_input_binding(
    arg_name="connectionInfo",
    type="signalRConnectionInfo",
    hubName=HUB,
    userId="{headers.x-ms-client-principal-id}",
    connectionStringSetting=CONNECTION,
)
def negotiate(req: func.HttpRequest, connectionInfo) -> func.HttpResponse:
    return func.HttpResponse(connectionInfo)


@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *", run_on_startup=False)
@app.generic_output_binding(arg_name="signalRMessages", type="signalR", hubName=HUB, connectionStringSetting=CONNECTION)
def tick(timer: func.TimerRequest, signalRMessages: func.Out[str]) -> None:
    logging.info("past due: %s, next: %s", timer.past_due, timer.schedule_status["Next"])
    signalRMessages.set(json.dumps({"target": "tick", "arguments": [1]}))


@app.generic_trigger(
    arg_name="invocation",
    type="signalRTrigger",
    hubName=HUB,
    category="connections",
    event="connected",
    connectionStringSetting=CONNECTION,
)
@app.generic_output_binding(arg_name="signalRMessages", type="signalR", hubName=HUB, connectionStringSetting=CONNECTION)
def connected(invocation: str, signalRMessages: func.Out[str], context: func.Context) -> None:
    told = json.loads(invocation)
    logging.info("%s: %s is connected", context.function_name, told["ConnectionId"])
    signalRMessages.set(
        json.dumps(
            {
                "target": "newConnection",
                "arguments": [{"connectionId": told["ConnectionId"], "text": greet(told["UserId"])}],
            }
        )
    )


@app.generic_trigger(
    arg_name="invocation",
    type="signalRTrigger",
    hubName=HUB,
    category="connections",
    event="disconnected",
    connectionStringSetting=CONNECTION,
)
def disconnected(invocation) -> None:
    logging.info("%s is disconnected", json.loads(invocation)["ConnectionId"])


def on(event, **more):
    """What a function of the hub has in front of it."""

    def decorate(function):
        function = app.generic_output_binding(
            arg_name="signalRMessages", type="signalR", hubName=HUB, connectionStringSetting=CONNECTION
        )(function)
        return app.generic_trigger(
            arg_name="invocation",
            type="signalRTrigger",
            hubName=HUB,
            category="messages",
            event=event,
            connectionStringSetting=CONNECTION,
            **more,
        )(function)

    return decorate


def say(told, text, **to):
    return {
        "target": "newMessage",
        "arguments": [{"sender": told["UserId"], "connectionId": told["ConnectionId"], "text": text}],
        **to,
    }


@on("broadcast", parameterNames=["message"])
async def broadcast(invocation: str, message: str, signalRMessages: func.Out[str]):
    told = json.loads(invocation)
    signalRMessages.set(json.dumps([say(told, message)]))
    return {"sent": len(message), "by": told["UserId"]}


@on("sendToGroup")
def send_to_group(invocation, signalRMessages: func.Out[str]) -> None:
    told = json.loads(invocation)
    group, text = told["Arguments"]
    signalRMessages.set(json.dumps(say(told, text, groupName=group)))


@on("sendToUser")
def send_to_user(invocation, signalRMessages: func.Out[str]) -> None:
    told = json.loads(invocation)
    user, text = told["Arguments"]
    signalRMessages.set(json.dumps(say(told, text, userId=user)))


@on("sendToConnection")
def send_to_connection(invocation, signalRMessages: func.Out[str]) -> None:
    told = json.loads(invocation)
    connection, text = told["Arguments"]
    signalRMessages.set(json.dumps(say(told, text, connectionId=connection)))


@on("joinGroup")
def join_group(invocation, signalRMessages: func.Out[str]) -> None:
    connection, group = json.loads(invocation)["Arguments"]
    signalRMessages.set(json.dumps({"connectionId": connection, "groupName": group, "action": "add"}))


@on("leaveGroup")
def leave_group(invocation, signalRMessages: func.Out[str]) -> None:
    connection, group = json.loads(invocation)["Arguments"]
    signalRMessages.set(json.dumps({"connectionId": connection, "groupName": group, "action": "remove"}))


@on("joinUserToGroup")
def join_user_to_group(invocation, signalRMessages: func.Out[str]) -> None:
    user, group = json.loads(invocation)["Arguments"]
    signalRMessages.set(json.dumps({"userId": user, "groupName": group, "action": "add"}))


@on("leaveUserFromGroup")
def leave_user_from_group(invocation, signalRMessages: func.Out[str]) -> None:
    user, group = json.loads(invocation)["Arguments"]
    signalRMessages.set(json.dumps({"userId": user, "groupName": group, "action": "remove"}))


@on("fail")
def fail(invocation, signalRMessages: func.Out[str]) -> None:
    raise ValueError("a secret of the app")
