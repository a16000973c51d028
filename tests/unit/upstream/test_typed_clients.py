"""Senders with the methods of a client's Protocol, and what they send."""

from typing import Any, Protocol

import pytest
from signalr_bridge import outbox
from signalr_bridge.protocol.rest import Action
from signalr_bridge.upstream.outbox import OutboxScope

from tests.unit.upstream.fakes import FakeOutbox, context


class Listener(Protocol):
    async def newMessage(self, name: str, text: str = "") -> None: ...


class ChatClient(Listener, Protocol):
    async def closed(self) -> None: ...
    async def odd(self, *, by_name: int) -> None: ...


async def test_a_method_is_the_target_and_arguments_go_by_position() -> None:
    fake = FakeOutbox()
    clients = context(fake, connection_id="c7", endpoint="eastus").clients.as_(ChatClient)
    await clients.all.newMessage("ann", "hi")
    await clients.caller.newMessage(text="hi", name="ann")
    await clients.users(["ann", "bob"]).newMessage("ann")
    await clients.group("red").closed()
    with OutboxScope(fake):
        await outbox("chat").clients.as_(ChatClient).connection("c7").closed()
    sent = [(one.action, one.user or one.group or one.connection, message) for one, message, _ in fake.performed]
    assert [(action, name, message and (message.target, message.arguments)) for action, name, message in sent] == [
        (Action.SEND_TO_ALL, "", ("newMessage", b'["ann","hi"]')),
        (Action.SEND_TO_CONNECTION, "c7", ("newMessage", b'["ann","hi"]')),
        (Action.SEND_TO_USER, "ann", ("newMessage", b'["ann",""]')),
        (Action.SEND_TO_USER, "bob", ("newMessage", b'["ann",""]')),
        (Action.SEND_TO_GROUP, "red", ("closed", b"[]")),
        (Action.SEND_TO_CONNECTION, "c7", ("closed", b"[]")),
    ]
    assert [endpoint for _, _, endpoint in fake.performed] == [None, "eastus", None, None, None, None]


async def test_what_the_protocol_does_not_say_is_not_sent() -> None:
    fake = FakeOutbox()
    everybody: Any = context(fake).clients.as_(ChatClient).all
    with pytest.raises(AttributeError, match="ChatClient has no method 'send' that a client could be sent"):
        await everybody.send("newMessage")
    with pytest.raises(TypeError, match="missing a required argument: 'name'"):
        await everybody.newMessage()
    with pytest.raises(TypeError, match="too many positional arguments"):
        await everybody.closed(1)
    with pytest.raises(TypeError, match="'odd' has keyword-only ones"):
        await everybody.odd(by_name=1)
    with pytest.raises(TypeError, match="as_ takes a class"):
        context(fake).clients.as_(lambda: None).user("ann")
    assert fake.performed == []
