"""Handlers over HTTP, against a real backend: each row of the table of answers."""

import asyncio
import json
import re
import threading
from contextlib import suppress
from io import BufferedIOBase
from typing import Any

import pytest
from signalr_bridge.endpoints.endpoint import Verdict
from signalr_bridge.endpoints.outcome import SKIPPED, Status
from signalr_bridge.errors import Fault, InvalidItem, NoHandler, Rejected, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Invocation
from signalr_bridge.protocol.upstream_event import MESSAGEPACK, write_messagepack_invocation
from signalr_bridge.upstream.dispatch import Dispatch, Failed, Refused, Returned, answer_message
from signalr_bridge.upstream.forward.backends import LARGEST_ANSWER
from signalr_bridge.upstream.forward.formats import BackendFailed
from signalr_bridge.web.trace import TRACE, Trace
from standardwebhooks import Webhook

from tests.contract.upstream.backend import Backend, Call, Script, answer, raw
from tests.contract.upstream.forwarding import SECRETS, forwarding
from tests.unit.upstream.fakes import ACCEPTED, Caller, FakeOutbox, context, result

PROBLEM = "Content-Type: application/problem+json; charset=utf-8"


async def ask(script: Script, outbox: FakeOutbox | None = None, **rule: Any) -> Any:
    """The result for the client of a backend that does what the script says, as a JSON text."""
    with Backend(script) as backend:
        async with forwarding(backend.url, outbox, **rule) as forward:
            return json_text.encode(await forward.answer(context()))


# --- the call


async def test_the_call_is_signed_for_the_schemes_own_library() -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url, event="send") as forward:
            await forward.answer(context(arguments=["zoë", 2**70], event="Send it/now", invocation_id="0"))
        [call] = backend.calls
    assert (call.method, call.target) == ("POST", "/chat/Send%20it%2Fnow")
    assert call.headers["content-type"] == "application/json"
    for secret in SECRETS:
        body = Webhook(secret).verify(call.body, call.headers)
        assert body["arguments"] == ["zoë", 2**70]
        assert body["id"] == call.headers["webhook-id"]
        assert body["id"].startswith("msg_")


async def test_every_call_has_an_id_of_its_own() -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            await forward.answer(context())
            await forward.answer(context())
        assert len({call.headers["webhook-id"] for call in backend.calls}) == 2


async def test_an_unsigned_rule_says_so() -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url, secrets=[], unsigned=True) as forward:
            await forward.answer(context())
        assert "webhook-signature" not in backend.calls[0].headers
    with pytest.raises(SettingsError, match=r"BRIDGE_FORWARD__TEST__SECRETS: has no secrets"):
        async with forwarding(backend.url, secrets=[]):
            pass


@pytest.mark.parametrize(
    "rule",
    [
        {"hub": "no hub"},
        {"hub": ""},
        {"event": ""},
        {"category": "connections", "event": "send"},
        {"url": "http://b/x-{event}"},
        {"secrets": ["whsec_"]},
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"^BRIDGE_FORWARD__TEST__"):
        async with forwarding("http://b", **rule):
            pass


async def test_the_trace_is_passed_on() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    TRACE.set(Trace("id", trace))
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            await forward.answer(context())
        assert backend.calls[0].headers["traceparent"] == trace


@pytest.mark.parametrize(
    ("event", "target"),
    [
        ("a/../../b", "/chat/a%2F..%2F..%2Fb"),
        ("%2e%2e", "/chat/%252e%252e"),
        ("x?y#z", "/chat/x%3Fy%23z"),
        ("\u4f60 +&=;@:", "/chat/%E4%BD%A0%20%2B%26%3D%3B%40%3A"),
        ("...", "/chat/..."),
    ],
)
async def test_an_event_stays_one_path_segment(event: str, target: str) -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            await forward.answer(context(event=event))
        assert backend.calls[0].target == target


@pytest.mark.parametrize("event", [".", ".."])
async def test_an_event_that_no_url_can_carry(event: str) -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            with pytest.raises(NoHandler):
                await answer_message(forward, context(event=event))
        assert backend.calls == []


async def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Backend(answer(200, b'{"result":"proxy"}')) as proxy, Backend(answer(200, b'{"result":1}')) as backend:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with forwarding(backend.url) as forward:
            assert json_text.encode(await forward.answer(context())) == b"1"
        assert proxy.calls == []


WRITTEN = b'[1.0, -0, 1e2,12345678901234567890123,0.10, 1E+400, {"b":1,"a":"\\u00e9\\/"},"\xc3\xa9"]'
SPELLINGS = [
    b'{"type":1,"invocationId":"7","target":"send","arguments":%s}',
    b'{"Type":1,"Target":"send","more":[1e2],"Arguments" : %s}\x1e',
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("rule", [{}, {"format": "functions", "function": "f"}])
async def test_a_clients_numbers_reach_the_backend_as_they_were_written(spelling: bytes, rule: dict[str, Any]) -> None:
    with Backend(answer(200, b"{}")) as backend:
        async with forwarding(backend.url, **rule) as forward:
            assert (await Caller(forward).message(spelling % WRITTEN)).status == 200
        [call] = backend.calls
    assert b'rguments":' + WRITTEN + b',"' in call.body
    assert Webhook(SECRETS[0]).verify(call.body, call.headers)


async def test_arguments_that_came_in_messagepack_are_written_as_json() -> None:
    with Backend(answer(204)) as backend:
        async with forwarding(backend.url) as forward:
            body = write_messagepack_invocation(Invocation("send", [1.0, b"\x00", 2**63]))
            await Caller(forward).message(body, MESSAGEPACK)
        assert b'"arguments":[1.0,"AA==",9223372036854775808]' in backend.calls[0].body


# --- the answer


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (answer(200, b'{"result":{"n":1.10}}'), b'{"n":1.10}'),
        (answer(200, b'{"result":123456789012345678901234567890}', PROBLEM), b"123456789012345678901234567890"),
        (answer(200, b"{}"), b"null"),
        (answer(200), b"null"),
        (answer(204), b"null"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), b"null"),
        (raw(b'HTTP/1.0 200 OK\r\n\r\n{"result":1}'), b"1"),
    ],
)
async def test_a_success(script: Script, expected: bytes) -> None:
    assert await ask(script) == expected


@pytest.mark.parametrize("status", [400, 403, 409, 422])
async def test_a_refusal_reaches_the_client(status: int) -> None:
    with pytest.raises(Rejected) as caught:
        await ask(answer(status, b'{"detail":"Too late."}', PROBLEM))
    assert caught.value.detail == "Too late."


@pytest.mark.parametrize("status", [201, 202, 301, 302, 303, 307, 308, 401, 404, 429, 500, 502, 503])
async def test_another_status_is_a_failure(status: int) -> None:
    with pytest.raises(BackendFailed, match=str(status)):
        await ask(answer(status, b'{"result":1,"detail":"canary"}', PROBLEM))


async def test_a_redirect_is_not_followed() -> None:
    with Backend(answer(200, b'{"result":"elsewhere"}')) as elsewhere:
        with pytest.raises(BackendFailed, match="307"):
            await ask(answer(307, b"", f"Location: {elsewhere.url}/"))
        assert elsewhere.calls == []


@pytest.mark.parametrize(
    "script",
    [
        raw(b""),
        raw(b"canary\r\n\r\n"),
        raw(b"HTTP/1.1 canary OK\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
        answer(200, b"<html>canary</html>"),
        answer(200, b'{"result":canary}'),
        answer(200, b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"),
        answer(400, b"canary", PROBLEM),
        answer(400, b'{"detail":"canary"}', "Content-Type: application/json"),
    ],
)
async def test_what_does_not_parse_is_a_failure(script: Script) -> None:
    with pytest.raises(BackendFailed) as caught:
        await ask(script)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def endless(call: Call, output: BufferedIOBase) -> None:
    output.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        output.write(b" " * 65_536)


HUGE = raw(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGEST_ANSWER + 1}\r\n\r\n".encode())


@pytest.mark.parametrize("script", [endless, HUGE])
async def test_too_large_an_answer_is_a_failure(script: Script) -> None:
    with pytest.raises(BackendFailed, match="16,777,216 bytes"):
        await ask(script)


async def test_the_largest_answer_is_none() -> None:
    body = b'{"result":"' + b"x" * (LARGEST_ANSWER - 13) + b'"}'
    assert len(await ask(answer(200, body))) == LARGEST_ANSWER - 11


async def test_a_slow_answer_is_a_failure() -> None:
    released = threading.Event()

    def wait(call: Call, output: BufferedIOBase) -> None:
        output.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        output.flush()
        released.wait()

    try:
        with pytest.raises(BackendFailed, match=r"within 0\.\d+ s"):
            await ask(wait, timeout_seconds=0.2)
    finally:
        released.set()


# --- connections that are kept


async def test_a_connection_is_kept_for_the_next_event() -> None:
    connections: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            writer.write(b"HTTP/1.1 204 Said\r\n\r\n")

    async def forget(*streams: Any) -> None:
        with suppress(asyncio.IncompleteReadError):
            await serve(*streams)
        streams[1].close()

    server = await asyncio.start_server(forget, "127.0.0.1", 0)
    async with server, forwarding(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as forward:
        for _ in range(5):
            await forward.answer(context())
        assert len(connections) == 1


async def test_a_connection_that_has_gone_is_not_used() -> None:
    with Backend(raw(b"HTTP/1.1 204 Said\r\n\r\n")) as backend:
        async with forwarding(backend.url) as forward:
            for _ in range(3):
                await forward.answer(context())
                await asyncio.sleep(0.05)  # the backend hangs up without having said so
        assert len(backend.calls) == 3


# --- order


async def test_events_of_one_connection_arrive_in_their_order() -> None:
    under_way, together = set[str](), set[frozenset[str]]()
    met = threading.Barrier(2, timeout=5)

    def watch(call: Call, output: BufferedIOBase) -> None:
        body = json.loads(call.body)
        under_way.add(body["connectionId"] + body["arguments"][0])
        if body["arguments"][0] == "1":
            met.wait()  # both connections' first events are here at once
        together.add(frozenset(under_way))
        under_way.discard(body["connectionId"] + body["arguments"][0])
        answer(204)(call, output)

    with Backend(watch) as backend:
        async with forwarding(backend.url) as forward:
            events = [context(connection_id=one, arguments=[str(n)]) for n in range(1, 6) for one in ("a", "b")]
            await asyncio.gather(*map(forward.answer, events))
        calls = [json.loads(call.body) for call in backend.calls]
    for connection in ("a", "b"):
        arrived = [one["arguments"][0] for one in calls if one["connectionId"] == connection]
        assert arrived == ["1", "2", "3", "4", "5"]
        assert all(sum(name.startswith(connection) for name in names) <= 1 for names in together)


async def test_waiting_for_the_turn_counts() -> None:
    released = threading.Event()
    with Backend(lambda call, output: (released.wait(), None)[1]) as backend:
        async with forwarding(backend.url, timeout_seconds=0.2) as forward:
            endings = await asyncio.gather(*(answer_message(forward, context()) for _ in range(3)))
            released.set()
        assert endings == [Failed()] * 3
        assert len(backend.calls) <= 2


# --- outputs


OUTPUTS = answer(200, b'{"result":"done","outputs":[{"target":"x"}, {"action":"close"}]}')


async def test_outputs_are_sent_to_the_events_hub() -> None:
    outbox = FakeOutbox()
    with Backend(OUTPUTS) as backend:
        async with forwarding(backend.url, outbox) as forward:
            assert json_text.encode(await forward.answer(context(hub="Chat"))) == b'"done"'
    assert outbox.sent == [("chat", b'[{"target":"x"},{"action":"close"}]')]


@pytest.mark.parametrize(
    "failed",
    [
        result(Status.REJECTED, Verdict.REJECTED),
        result(Status.UNKNOWN, Verdict.UNKNOWN),
        result(Status.ABSENT, Verdict.ABSENT, Verdict.OFFLINE),
        SKIPPED,
    ],
)
async def test_an_output_that_is_not_delivered_fails_the_call(failed: Any) -> None:
    outbox = FakeOutbox()
    outbox.output_results = [ACCEPTED, failed]
    with pytest.raises(BackendFailed, match="Output 1 "):
        await ask(OUTPUTS, outbox)


async def test_outputs_that_are_not_well_formed_fail_the_call() -> None:
    outbox = FakeOutbox()
    outbox.refusal = InvalidItem([Fault("#/0/target", InvalidItem, "The target is missing.")])
    with pytest.raises(BackendFailed, match="#/0/target"):
        await ask(OUTPUTS, outbox)


async def test_an_output_that_is_delivered_in_part_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    outbox = FakeOutbox()
    outbox.output_results = [
        result(Status.PARTIAL, Verdict.ACCEPTED, Verdict.REJECTED),
        result(Status.ABSENT, Verdict.ABSENT),
    ]
    assert await ask(OUTPUTS, outbox) == b'"done"'
    assert vars(caplog.records[0])["outcomes"] == "e0 accepted, e1 rejected"


async def test_a_refusal_sends_nothing() -> None:
    outbox = FakeOutbox()
    with pytest.raises(Rejected):
        await ask(answer(403, b'{"outputs":[{"target":"x"}]}', PROBLEM), outbox)
    assert outbox.sent == []


# --- as a handler among others


async def test_a_rule_is_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    with Backend(answer(500)) as backend:
        async with forwarding(backend.url + "/canary", hub="chat", category="messages") as forward:
            dispatch = Dispatch([forward])
            assert dispatch.find_for_message("CHAT", "anything") is forward
            assert dispatch.find_for_connection("chat", "connected") == []
            assert await answer_message(forward, context(arguments=["canary"])) == Failed()
            backend.script = answer(204)
            assert await answer_message(forward, context()) == Returned(None)
            backend.script = answer(409, b'{"detail":"no"}', PROBLEM)
            assert await answer_message(forward, context()) == Refused("no")
    assert "The backend answered 500." in [getattr(record, "reason", None) for record in caplog.records]
    assert "canary" not in caplog.text
