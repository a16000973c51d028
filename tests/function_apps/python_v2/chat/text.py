import os


def greet(user):
    return f"{user} {os.environ['CHAT_GREETING']}"
