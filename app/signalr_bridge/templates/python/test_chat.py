"""The chat's test: contexts that record what is sent, without any service."""

import asyncio

import pytest
from signalr_bridge import HubError, Rejected, testing

from chat import chat


def test_a_text_reaches_everybody() -> None:
    context = testing.context(chat, "broadcast", user_id="ann")
    assert asyncio.run(testing.call(chat, "broadcast", "hello", context=context)) == "sent"
    (message,) = testing.sent(context)
    assert (message.to, message.target, message.arguments) == (None, "newMessage", ["ann", "hello"])


def test_an_empty_text_is_refused_with_a_reason() -> None:
    with pytest.raises(HubError, match=r"^The text is empty\.$"):
        asyncio.run(testing.call(chat, "broadcast", " ", context=testing.context(chat, "broadcast")))


def test_a_banned_user_is_sent_away() -> None:
    context = testing.context(chat, user_id="mallory")
    with pytest.raises(Rejected):
        asyncio.run(testing.call(chat, "connected", context=context))
