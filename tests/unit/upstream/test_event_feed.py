"""The feed of upstream events: what each shows, who gets it, and who is let go."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest
from signalr_bridge.errors import BridgeError, HubError, InternalError, NoHandler, Rejected
from signalr_bridge.protocol.upstream_event import MESSAGEPACK
from signalr_bridge.upstream.event_feed import EventFeed, EventRecord, EventStream
from signalr_bridge.wire.exchange import Answer, make_answer

from tests.unit.upstream.fakes import Caller, FakeHandler, event

BEGAN = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
INVOKE = b'{"type":1,"invocationId":"7","target":"send","arguments":["hi",1]}'
SEND = b'{"type":1,"target":"send","arguments":["hi",1]}'
COMMON = {
    "kind": "upstream",
    "replica": "boot",
    "code": None,
    "time": "2026-11-22T10:00:00.123Z",
    "hub": "chat",
    "category": "messages",
    "event": "send",
    "connectionId": "c1",
    "userId": "ann",
    "handler": "my:send",
    "milliseconds": 250.0,
    "status": 200,
}


class Clock:
    """A quarter of a second goes by between two looks."""

    seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 0.25
        return self.seconds


def make_events(**options: Any) -> EventFeed:
    return EventFeed(wall_clock=BEGAN.timestamp, clock=Clock(), boot="boot", **options)


def watched(events: EventFeed, *handlers: FakeHandler, **options: Any) -> Caller:
    return Caller(*handlers, events=events, **options)


def kept(events: EventFeed, after: str | None = None) -> list[dict[str, Any]]:
    """What a newcomer gets at once."""
    with events.listen(after) as listener:
        return [read(line) for line in listener.waiting]


def read(line: bytes) -> dict[str, Any]:
    id, data, *rest = line.decode().split("\n")
    assert (id[:9], data[:6], rest) == ("id: boot-", "data: ", ["", ""])
    value: dict[str, Any] = json.loads(data[6:])
    return value


async def see(handler: FakeHandler | None, body: bytes = INVOKE, **headers: str) -> dict[str, Any]:
    events = make_events()
    caller = watched(events, *([handler] if handler else []))
    with contextlib.suppress(BridgeError):
        await caller.message(body, **({"user_id": "ann"} | headers))
    [shown] = kept(events)
    return shown


async def test_a_message_that_is_answered() -> None:
    shown = await see(FakeHandler({"n": [1]}, source="my:send"))
    assert shown == COMMON | {"arguments": ["hi", 1], "outcome": "returned", "result": {"n": [1]}}


@pytest.mark.parametrize(
    ("ending", "body", "more"),
    [
        ("done", SEND, {"outcome": "returned"}),
        (None, INVOKE, {"outcome": "returned", "result": None}),
        (HubError("Say something."), INVOKE, {"outcome": "refused", "error": "Say something."}),
        (Rejected("no"), SEND, {"outcome": "refused", "error": "no"}),
        (RuntimeError("canary"), INVOKE, {"outcome": "failed", "error": "RuntimeError"}),
        (
            RuntimeError("canary"),
            SEND,
            {"outcome": "failed", "error": "RuntimeError", "status": 500, "code": "internal-error"},
        ),
        (object(), INVOKE, {"outcome": "failed", "error": "PydanticSerializationError"}),
    ],
)
async def test_how_a_message_ends(ending: Any, body: bytes, more: dict[str, Any]) -> None:
    shown = await see(FakeHandler(ending, source="my:send"), body)
    assert shown == COMMON | {"arguments": ["hi", 1]} | more


@pytest.mark.parametrize(
    ("body", "headers", "error", "status"),
    [
        (INVOKE, {}, "no-handler", 404),
        (b"{", {}, "malformed-json", 400),
        (INVOKE, {"event": "other"}, "invalid-header", 400),
        (INVOKE, {"category": "nonsense"}, "no-handler", 404),
        (INVOKE, {"hub": "a/b"}, "invalid-name", 400),
    ],
)
async def test_what_reaches_no_handler(body: bytes, headers: dict[str, str], error: str, status: int) -> None:
    shown = await see(None, body, **headers)
    assert (shown["outcome"], shown["error"], shown["status"], shown["handler"]) == ("rejected", error, status, None)
    assert shown["code"] == error


async def test_the_same_in_messagepack() -> None:
    events = make_events()
    body = msgpack.packb([1, {}, "7", "send", ["hi", b"\xff\xfe"]])
    caller = watched(events, FakeHandler([b"\xff", 1.5], source="my:send"))
    await caller.call(event(user_id="ann"), body, content_type=MESSAGEPACK)
    [shown] = kept(events)
    more = {"arguments": ["hi", "<2 bytes>"], "outcome": "returned", "result": ["<1 bytes>", 1.5]}
    assert shown == COMMON | more


async def test_connections() -> None:
    events = make_events()
    handlers = [FakeHandler(source="my:one"), FakeHandler(source="my:other")]
    caller = watched(events, handlers[0], FakeHandler(category="connections", source="my:other"))
    await caller.connection("connected")
    await caller.connection("disconnected", b'{"type":11,"error":"lost"}')
    opened, closed = kept(events)
    assert opened["handler"] == "my:one, my:other"
    assert ("arguments" in opened, "reason" in opened, "result" in opened) == (False, False, False)
    assert (closed["event"], closed["reason"], closed["outcome"]) == ("disconnected", "lost", "returned")


async def test_a_refused_connection() -> None:
    events = make_events()
    with pytest.raises(BridgeError):
        await watched(events, FakeHandler(Rejected("not here"))).connection("connected")
    [shown] = kept(events)
    assert (shown["outcome"], shown["error"], shown["status"]) == ("refused", "not here", 403)


async def test_nobody_untrusted_is_shown() -> None:
    events = make_events()
    with pytest.raises(BridgeError):
        await watched(events, FakeHandler()).call(event(), INVOKE, x_asrs_signature="sha256=00")
    assert kept(events) == []


async def test_no_secret_is_shown() -> None:
    events = make_events()
    caller = watched(events, FakeHandler(RuntimeError("canary")), codes=["canary"])
    headers = event(claims_line="role: canary", client_query="?access_token=canary&room=canary")
    more = {"authorization": "canary", "cookie": "canary", "x_functions_key": "canary"}
    await caller.call(headers, INVOKE, b"code=canary", **more)
    [shown] = kept(events)
    assert "canary" not in json.dumps(shown)
    assert "canary" not in repr(EventRecord(headers, body=b"canary", answer=b"canary"))


async def test_what_is_shown_is_what_was_said_then() -> None:
    """A handler may go on with its objects: what is shown later is what the client got."""
    events, result = make_events(), ["then"]
    await watched(events, FakeHandler(result)).message(INVOKE)
    result.append("later")
    assert kept(events)[0]["result"] == ["then"]


async def test_long_ones_are_kept_cut() -> None:
    events = make_events()
    body = b'{"type":1,"invocationId":"7","target":"send","arguments":["' + b"x" * 900 + b'"]}'
    await watched(events, FakeHandler(["y" * 100_000] * 100)).message(body)
    with events.listen() as listener:
        [line] = listener.waiting
    assert len(line) < 20_000


async def test_what_cannot_be_shown_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    events = make_events()
    record = EventRecord(event(), outcome="returned")

    async def answer() -> Answer:
        return make_answer(200, b"no completion")

    assert (await events.watch(record, answer())).status == 200
    with events.listen() as listener:
        assert list(listener.waiting) == [b":\n\n"]
    assert "event cannot be shown" in caplog.text


async def test_errors_and_cancellations_pass_through() -> None:
    events = make_events()

    async def fail(error: BaseException) -> Answer:
        raise error

    for error in (InternalError("x"), NoHandler("x"), ValueError("x"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await events.watch(EventRecord(event()), fail(error))
    assert [one["status"] for one in kept(events)] == [500, 404, 500, 500]


async def say(events: EventFeed, *names: str) -> None:
    for name in names:

        async def answer() -> Answer:
            return make_answer(200)

        await events.watch(EventRecord(event(event=name), outcome="returned"), answer())


async def test_newcomers_get_the_last_ones() -> None:
    events = make_events(kept=3)
    await say(events, *"abcde")
    assert [one["event"] for one in kept(events)] == ["c", "d", "e"]


@pytest.mark.parametrize(
    ("after", "names"),
    [
        ("boot-5", ""),
        ("boot-4", "e"),
        ("boot-3", "de"),
        ("boot-1", "cde"),
        ("boot-0", "cde"),
        ("boot-9", ""),
        ("boot-x", "cde"),
        ("boot-²", "cde"),
        ("boot-" + "9" * 5000, "cde"),
        ("another-4", "cde"),
        ("", "cde"),
        ("boot--1", "cde"),
    ],
)
async def test_who_was_here_before_gets_what_is_new(after: str, names: str) -> None:
    events = make_events(kept=3)
    await say(events, *"abcde")
    assert "".join(one["event"] for one in kept(events, after)) == names


async def take(stream: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(stream), 10)


async def test_everybody_gets_what_happens() -> None:
    events = make_events()
    with events.listen() as one, events.listen() as other:
        streams = [aiter(one), aiter(other)]
        for stream in streams:
            assert await take(stream) == b"retry: 1000\n\n"
        waiting = [asyncio.create_task(take(stream)) for stream in streams]
        await asyncio.sleep(0)
        await say(events, "a", "b")
        assert [read(await one)["event"] for one in waiting] == ["a", "a"]
        assert [read(await take(stream))["event"] for stream in streams] == ["b", "b"]


async def test_who_does_not_take_what_comes_is_let_go() -> None:
    events = make_events(most_waiting=3)
    with events.listen() as slow, events.listen() as quick:
        stream = aiter(quick)
        await take(stream)
        for name in "abcdef":
            await say(events, name)
            assert read(await take(stream))["event"] == name
        assert list(slow.waiting) == [], "nothing is kept for it any longer"
        assert [line async for line in slow] == [b"retry: 1000\n\n"]


async def test_a_quiet_stream_has_a_pulse() -> None:
    events = make_events(pulse_seconds=0.01)
    with events.listen() as listener:
        stream = aiter(listener)
        assert [await take(stream) for _ in range(3)] == [b"retry: 1000\n\n", b":\n\n", b":\n\n"]


async def test_streams_end_when_the_process_does() -> None:
    events = make_events()
    with events.listen() as listener:
        lines = asyncio.create_task(collect(listener))
        await asyncio.sleep(0)
        events.close()
        assert await asyncio.wait_for(lines, 10) == [b"retry: 1000\n\n"]
    with events.listen() as late:
        assert await asyncio.wait_for(collect(late), 10) == [b"retry: 1000\n\n"]


async def collect(stream: EventStream) -> list[bytes]:
    return [line async for line in stream]


async def test_who_has_left_is_forgotten() -> None:
    events = make_events()
    with events.listen() as listener:
        pass
    await say(events, "a")
    assert list(listener.waiting) == []
