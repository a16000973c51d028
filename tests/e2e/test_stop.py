"""How ``serve`` stops, at real processes: it drains, then closes its listeners, then waits for what is in flight."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest

from tests.e2e.processes import (
    API_KEY,
    Process,
    eventually,
    free_port,
    run_bridge,
    run_emulator,
)
from tests.e2e.wired import Wire, ask, is_closed, is_stopping, send

SENDERS = 32
MESSAGE = '{"target":"noted"}'
DRAIN = 2.0


@dataclass
class Balancer:
    """Whether a load balancer would open a connection. It asks the bridge every 0.5 s whether it is ready."""

    port: int
    is_up: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.ended.is_set():
            try:
                ready = httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False, timeout=2).is_success
            except httpx.TransportError:
                ready = False
            (self.is_up.set if ready else self.is_up.clear)()
            self.ended.wait(0.5)


@dataclass
class Sender:
    """Sends by a connection that it keeps, or by a new one each time, as long as the balancer lets it open one."""

    balancer: Balancer
    keeps: bool
    accepted: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while connection is not None or (self.balancer.is_up.is_set() and not self.balancer.ended.is_set()):
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.balancer.port, timeout=20)
                connection.request(
                    "POST",
                    "/hubs/chat/send",
                    MESSAGE,
                    {"X-API-Key": API_KEY, "Content-Type": "application/json"},
                )
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None
                continue
            if answer.status == 202:
                self.accepted += 1
            else:
                self.failures.append(f"{answer.status}")
            if answer.will_close or not self.keeps:
                connection.close()
                connection = None
            time.sleep(0.05)


@contextmanager
def under_load(*ports: int) -> Iterator[list[Sender]]:
    """Senders at these listeners, half of them by connections that they keep."""
    balancers = [Balancer(port) for port in ports]
    for one in balancers:
        threading.Thread(target=one.watch, daemon=True).start()
        assert one.is_up.wait(20)
    senders = [Sender(balancers[number % len(ports)], keeps=number % 4 < 2) for number in range(SENDERS)]
    threads = [threading.Thread(target=one.run, daemon=True) for one in senders]
    for thread in threads:
        thread.start()
    try:
        yield senders
        for thread in threads:
            thread.join(20)
    finally:
        for one in balancers:
            one.ended.set()


@contextmanager
def bridge(**settings: str) -> Iterator[tuple[Process, int]]:
    port, emulator_port = free_port(), free_port()
    with (
        run_emulator(emulator_port, f"http://localhost:{port}/upstream"),
        run_bridge(port, emulator_port, {"BRIDGE_LIMITS__DRAIN_SECONDS": str(DRAIN), **settings}) as process,
    ):
        yield process, port


def begin_stop(process: Process, *ports: int) -> None:
    process.terminate()
    for port in ports:
        eventually(partial(is_stopping, port), "503 of /health/ready")


def test_no_request_fails_while_it_stops_under_load() -> None:
    callers = free_port()
    with bridge(BRIDGE_CALLERS__LISTEN=f"127.0.0.1:{callers}", BRIDGE_CONSOLE="true") as (process, public):
        with (
            Wire(public) as idle,
            Wire(callers) as fresh,
            Wire(callers) as half_head,
            Wire(callers) as half_body,
            Wire(callers) as watching,
            under_load(callers) as senders,
        ):
            idle.send(*ask())
            assert idle.read() == (200, None, False)
            watching.send("GET /events HTTP/1.1", "Host: x", f"X-API-Key: {API_KEY}", "")
            half_body.send(*send(MESSAGE), body=MESSAGE[:5])
            eventually(lambda: min(one.accepted for one in senders) > 2 or None, "every sender has sent")

            begin_stop(process, public, callers)
            idle.send(*ask())
            assert idle.read() == (200, None, True), "a connection from before is answered, and its answer ends it"
            fresh.send(*send(MESSAGE), body=MESSAGE)
            assert fresh.read() == (202, None, True)

            half_head.send("GET /health/live HTTP/1.1", "Host: x")
            assert b"200 OK" in watching.read_to_end(), "a stream ends when the listener is closed"
            for port in (public, callers):
                eventually(partial(is_closed, port), "both listeners are closed")
            half_head.send("")
            assert half_head.read() == (200, None, True)
            half_body.send(body=MESSAGE[5:])
            assert half_body.read() == (202, None, True)
        assert process.wait() == 0
    assert [one.failures for one in senders if one.failures] == []
    assert min(one.accepted for one in senders) > 2


@pytest.mark.parametrize("drain", [60, 0])
def test_a_second_signal_ends_it_at_once(drain: int) -> None:
    """While it drains, and in the grace."""
    settings = {"BRIDGE_LIMITS__DRAIN_SECONDS": str(drain), "BRIDGE_LIMITS__GRACE_SECONDS": "60"}
    port = free_port()
    with run_bridge(port, free_port(), settings) as process, Wire(port) as half_body:
        half_body.send(*send(MESSAGE), body=MESSAGE[:5])
        process.terminate()
        eventually(partial(is_stopping if drain else is_closed, port), "the stop has begun")
        process.terminate()
        assert process.wait(15) == 0


def test_a_second_signal_under_load_is_no_defect() -> None:
    """What calls in flight use is closed behind them also then."""
    callers = free_port()
    with bridge(BRIDGE_CALLERS__LISTEN=f"127.0.0.1:{callers}") as (process, public), under_load(callers) as senders:
        eventually(lambda: min(one.accepted for one in senders) > 2 or None, "every sender has sent")
        begin_stop(process, public, callers)
        process.terminate()
        assert process.wait(15) == 0
    assert not re.search("Traceback|Exception", process.output)
    assert not any(one.startswith("500") for sender in senders for one in sender.failures)
