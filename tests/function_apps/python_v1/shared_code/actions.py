import json

MOST = 100


def write(action, body):
    return json.dumps({"userId": body["recipient"], "groupName": body["groupname"], "action": action})
