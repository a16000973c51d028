"""The clients of docs/clients.md, as they stand there, through ``dev --forward`` to a backend of deploy/examples."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.examples import LANGUAGES, run_example
from tests.e2e.node_client import NodeClients
from tests.e2e.processes import E2E, NODE, ROOT, Machine, Process, free_port, run_dev
from tests.install import find
from tests.java import SHORT_LIVED, compile_java, find_class_path

PAGE = (ROOT / "docs/clients.md").read_text("utf-8")
ADDRESS = "http://localhost:8080"


class Forwarding(NamedTuple):
    """``dev --forward``, with the port that it posts to, and the secret that it has made and printed."""

    machine: Machine
    port: int
    secret: str

    @property
    def settings(self) -> dict[str, str]:
        return {"WEBHOOK_SECRET": self.secret, "BRIDGE_URL": self.machine.url}


@pytest.fixture(scope="module")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarding]:
    port, state = free_port(), str(tmp_path_factory.mktemp("state"))
    forward = ("--forward", f"http://localhost:{port}/signalr")
    with run_dev(*forward, settings={"XDG_STATE_HOME": state}) as machine:
        secret = machine.bridge.wait_for_line(r"^Signing secret: (whsec_\S+)")[1]
        yield Forwarding(machine, port, secret)


def block(language: str) -> str:
    """The only block of the page in a language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_backend_answers_with_no_line_of_python(node: NodeClients, forwarding: Forwarding, language: str) -> None:
    with run_example(language, forwarding.port, forwarding.settings) as backend:
        ann = node.client().start(f"{forwarding.machine.url}/hubs/chat?userId=ann")
        backend.wait_for_line("connected: ann")
        assert ann.invoke("broadcast", "hello") == "sent"
        assert ann.message() == ("newMessage", ["ann", "hello"])
        assert ann.invoke("announce", "lunch") == "announced"
        assert ann.message() == ("newMessage", ["announcement", "lunch"])
        ann.stop()
        backend.wait_for_line("disconnected: ann")


def test_the_client_in_javascript(forwarding: Forwarding, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(E2E / "node_modules")
    program = tmp_path / "client.mjs"
    program.write_text(block("js").replace(ADDRESS, forwarding.machine.url), "utf-8")
    run_client([NODE, str(program)], forwarding)


def test_the_client_in_java(forwarding: Forwarding, tmp_path: Path) -> None:
    source = tmp_path / "Client.java"
    source.write_text(block("java").replace(ADDRESS, forwarding.machine.url), "utf-8")
    class_path = find_class_path(block("xml"))
    compile_java(source, tmp_path, class_path)
    run_client([find("java"), SHORT_LIVED, "-cp", f"{class_path}:{tmp_path}", "Client"], forwarding)


def run_client(command: list[str], forwarding: Forwarding) -> None:
    """Run a client: it is connected, gets the message that it has caused, and the answer to its call."""
    with (
        run_example("node", forwarding.port, forwarding.settings) as backend,
        Process("client", command) as client,
    ):
        backend.wait_for_line("^connected: ann$")
        client.wait_for_line("^ann: hello$")
        client.wait_for_line("^sent$")


def test_what_is_only_read_says_so() -> None:
    assert "checked by reading only" in PAGE.partition("## .NET")[2]
    assert block("csharp")
