"""The page about handlers: its examples run and are typed, and it names everything that authors talk back with."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from signalr_bridge import Context, Hub
from signalr_bridge.upstream.hub_api import Clients, Connections, Groups, Users
from signalr_bridge.upstream.python.handler import read_handlers
from signalr_bridge.upstream.python.hub_lifespan import read_functions
from signalr_bridge.upstream.python.threads import Threads
from signalr_bridge.upstream.recipients import Recipients

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/handlers.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PARTS = {"clients.": Clients, "groups.": Groups, "users.": Users, "connections.": Connections, "….": Recipients}


def hubs_of(example: str) -> list[Hub]:
    module: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "docs/handlers.md", "exec"), module)
    made = [one() for one in module.values() if isinstance(one, type) and issubclass(one, Hub) and one is not Hub]
    return [*made, *(one for one in module.values() if isinstance(one, Hub))]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_a_hub(example: str) -> None:
    hubs = hubs_of(example)
    assert hubs
    for hub in hubs:
        assert read_handlers(hub, Threads())
        read_functions(hub, Threads())


RIGHT = """
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


@pytest.mark.slow
def test_mypy_takes_the_examples_and_reports_what_a_protocol_does_not_say(tmp_path: Path) -> None:
    files = {f"example_{number}.py": example for number, example in enumerate(EXAMPLES)}
    files |= {"right.py": RIGHT, "wrong.py": RIGHT + WRONG}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--no-error-summary", *files]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = told.stdout.splitlines()
    first = RIGHT.count("\n") + 3
    assert [line.split(": ", 1)[0] for line in lines] == [f"wrong.py:{first + more}" for more in range(4)], told
    assert 'incompatible type "int"; expected "str"' in lines[0], lines
    assert '"ChatClient" has no attribute "noMessage"' in lines[1], lines
    assert 'Missing positional argument "text"' in lines[2], lines
    assert 'has no attribute "caller"' in lines[3], lines


def public(part: type) -> set[str]:
    return {name for name in dir(part) if not name.startswith("_")}


def test_everything_that_authors_talk_back_with_is_there() -> None:
    fields = {"outbox", "hub", "caller_id", "endpoint", "operations"}
    face = {f"{prefix}{name}" for prefix, part in PARTS.items() for name in public(part) - fields} - {"clients.as_"}
    named = set(re.findall(r"^\| `(\S+?\.\w+)", PAGE, re.MULTILINE))
    assert len(face) == 18
    assert named == face
    assert "`as_` stands on `context.clients`" in PAGE


def test_what_a_context_has_is_there() -> None:
    table = PAGE.partition("| `context.` |")[2].partition("\n\n")[0]
    told = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    attributes = set(re.findall(r"^        (\w+): ", Context.__doc__ or "", re.MULTILINE)) | public(Context)
    ours = {"sent_arguments", "negotiation_mark", "outbox", "clients", "groups", "users", "connections"}
    assert told == attributes - ours
