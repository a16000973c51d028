"""``signalr-bridge tail``: upstream events in a terminal, and in whatever else reads them."""

import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.node_client import NodeClient, NodeClients
from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    ROOT,
    Machine,
    Process,
    app_command,
    clean_environment,
    free_port,
    run_apart,
    run_dev,
)

HANDLERS = ("--handlers", "tests.e2e.watched:chat")
ADDED = r"^\d\d:\d\d:\d\d\.\d{3}  chat +add +ann +\S+ +\d+\.\d ms +200 +tests\.e2e\.watched:add  2, 3 -> 5$"


@pytest.fixture(scope="module")
def dev() -> Iterator[Machine]:
    with run_dev(*HANDLERS) as machine:
        yield machine


@contextmanager
def connected(node: NodeClients, machine: Machine) -> Iterator[NodeClient]:
    client = node.client().start(f"{machine.url}/hubs/chat?userId=ann")
    yield client
    client.stop()


@contextmanager
def tail(url: str, *arguments: str, **environment: str) -> Iterator[Process]:
    with Process("tail", app_command("tail", "--url", url, *arguments), environment) as process:
        yield process


def test_events_are_printed_in_columns(node: NodeClients, dev: Machine) -> None:
    with tail(dev.url) as process, connected(node, dev) as client:
        process.wait_for_line("^TIME +HUB +EVENT +USER +CLIENT +TOOK +CODE +HANDLER  WHAT$")
        assert client.invoke("add", 2, 3) == 5
        process.wait_for_line(ADDED)
        with pytest.raises(Exception, match="Not today"):
            client.invoke("refuse", "Not today.")
        process.wait_for_line('refuse .*"Not today." ! refused: Not today.$')
        with pytest.raises(Exception, match="failed"):
            client.invoke("fail")
        process.wait_for_line("fail .*! failed: RuntimeError$")
        assert "a secret of the log" not in process.output
        assert "\x1b" not in process.output
        process.interrupt()
        assert process.wait() == 0
        assert "Traceback" not in process.output


def test_it_connects_again_and_prints_nothing_twice(node: NodeClients) -> None:
    port, emulator_port = free_port(), free_port()
    url = f"http://localhost:{port}"
    with tail(url) as process:
        process.wait_for_line("The bridge does not answer; trying again.")
        with run_dev(*HANDLERS, port=port, emulator_port=emulator_port) as machine, connected(node, machine) as client:
            client.invoke("add", 2, 3)
            process.wait_for_line(ADDED)
        process.wait_for_line(" disconnected ")
        with run_dev(*HANDLERS, port=port, emulator_port=emulator_port) as machine, connected(node, machine) as client:
            client.invoke("add", 4, 5)
            process.wait_for_line("4, 5 -> 9$")
        assert len(re.findall("2, 3 -> 5", process.output)) == 1
        assert process.alive


def test_with_serve_it_takes_a_setting_and_a_key(node: NodeClients) -> None:
    settings = {"BRIDGE_HANDLERS": "tests.e2e.watched:chat", "BRIDGE_CONSOLE": "true", **NAMED_CLIENTS}
    with run_apart(settings) as machine:
        with connected(node, machine) as client:
            client.invoke("add", 2, 3)
        with tail(machine.url, "--key", API_KEY) as process:
            process.wait_for_line(ADDED)
        with tail(machine.url, SIGNALR_BRIDGE_KEY=API_KEY) as process:
            process.wait_for_line(ADDED)
        for arguments in ([], ["--key", "not-the-key-of-this-bridge"]):
            with tail(machine.url, *arguments) as process:
                assert process.wait() == 1
                assert "--key" in process.lines[-1]
                assert "not-the-key" not in process.output


def test_serve_without_the_setting_shows_nothing() -> None:
    with run_apart({}) as machine, tail(machine.url, "--key", API_KEY) as process:
        assert process.wait() == 1
        assert "BRIDGE_CONSOLE=true" in process.lines[-1]


def test_an_address_that_is_none() -> None:
    with tail("localhost:8080") as process:
        assert process.wait() == 1
        assert process.lines[-1] == "--url is no address such as http://localhost:8080."


def test_colours_and_width_are_those_of_the_terminal(node: NodeClients, dev: Machine) -> None:
    master, slave = pty.openpty()
    environment = clean_environment() | {"TERM": "xterm", "COLUMNS": "150"}
    child = subprocess.Popen(app_command("tail", "--url", dev.url), cwd=ROOT, env=environment, stdout=slave)
    os.close(slave)
    try:
        with connected(node, dev) as client, pytest.raises(Exception, match="x" * 100):
            client.invoke("refuse", "x" * 300)
        shown = read_until(master, "x" * 20)
    finally:
        child.terminate()
        child.wait()
        os.close(master)
    line = next(one for one in shown.splitlines() if "x" * 20 in one)
    assert line.startswith("\x1b[33m")
    plain = re.sub(r"\x1b\[\d*m", "", line)
    assert len(plain) == 150
    assert plain.endswith("…")


def read_until(master: int, words: str) -> str:
    """What comes to the terminal up to the line with these words; ends the wait when nothing comes."""
    shown = b""
    watchdog = threading.Timer(30, os.close, [master])
    watchdog.start()
    try:
        while words.encode() not in shown or not shown.endswith(b"\n"):
            shown += os.read(master, 4096)
    finally:
        watchdog.cancel()
    return shown.decode()
