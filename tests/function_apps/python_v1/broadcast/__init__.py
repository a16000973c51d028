import json

import azure.functions as func

from . import beats


def main(myTimer: func.TimerRequest) -> str:
    return json.dumps({"target": "beat", "arguments": [beats.count()]})
