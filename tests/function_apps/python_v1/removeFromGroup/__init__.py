import azure.functions as func
from __app__.shared_code.actions import write


async def remove(req: func.HttpRequest, actions: func.Out[str]) -> str:
    actions.set(write("remove", req.get_json()))
    return "removed"
