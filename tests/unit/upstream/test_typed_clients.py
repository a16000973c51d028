"""Senders with the methods of a client's Protocol: what is sent, and what mypy says to it."""

import subprocess
import sys
from pathlib import Path
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


CHECKED = """
from typing import Protocol
from signalr_bridge import Context, outbox

class ChatClient(Protocol):
    async def newMessage(self, name: str, text: str) -> None: ...

async def say(context: Context) -> None:
    await context.clients.as_(ChatClient).all.newMessage("ann", "hi")
    await context.clients.as_(ChatClient).caller.newMessage("ann", text="hi")
    await outbox("chat").clients.as_(ChatClient).group("red").newMessage("ann", "hi")
"""
WRONG = """
async def wrong(context: Context) -> None:
    await context.clients.as_(ChatClient).user("ann").newMessage("ann", 5)
    await context.clients.as_(ChatClient).all.noMessage()
    await outbox("chat").clients.as_(ChatClient).all.newMessage("ann")
    outbox("chat").clients.caller
"""


def test_mypy_takes_a_protocol_and_reports_what_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(CHECKED)
    (tmp_path / "wrong.py").write_text(CHECKED + WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    told = subprocess.run(
        [*command, "--config-file", "", "right.py", "wrong.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = told.stdout.splitlines()
    assert [line for line in lines if line.startswith("right.py")] == []
    first = CHECKED.count("\n") + 3
    assert [line.split(": ", 1)[0] for line in lines] == [f"wrong.py:{first + more}" for more in range(4)]
    assert '"str"' in lines[0], lines
    assert "[attr-defined]" in lines[1], lines
    assert 'Missing positional argument "text"' in lines[2], lines
