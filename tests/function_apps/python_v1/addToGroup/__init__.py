import azure.functions as func

from ..shared_code import actions as group_actions


def main(req: func.HttpRequest, actions: func.Out[str]) -> str:
    actions.set(group_actions.write("add", req.get_json()))
    return "added"
