"""When an event is posted again, and when not: each rule with the number of requests that the backend saw."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Sequence
from io import BufferedIOBase
from typing import Any

import pytest
from signalr_bridge.errors import Overloaded, Rejected
from signalr_bridge.protocol.rest import Action
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import Failed, answer_message
from signalr_bridge.upstream.forward.backends import FAILURES_TO_OPEN, OPEN_SECONDS
from signalr_bridge.upstream.forward.formats import BackendFailed, BackendUnavailable, CircuitOpen, NoResponse, NotSent
from signalr_bridge.upstream.forward.queue import Backlog, PerConnectionQueue
from standardwebhooks import Webhook

from tests.contract.upstream.backend import Backend, Call, Script, answer, raw
from tests.contract.upstream.forwarding import SECRETS, World, forwarding
from tests.unit.observed import Recorder
from tests.unit.upstream.fakes import Caller, FakeOutbox, context

PROBLEM = "Content-Type: application/problem+json"
REFUSAL = answer(403, b'{"detail":"You are banned."}', PROBLEM)


def connected(outbox: FakeOutbox | None = None, connection_id: str = "c1") -> Context:
    return context(outbox, category="connections", event="connected", connection_id=connection_id)


def disconnected(connection_id: str = "c1") -> Context:
    return context(category="connections", event="disconnected", connection_id=connection_id)


def in_turn(*scripts: Script) -> Script:
    """The first call is answered by the first script, and so on; the last one stays."""
    left, lock = list(scripts), threading.Lock()

    def play(call: Call, output: BufferedIOBase) -> None:
        with lock:
            script = left.pop(0) if len(left) > 1 else left[0]
        script(call, output)

    return play


def ids(calls: Sequence[Call]) -> set[str]:
    return {call.headers["webhook-id"] for call in calls}


def port_of_nobody() -> tuple[int, str]:
    with Backend(answer(204)) as gone:
        return gone.server_address[1], gone.url


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (answer(429), BackendUnavailable),
        (answer(500), BackendUnavailable),
        (answer(503, b"", "Retry-After: 0"), BackendUnavailable),
        (answer(404), BackendFailed),
        (raw(b""), NoResponse),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"), NoResponse),
        (raw(b"no HTTP\r\n\r\n"), BackendFailed),
    ],
)
async def test_a_message_that_may_have_arrived_is_posted_once(script: Script, kind: type[BackendFailed]) -> None:
    with Backend(script) as backend:
        async with forwarding(backend.url) as forward:
            with pytest.raises(kind):
                await forward.answer(context())
        assert len(backend.calls) == 1


async def test_a_message_whose_answer_is_late_is_posted_once() -> None:
    released = threading.Event()
    with Backend(lambda call, output: (released.wait(5), None)[1]) as backend:
        async with forwarding(backend.url, timeout_seconds=0.1) as forward:
            with pytest.raises(NoResponse, match="within"):
                await forward.answer(context())
        assert len(backend.calls) == 1
        released.set()


async def test_a_message_that_was_refused_a_connection_is_tried_again() -> None:
    port, url = port_of_nobody()
    started: list[Backend] = []

    async def start(pauses: list[float]) -> None:
        if len(pauses) == 2:
            started.append(Backend(answer(200, b'{"result":2}'), port).__enter__())

    world = World(before_retry=start)
    try:
        async with forwarding(url, world=world) as forward:
            await forward.answer(context())
        assert len(started[0].calls) == 1
        assert world.pauses == [0.1, 0.2]
    finally:
        for backend in started:
            backend.__exit__()


async def test_and_then_it_is_a_failure() -> None:
    world = World()
    async with forwarding(port_of_nobody()[1], world=world) as forward:
        with pytest.raises(NotSent, match="ConnectFailed"):
            await forward.answer(context())
    assert world.pauses == [0.1, 0.2]


@pytest.mark.parametrize(
    "failing",
    [
        answer(429),
        answer(500),
        answer(503),
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
    ],
)
@pytest.mark.parametrize("event", [connected, disconnected])
async def test_a_connection_event_is_posted_until_it_is_taken(failing: Script, event: Callable[[], Context]) -> None:
    world = World()
    with Backend(in_turn(failing, failing, answer(204))) as backend:
        async with forwarding(backend.url, world=world) as forward:
            await forward.answer(event())
        assert len(backend.calls) == 3
        assert len(ids(backend.calls)) == 1
    assert world.pauses == [0.1, 0.2]
    assert world.backlog.given_up == 0


async def test_each_attempt_has_a_timestamp_and_a_signature_of_its_own() -> None:
    world = World()
    with Backend(in_turn(answer(503, b"", "Retry-After: 30"), answer(204))) as backend:
        async with forwarding(backend.url, world=world) as forward:
            await forward.answer(connected())
        first, second = backend.calls
    assert world.pauses == [30]
    assert first.body == second.body
    assert 29 <= int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) <= 31
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    for call in (first, second):
        for secret in SECRETS:
            Webhook(secret).verify(call.body, call.headers)


@pytest.mark.parametrize(
    "script",
    [answer(404), answer(401), answer(302, b"", "Location: /"), answer(200, b"<html>"), raw(b"no HTTP\r\n\r\n")],
)
async def test_what_the_backend_has_answered_is_not_asked_again(script: Script) -> None:
    world = World()
    with Backend(script) as backend:
        async with forwarding(backend.url, world=world) as forward:
            with pytest.raises(BackendFailed):
                await forward.answer(connected())
        assert len(backend.calls) == 1
    assert world.backlog.given_up == 0


async def test_a_refusal_is_not_asked_again() -> None:
    with Backend(in_turn(answer(500), REFUSAL)) as backend:
        async with forwarding(backend.url) as forward:
            with pytest.raises(Rejected, match="You are banned"):
                await forward.answer(connected())
        assert len(backend.calls) == 2


async def test_tries_end_and_that_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with Backend(answer(500)) as backend:
        async with forwarding(backend.url, world=world, retry_seconds=2) as forward:
            with pytest.raises(BackendUnavailable):
                await forward.answer(connected())
        assert len(backend.calls) == 5  # at 0, 0.1, 0.3, 0.7 and 1.5 s; the next would come after 3.1 s
    assert world.backlog.given_up == 1
    [given_up] = [record for record in caplog.records if record.message == "connection event given up"]
    assert vars(given_up)["webhook_id"] == backend.calls[0].headers["webhook-id"]


async def test_every_time_that_an_event_is_posted_again_is_told() -> None:
    recorder = Recorder()
    with Backend(in_turn(answer(500), answer(502), answer(204))) as backend:
        async with forwarding(backend.url, world=World(observer=recorder), retry_seconds=2) as forward:
            await forward.answer(connected())
    common = {"handler": "forward.test", "hub": "chat", "event": "connected"}
    assert recorder.of("forward_retried") == [
        common | {"reason": "The backend answered 500.", "attempt": 1, "delay": 0.1},
        common | {"reason": "The backend answered 502.", "attempt": 2, "delay": 0.2},
    ]
    told = [facts["result"] for facts in recorder.of("forward_attempted")]
    assert told == ["failed", "failed", "done"]
    assert recorder.of("forward_given_up") == []


async def test_a_rule_may_try_once_only() -> None:
    recorder = Recorder()
    world = World(observer=recorder)
    with Backend(answer(500)) as backend:
        async with forwarding(backend.url, world=world, retry_seconds=0) as forward:
            with pytest.raises(BackendUnavailable):
                await forward.answer(connected())
        assert len(backend.calls) == 1
    assert world.backlog.given_up == 1
    assert recorder.of("forward_given_up") == [{"handler": "forward.test"}]


class Gate:
    """Holds calls up until it is opened."""

    def __init__(self, script: Script) -> None:
        self.script, self.opened = script, threading.Event()

    def __call__(self, call: Call, output: BufferedIOBase) -> None:
        if self.opened.wait(5):
            self.script(call, output)


async def test_after_its_time_the_service_is_answered_and_the_try_goes_on() -> None:
    world, gate = World(), Gate(answer(204))
    with Backend(in_turn(answer(503), gate)) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.2, retry_seconds=3600) as forward:
            await forward.answer(connected())
            assert len(world.backlog) == 1
            gate.opened.set()
            await world.settle()
        assert len(ids(backend.calls)) == 1
    assert world.backlog.given_up == 0


async def test_a_late_refusal_closes_the_connection() -> None:
    world, gate, outbox = World(), Gate(REFUSAL), FakeOutbox()
    with Backend(in_turn(answer(500), gate)) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.2, retry_seconds=3600) as forward:
            await forward.answer(connected(outbox))
            assert outbox.performed == []
            gate.opened.set()
            await world.settle()
    [(operation, _, _)] = outbox.performed
    assert (operation.action, operation.hub, operation.connection) == (Action.CLOSE_CONNECTION, "chat", "c1")
    assert operation.reason == "You are banned."


async def test_a_late_refusal_of_disconnected_closes_nothing() -> None:
    world, gate, outbox = World(), Gate(REFUSAL), FakeOutbox()
    given = context(outbox, category="connections", event="disconnected")
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.1, retry_seconds=3600) as forward:
            await forward.answer(given)
            gate.opened.set()
            await world.settle()
    assert outbox.performed == []


async def test_a_late_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    world, gate = World(), Gate(answer(404))
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.1, retry_seconds=3600) as forward:
            await forward.answer(connected())
            gate.opened.set()
            await world.settle()
    assert "connection event failed late" in caplog.text


async def test_late_outputs_are_sent() -> None:
    world, gate = World(), Gate(answer(200, b'{"outputs":[{"target":"t"}]}'))
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.1, retry_seconds=3600) as forward:
            await forward.answer(connected())
            assert world.outbox.sent == []
            gate.opened.set()
            await world.settle()
    assert world.outbox.sent == [("chat", b'[{"target":"t"}]')]


async def test_messages_wait_behind_it_and_fail_after_their_own_time() -> None:
    world, gate = World(), Gate(answer(204))
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.1, retry_seconds=3600) as forward:
            await forward.answer(connected())
            with pytest.raises(BackendFailed, match="before this one"):
                await forward.answer(context())
            other = asyncio.create_task(forward.answer(context(connection_id="c2")))
            await forward.answer(disconnected())
            assert len(world.backlog) == 2
            assert len(ids([call for call in backend.calls if b'"c1"' in call.body])) == 1, "the others wait"
            gate.opened.set()
            await world.settle()
            await asyncio.gather(other, return_exceptions=True)
        mine = [json.loads(call.body) for call in backend.calls if b'"c1"' in call.body]
    assert [one["event"] for one in {one["id"]: one for one in mine}.values()] == ["connected", "disconnected"]


async def test_lines_are_for_a_backend_and_not_for_a_rule() -> None:
    world, gate = World(), Gate(answer(204))
    with Backend(gate) as slow, Backend(answer(204)) as quick:
        rules: dict[str, dict[str, Any]] = {
            "events": {"url": slow.url + "/events", "category": "connections", "timeout_seconds": 0.1},
            "calls": {"url": slow.url + "/calls", "category": "messages", "timeout_seconds": 0.1},
            "quick": {"url": quick.url, "category": "messages", "hub": "other"},
        }
        async with world.forwards(rules) as [events, calls, elsewhere]:
            await events.answer(connected())
            with pytest.raises(BackendFailed, match="before this one"):
                await calls.answer(context())
            await elsewhere.answer(context())
            gate.opened.set()
            await world.settle()


async def test_lines_are_bounded_and_nothing_is_dropped_in_silence() -> None:
    world, gate = World(backlog=Backlog(PerConnectionQueue(longest=2, most=3))), Gate(answer(204))
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.05, retry_seconds=3600) as forward:
            await forward.answer(connected())
            await forward.answer(disconnected())
            with pytest.raises(Overloaded):
                await forward.answer(disconnected())
            ending = await answer_message(forward, context())
            assert isinstance(ending, Failed)
            assert isinstance(ending.overload, Overloaded)
            await forward.answer(connected(connection_id="c2"))
            with pytest.raises(Overloaded):
                await forward.answer(connected(connection_id="c3"))
            assert world.backlog.given_up == 2
            gate.opened.set()
            await world.settle()
            await forward.answer(connected(connection_id="c3"))
    assert world.backlog.given_up == 2


async def test_what_a_stop_leaves_behind_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge")
    world, gate = World(), Gate(answer(204))
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.05, retry_seconds=3600) as forward:
            await forward.answer(connected())
            await forward.answer(disconnected())
        gate.opened.set()
    assert world.backlog.given_up == 2
    given_up = [vars(record)["reason"] for record in caplog.records if record.message == "connection event given up"]
    assert given_up == ["shutting down"] * 2
    assert vars(caplog.records[-1])["given_up"] == 2
    assert len(world.backlog.queue) == 0


async def test_a_stop_that_leaves_nothing_behind_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge")
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            await forward.answer(connected())
    assert caplog.messages == []


async def test_a_backend_that_does_not_answer_is_left_alone_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    port, url = port_of_nobody()
    world = World()
    async with forwarding(url, world=world) as forward:
        while True:
            try:
                await forward.answer(context())
            except CircuitOpen:
                break
            except NotSent:
                assert len(world.pauses) < 3 * FAILURES_TO_OPEN
        with Backend(answer(204), port) as backend:
            with pytest.raises(CircuitOpen):
                await forward.answer(context())
            assert backend.calls == []
            world.seconds += OPEN_SECONDS
            await forward.answer(context())
            await forward.answer(context())
            assert len(backend.calls) == 2
    spoken = [record.message for record in caplog.records]
    assert spoken == ["backend does not answer and is left alone", "backend answers again"]


async def test_a_connection_event_waits_for_its_retries_while_it_is_left_alone() -> None:
    port, url = port_of_nobody()
    started: list[Backend] = []

    async def start(pauses: list[float]) -> None:
        if sum(pauses) > 10 and not started:
            started.append(Backend(answer(204), port).__enter__())

    world = World(before_retry=start)
    try:
        async with forwarding(url, world=world) as forward:
            await forward.answer(connected())
        assert len(started[0].calls) == 1
        assert world.backlog.given_up == 0
    finally:
        for backend in started:
            backend.__exit__()


async def test_answers_of_any_kind_are_a_sign_of_life() -> None:
    with Backend(answer(500)) as backend:
        async with forwarding(backend.url) as forward:
            for _ in range(2 * FAILURES_TO_OPEN):
                with pytest.raises(BackendUnavailable):
                    await forward.answer(context())
        assert len(backend.calls) == 2 * FAILURES_TO_OPEN


async def test_one_backend_says_nothing_about_another() -> None:
    world = World()
    with Backend(answer(204)) as backend:
        rules = {"gone": {"url": port_of_nobody()[1], "hub": "gone"}, "there": {"url": backend.url}}
        async with world.forwards(rules) as [gone, there]:
            for _ in range(FAILURES_TO_OPEN):
                with pytest.raises(BackendFailed):
                    await gone.answer(context())
            await there.answer(context())


async def test_the_service_is_told_that_too_many_wait() -> None:
    world, gate = World(backlog=Backlog(PerConnectionQueue(longest=1))), Gate(answer(204))
    with Backend(gate) as backend:
        async with forwarding(backend.url, world=world, timeout_seconds=0.05, retry_seconds=3600) as forward:
            caller = Caller(forward)
            assert (await caller.connection("connected")).status == 200
            for number in ("", ',"invocationId":"0"'):
                with pytest.raises(Overloaded) as caught:
                    await caller.message(b'{"type":1,"target":"send","arguments":[]%s}' % number.encode())
                assert (caught.value.status, caught.value.code) == (503, "overloaded")
            with pytest.raises(Overloaded):
                await caller.connection("disconnected")
            gate.opened.set()
            await world.settle()
