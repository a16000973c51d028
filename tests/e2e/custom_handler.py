"""A program as people wrote it for the Functions host: a custom handler with two functions, and nothing of the bridge.

``FUNCTIONS_CUSTOMHANDLER_PORT`` says where to listen. Standard library only.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def broadcast(data: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """function.json: signalRTrigger 'invocation' (parameterNames: message), signalR outputs 'messages' and 'groups'."""
    invocation, text = data["invocation"], json.loads(metadata["message"])
    assert invocation["Headers"]["X-ASRS-User-Id"] == invocation["UserId"]
    message = {"target": "newMessage", "arguments": [invocation["UserId"], text]}
    group = {"userId": invocation["UserId"], "groupName": "speakers", "action": "add"}
    return {
        "Outputs": {"messages": [message], "groups": json.dumps(group)},
        "ReturnValue": f"{invocation['Event']}: {len(text)} characters",
        "Logs": [f"{metadata['sys']['MethodName']} was run"],
    }


def fail(data: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("a secret of the program")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = {"/broadcast": broadcast, "/fail": fail}[self.path](request["Data"], request["Metadata"])
        except RuntimeError as error:
            self.send_error(500, str(error))
            return
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
