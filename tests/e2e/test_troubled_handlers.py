"""Handlers that raise what ends a program, or hold everybody up, in a real ``serve``, which goes on."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.e2e.processes import Process, free_port, run_bridge
from tests.e2e.signed import Service, service_of
from tests.e2e.troubled import KINDS

HUBS = [f"tests.e2e.troubled:{hub}" for hub in ("raising", "filtered", "blocking", "printing")]


class Broken(BaseHTTPRequestHandler):
    """A backend that answers 500."""

    def do_POST(self) -> None:
        self.send_error(500)

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture(scope="module")
def backend() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def bridge(backend: str) -> Iterator[tuple[Process, Service]]:
    port = free_port()
    settings = {
        "BRIDGE_HANDLERS": ",".join(HUBS),
        "BRIDGE_LIMITS__GRACE_SECONDS": "3",
        "BRIDGE_LIMITS__DEADLINE_SECONDS": "0.5",
        "BRIDGE_FORWARD__BROKEN__HUB": "broken",
        "BRIDGE_FORWARD__BROKEN__URL": backend,
        "BRIDGE_FORWARD__BROKEN__UNSIGNED": "true",
    }
    with run_bridge(port, free_port(), settings) as process, service_of(port) as service:
        yield process, service


def read_lines(process: Process, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in process.lines if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_handler_raises_is_a_failed_call(bridge: tuple[Process, Service], kind: str) -> None:
    process, service = bridge
    failed = {"type": 3, "invocationId": "7"}
    for hub, event in [
        ("raising", "raise"),
        ("raising", "raiseLater"),
        ("raising", "raiseInThread"),
        ("raising", "giveBack"),
        ("filtered", "never"),
    ]:
        assert service.invoke(hub, event, kind) == failed | {"error": f"Method '{event}' failed."}, (event, kind)
        if event != "giveBack":
            assert service.send(hub, event, kind).status_code == 500, (event, kind)
    if kind != "cancelled":  # a task that is cancelled is not an error of its group
        error = "Method 'raiseInTask' failed."
        assert service.invoke("raising", "raiseInTask", kind) == failed | {"error": error}
    assert service.connect("raising", f"?kind={kind}").status_code == 500
    refused = service.http.post("/hubs/raising/negotiate", params={"kind": kind}, headers={"X-API-Key": ""})
    assert (refused.status_code, refused.json()["code"]) == (503, "negotiate-failed")
    assert service.connect("raising").status_code == 200
    assert process.alive
    assert read_lines(process, "unhandled error") == []


def test_a_handler_that_holds_everybody_up_is_named_once(bridge: tuple[Process, Service]) -> None:
    process, service = bridge
    with ThreadPoolExecutor(2) as threads:
        events = ("sleepInThread", "wait")
        answers = [*threads.map(lambda event: service.invoke("blocking", event, 1.2)["result"], events)]
    assert answers == ["slept", "waited"]
    assert read_lines(process, "handler holds everybody up") == []
    assert service.invoke("blocking", "sleep", 1.2)["result"] == "slept"
    assert service.http.post("/hubs/blocking/negotiate?seconds=1.2", headers={"X-API-Key": ""}).is_success
    told = process.wait_for(lambda _: _all_told(process), "two functions that were named")
    assert all(line.pop("milliseconds") >= 800 for line in told)
    for line in told:
        del line["timestamp"]
    line = {"message": "handler holds everybody up", "level": "warning", "logger": "signalr_bridge.upstream"}
    assert told == [
        line | {"handler": "tests.e2e.troubled:sleep", "hub": "blocking", "event": "sleep"},
        line | {"handler": "tests.e2e.troubled:ponder", "hub": "blocking", "event": "negotiate"},
    ]


def _all_told(process: Process) -> list[dict[str, Any]] | None:
    told = read_lines(process, "handler holds everybody up")
    return told if len(told) >= 2 else None


def test_a_failure_outside_is_a_line_without_a_stack(bridge: tuple[Process, Service]) -> None:
    process, service = bridge
    for hub, event in (("broken", "anything"), ("printing", "send")):
        assert service.invoke(hub, event)["error"] == f"Method '{event}' failed."
    lines = process.wait_for(
        lambda _: _find_failures(process, "forward.broken", "tests.e2e.troubled:send"), "two lines"
    )
    forward, handler = lines
    assert "exception" not in forward | handler
    assert (forward["error"], forward["reason"]) == ("BackendUnavailable", "The backend answered 500.")
    assert handler["error"] in {"NoEndpointAvailable", "DeliveryFailed"}
    assert re.search(r"\(.*/tests/e2e/troubled\.py, line \d+\)$", handler["reason"])


def _find_failures(process: Process, *handlers: str) -> list[dict[str, Any]] | None:
    found = {line["handler"]: line for line in read_lines(process, "handler failed")}
    return [found[one] for one in handlers] if found.keys() >= set(handlers) else None


def test_what_python_writes_to_standard_error_is_a_line(bridge: tuple[Process, Service]) -> None:
    process, service = bridge
    service.invoke("printing", "warn", "canary\nforged")
    process.wait_for_line("error that nobody can catch")
    (warning,) = [line for line in process.lines if '"py.warnings"' in line]
    assert "UserWarning: canary\\nforged" in warning
    for message in ("error in a thread", "error that nobody can catch"):
        (line,) = read_lines(process, message)
        assert line["exception"].endswith("ValueError: canary\nforged")
    assert "forged" not in [line.strip() for line in process.lines]


def test_timers_and_the_stop_go_on_whatever_their_functions_raise(bridge: tuple[Process, Service]) -> None:
    process, _ = bridge
    assert process.stop() == 0
    failed = [
        (line["handler"].rpartition(":")[2], line["exception"].splitlines()[-1])
        for line in read_lines(process, "every function failed")
    ]
    assert failed.count(("leave", "SystemExit: canary")) > 1
    assert failed.count(("interrupt", "KeyboardInterrupt: canary")) > 1
    (last,) = read_lines(process, "shutdown function failed")
    assert last["exception"].endswith("GeneratorExit: canary")


def test_a_handler_that_cannot_be_cancelled_does_not_keep_the_process() -> None:
    port = free_port()
    settings = {"BRIDGE_HANDLERS": "tests.e2e.troubled:stubborn", "BRIDGE_LIMITS__GRACE_SECONDS": "0"}
    with run_bridge(port, free_port(), settings) as process, service_of(port) as service, ThreadPoolExecutor(1) as one:
        call = one.submit(service.send, "stubborn", "stay")
        process.wait_for_line("staying")
        process.terminate()
        assert process.wait(20) == 0
        assert isinstance(call.exception(), httpx.TransportError)
