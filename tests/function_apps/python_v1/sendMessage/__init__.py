import json
import logging

import azure.functions as func
from shared_code.actions import MOST


async def main(invocation: str, message: str, messages: func.Out[str], context: func.Context) -> int:
    told = json.loads(invocation)
    if len(message) > MOST:
        raise ValueError("a secret of the app")
    logging.info("%s %s", context.invocation_id, told["ConnectionId"])
    messages.set(
        json.dumps([{"target": "newMessage", "arguments": [{"sender": told["UserId"], "text": message}]}])
    )
    return len(message)
