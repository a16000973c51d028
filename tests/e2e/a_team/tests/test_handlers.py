"""The team's own tests."""

import my_chat
import signalr_bridge
from app.chat import chat
from app.rooms import find_room

import app


def test_the_package_is_ours_and_the_bridge_is_the_bridge():
    assert app.__doc__.startswith("The team's application")
    assert isinstance(chat, signalr_bridge.Hub)
    assert isinstance(my_chat.news, signalr_bridge.Hub)


def test_a_room_is_found():
    assert find_room("ann") == "room of ann"
