"""The wire of ``serve`` and ``emulator``, at real processes: what is no request, idle connections, and too many."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.e2e.processes import (
    API_KEY,
    Machine,
    Process,
    app_command,
    bridge_settings,
    free_port,
    run_apart,
    wait_until_answered,
)
from tests.e2e.wired import Wire, ask, send

DEFAULT_OF_UVICORN = 5.0
DESCRIPTORS = 256
MESSAGE = '{"target":"noted"}'


@dataclass(frozen=True)
class Kept:
    """A machine, and a connection to each of its servers that has been used once and is kept since."""

    machine: Machine
    bridge: Wire
    emulator: Wire
    since: float


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    with (
        run_apart({"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "chat"}) as machine,
        Wire(machine.bridge_port) as bridge,
        Wire(machine.emulator_port) as emulator,
    ):
        bridge.send(*ask())
        emulator.send(*OF_EMULATOR)
        assert bridge.read() == emulator.read() == (200, None, False)
        yield Kept(machine, bridge, emulator, time.monotonic())


OF_EMULATOR = ("GET /api/health HTTP/1.1", "Host: localhost", "")
NEGOTIATE = ("POST /hubs/chat/negotiate HTTP/1.1", "Host: x")
UPGRADE = ("Connection: Upgrade", "Upgrade: h2c")
NOT_A_REQUEST = (400, "invalid-header", True)
NOT_A_METHOD = (405, "method-not-allowed", True)


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["GET /health/live HTTP/1.1", ""], NOT_A_REQUEST),
        (["GET http://x/health/live HTTP/1.1", ""], NOT_A_REQUEST),
        (["GET /health/live HTTP/1.1", "Host: x", "Host: x", ""], NOT_A_REQUEST),
        (["GET /health/live HTTP/1.0", "Host: x", "Host: y", ""], NOT_A_REQUEST),
        (["GET /health/live HTTP/1.0", ""], (200, None, True)),  # RFC 9112, section 3.2: from HTTP/1.1 on
        *(
            ([*NEGOTIATE, *upgrade, f"Transfer-Encoding: {coding}", "", "0", ""], NOT_A_REQUEST)
            for upgrade in ((), UPGRADE, ("Connection: upgrade", "Upgrade: websocket"))
            for coding in ("gzip", "identity", "xchunked", "chunked, identity")
        ),
        ([*NEGOTIATE, *UPGRADE, "Transfer-Encoding: chunked", "", "0", ""], (200, None, False)),
        (["CONNECT host:443 HTTP/1.1", "Host: host:443", ""], NOT_A_METHOD),
        (["CONNECT [::1]:443 HTTP/1.1", "Host: x", ""], NOT_A_METHOD),
        (["CONNECT /x HTTP/1.1", "Host: x", ""], NOT_A_METHOD),
        (["CONNECT /hubs/chat/send HTTP/1.1", "Host: x", ""], NOT_A_METHOD),
        (["CONNECT host:443 HTTP/1.1", ""], NOT_A_REQUEST),
        (["DELETE /hubs/chat/connections/ HTTP/1.1", "Host: x", f"X-API-Key: {API_KEY}", ""], None),
        (["\x16\x03\x01\x02", ""], NOT_A_REQUEST),
        ([f"GET /{'a' * 33_000} HTTP/1.1", "Host: x", ""], (400, "invalid-name", False)),
        ([f"GET / HTTP/1.1\r\nHost: x\r\nX: {'a' * 100_000}", ""], NOT_A_REQUEST),
        ([*send("x" * 9_000_000)[:-1], "Expect: 100-continue", ""], (413, "body-too-large", True)),
    ],
)
def test_what_is_no_request(kept: Kept, lines: list[str], answer: tuple[int, str | None, bool] | None) -> None:
    with Wire(kept.machine.bridge_port) as wire:
        wire.send(*lines)
        found = wire.read()
        assert found == (answer or (404, "route-not-found", False))
        if found.ends:
            assert wire.read_to_end() == b""
    assert not re.search("Traceback|Exception", kept.machine.bridge.output)


def serve(port: int, emulator_port: int) -> Process:
    settings = bridge_settings(emulator_port) | {"BRIDGE_LIMITS__KEEP_ALIVE_SECONDS": "1"}
    return Process("bridge", bounded("serve", "--port", str(port)), settings)


def bounded(*arguments: str) -> list[str]:
    return ["/bin/sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$0" "$@"', *app_command(*arguments)]


@contextmanager
def run_bounded() -> Iterator[tuple[Process, int, Process, int]]:
    """A bridge and an emulator that may open few files."""
    port, emulator_port = free_port(), free_port()
    with (
        Process("emulator", bounded("emulator", "--port", str(emulator_port))) as emulator,
        serve(port, emulator_port) as bridge,
    ):
        wait_until_answered(bridge, f"http://127.0.0.1:{port}/health/ready")
        yield bridge, port, emulator, emulator_port


def seconds_used(process: Process) -> float:
    return time.clock_gettime(~process.pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names


def test_more_connections_than_files(kept: Kept) -> None:
    del kept  # its connections idle meanwhile
    with run_bounded() as (bridge, port, emulator, emulator_port), ExitStack() as stack:
        for process, number, request in ((bridge, port, ask()), (emulator, emulator_port, OF_EMULATOR)):
            wires = [stack.enter_context(Wire(number)) for _ in range(2 * DESCRIPTORS)]
            for one in wires[-32:]:
                one.send(*request)
                assert one.read().status == 200, "the oldest idle ones have made room"
            assert wires[0].read_to_end() == b""
            assert len(os.listdir(f"/proc/{process.pid}/fd")) < DESCRIPTORS

        busy = [stack.enter_context(Wire(port)) for _ in range(DESCRIPTORS // 2)]
        for one in busy:
            one.send(*send(MESSAGE), body=MESSAGE[:5])
        with Wire(port) as one:
            one.send(*send(MESSAGE), body=MESSAGE)
            assert one.read() == (503, "overloaded", True)
        with Wire(port) as one:
            one.send(*ask())
            assert one.read() == (200, None, True), "health is answered"
        for one in busy:
            one.send(body=MESSAGE[5:])
        assert {one.read() for one in busy} == {(202, None, False)}

        for lines in ((*NEGOTIATE, "Content-Length: 9", ""), (*send(MESSAGE)[:2], "Content-Length: 9", "")):
            for _ in range(DESCRIPTORS):  # from the former to the latter kind, each of them has all places
                stack.enter_context(Wire(port)).send(*lines, body="{")
            with Wire(port) as one:
                one.send(*send(MESSAGE), body=MESSAGE)
                assert one.read() == (202, None, False), "a body that does not come takes no caller's place"

        before = [seconds_used(one) for one in (bridge, emulator)]
        with Wire(port) as one:
            one.send(*ask())
            assert one.read().status == 200
            assert one.read_to_end() == b"", "a connection is kept as long as the setting says"
        after = [seconds_used(one) for one in (bridge, emulator)]
        assert max(used - was for was, used in zip(before, after, strict=True)) < 0.5, "nothing turns in a circle"
    for process in (bridge, emulator):
        warnings = [line for line in process.lines if '"warning"' in line or '"error"' in line]
        assert len([line for line in warnings if "limit of open files" in line]) == 1, warnings


def test_idle_connections_are_kept_longer_than_other_programs_keep_theirs(kept: Kept) -> None:
    """nginx, ALB and Go keep theirs for 60 to 90 s. The test waits longer than the default of uvicorn."""
    time.sleep(max(0.0, kept.since + DEFAULT_OF_UVICORN + 0.5 - time.monotonic()))
    kept.bridge.send(*ask())
    kept.emulator.send(*OF_EMULATOR)
    assert kept.bridge.read() == kept.emulator.read() == (200, None, False)
