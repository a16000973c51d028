"""``dev --reload``: the next call runs the new code, and whoever is connected does not notice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.node_client import NodeClients
from tests.e2e.processes import Machine, Process, app_command, eventually, free_port, run_dev, wait_until_answered

HANDLER = """
from signalr_bridge import Context, Hub
from words import GREETING

chat = Hub("chat")


@chat.on("greet")
async def greet(context: Context, name: str) -> str:
    return f"{GREETING}, {name}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_chat.py").write_text(HANDLER)
    (tmp_path / "words.py").write_text('GREETING = "Hello"')
    return tmp_path


@pytest.fixture
def dev(folder: Path) -> Iterator[Machine]:
    port, emulator_port = free_port(), free_port()
    ports = ["--port", str(port), "--emulator-port", str(emulator_port)]
    command = app_command("dev", *ports, "--handlers", "my_chat:chat", "--reload")
    with Process("dev --reload", command, {"PYTHONPATH": str(folder)}) as process:
        wait_until_answered(process, f"http://localhost:{port}/health/live")
        yield Machine(port, emulator_port, process, {})


def test_new_code_answers_the_next_call_of_an_old_connection(node: NodeClients, dev: Machine, folder: Path) -> None:
    client = node.client().start(f"{dev.url}/hubs/chat?userId=ann")
    connection_id = client.connection_id
    assert client.invoke("greet", "ann") == "Hello, ann"

    (folder / "my_chat.py").write_text(HANDLER.replace("{name}", "dear {name}"))
    dev.bridge.wait_for_line("^Handlers reloaded: my_chat.py$")
    assert client.invoke("greet", "ann") == "Hello, dear ann"

    (folder / "words.py").write_text('GREETING = "Howdy"')  # of the same length
    dev.bridge.wait_for_line("^Handlers reloaded: words.py$")
    assert client.invoke("greet", "ann") == "Howdy, dear ann"

    (folder / "words.py").write_text('GREETING = "unfinished')
    dev.bridge.wait_for_line("^Handlers not reloaded .words.py., the old ones stay.*SyntaxError.*words.py, line 1")
    assert client.invoke("greet", "ann") == "Howdy, dear ann"

    (folder / "words.py").write_text('GREETING = "Good day"')
    greeting = eventually(
        lambda: one if (one := client.invoke("greet", "ann"))[:4] == "Good" else None, "the new words"
    )
    assert greeting == "Good day, dear ann"
    assert client.connection_id == connection_id
    client.stop()
    dev.bridge.interrupt()
    assert dev.bridge.wait() == 0


def test_without_the_option_nothing_is_watched(node: NodeClients) -> None:
    with run_dev() as machine:
        assert "reloaded" not in machine.bridge.output
