import json

import azure.functions as func


def main(invocation, messages: func.Out[str]) -> None:
    told = json.loads(invocation)
    message = {"sender": "chat", "text": f"welcome {told['UserId']}"}
    messages.set(json.dumps({"target": "newMessage", "connectionId": told["ConnectionId"], "arguments": [message]}))
