"""Which room a user is led to."""


def find_room(user: str) -> str:
    return f"room of {user}"
