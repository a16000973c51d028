"""The ordered checks and the table of answers, cell by cell."""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgpack
import msgspec
import pytest
from signalr_bridge.endpoints.endpoint import Verdict
from signalr_bridge.endpoints.outcome import Status
from signalr_bridge.errors import (
    BodyTooLarge,
    BridgeError,
    Forbidden,
    HubError,
    InternalError,
    InvalidHeader,
    InvalidName,
    MalformedJson,
    MalformedMessagePack,
    NoHandler,
    Rejected,
    SettingsError,
    Unauthenticated,
    UnsupportedMediaType,
    UrlTooLong,
)
from signalr_bridge.protocol.hub_message import UNHELD
from signalr_bridge.protocol.rest import Action
from signalr_bridge.protocol.upstream_event import EventHeaders
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.authenticator import VerificationKey, Verifier, build_authenticator
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import Handler
from signalr_bridge.upstream.receiver import Receiver, build_receiver
from signalr_bridge.web.observer import SILENT
from signalr_bridge.wire.exchange import make_answer

from tests.unit.upstream.fakes import KEY, KEYS, Caller, FakeHandler, FakeOutbox, event, result
from tests.unit.upstream.speech import SPEECHES, Speech

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEND = b'{"type":1,"target":"send","arguments":["hi",1]}'
GENERAL = "Method 'send' failed."
EMPTY = make_answer(200)


@pytest.fixture(params=SPEECHES, ids=lambda speech: speech.media_type)
def speech(request: pytest.FixtureRequest) -> Speech:
    """Both hub protocols."""
    spoken: Speech = request.param
    return spoken


# --- the table


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("done", {"result": "done"}),
        (None, {"result": None}),
        (True, {"result": True}),
        (-1.5, {"result": -1.5}),
        (2**64 - 1, {"result": 2**64 - 1}),
        (["zoë", {"n": [None, {}]}], {"result": ["zoë", {"n": [None, {}]}]}),
        (msgspec.Raw(b'{"n":[1,1.5,null]}'), {"result": {"n": [1, 1.5, None]}}),
        (Rejected("not you"), {"error": "not you"}),
        (HubError("Say something."), {"error": "Say something."}),
        (RuntimeError("secret"), {"error": GENERAL}),
        (InvalidName("of ours"), {"error": GENERAL}),
        (object(), {"error": GENERAL}),
        ("\ud800", {"error": GENERAL}),
        (HubError("half \ud800"), {"error": "half ?"}),
        (Rejected(ValueError("of no text")), {"error": "of no text"}),
        (HubError(5), {"error": "5"}),
        (HubError(), {"error": GENERAL}),
        (Rejected(""), {"error": GENERAL}),
        (SystemExit(3), {"error": GENERAL}),
        (KeyboardInterrupt(), {"error": GENERAL}),
        (BaseExceptionGroup("several", [SystemExit()]), {"error": GENERAL}),
    ],
)
async def test_a_message_that_is_waited_for(ending: Any, told: dict[str, Any], speech: Speech) -> None:
    answer = await Caller(FakeHandler(ending)).message(speech.invocation(id="7"), speech.media_type)
    assert answer == speech.completion(**told)


@pytest.mark.parametrize(
    ("ending", "in_json", "in_messagepack"),
    [
        ({"n": 2**70}, {"result": {"n": 2**70}}, {"error": GENERAL}),
        (msgspec.Raw(b"[1180591620717411303424]"), {"result": [2**70]}, {"error": GENERAL}),
        (b"\x00\xff", {"result": "AP8="}, {"result": b"\x00\xff"}),
        (NOON, {"result": "2026-11-22T12:00:00Z"}, {"result": NOON}),
        ({1: "one"}, {"result": {"1": "one"}}, {"result": {1: "one"}}),
        ([{None: 1, True: [{(1, 2): 3}]}], *[{"result": [{"null": 1, "true": [{"[1,2]": 3}]}]}] * 2),
        ({b"k": 1, NOON: 2}, *[{"result": {"aw==": 1, "2026-11-22T12:00:00Z": 2}}] * 2),
        (float("inf"), {"result": None}, {"result": float("inf")}),
    ],
)
async def test_a_result_that_only_one_protocol_can_hold(
    ending: Any, in_json: dict[str, Any], in_messagepack: dict[str, Any]
) -> None:
    caller = Caller(FakeHandler(ending))
    for speech, told in zip(SPEECHES, (in_json, in_messagepack), strict=True):
        assert await caller.message(speech.invocation(id="7"), speech.media_type) == speech.completion(**told)


@pytest.mark.parametrize("ending", ["done", None, object(), Rejected("no"), HubError("no")])
async def test_a_message_that_nobody_waits_for(ending: Any, speech: Speech) -> None:
    assert await Caller(FakeHandler(ending)).message(speech.invocation(), speech.media_type) == EMPTY


async def test_a_message_that_nobody_waits_for_fails(speech: Speech) -> None:
    with pytest.raises(InternalError):
        await Caller(FakeHandler(RuntimeError("secret"))).message(speech.invocation(), speech.media_type)


async def test_an_empty_invocation_id_is_none(speech: Speech) -> None:
    assert await Caller(FakeHandler("done")).message(speech.invocation(id=""), speech.media_type) == EMPTY


@pytest.mark.parametrize("name", ["connected", "disconnected"])
async def test_a_connection_event_that_is_handled(name: str, speech: Speech) -> None:
    handler = FakeHandler("ignored")
    assert await Caller(handler).connection(name, media_type=speech.media_type) == EMPTY
    assert [context.event for context in handler.seen] == [name]


@pytest.mark.parametrize("name", ["connected", "disconnected"])
@pytest.mark.parametrize("failure", [RuntimeError("secret"), HubError("no refusal here")])
async def test_a_connection_event_that_fails(name: str, failure: Exception, speech: Speech) -> None:
    caller = Caller(FakeHandler(failure))
    with pytest.raises(InternalError):
        await caller.connection(name, media_type=speech.media_type)
    assert caller.outbox.performed == []


async def test_a_refused_connection_is_closed_where_it_is(speech: Speech) -> None:
    caller = Caller(FakeHandler(Rejected("not here")))
    with pytest.raises(Forbidden):
        await caller.connection("connected", media_type=speech.media_type)
    [(operation, body, endpoint)] = caller.outbox.performed
    assert (operation.action, operation.connection) == (Action.CLOSE_CONNECTION, "c1")
    assert (operation.reason, body, endpoint) == ("not here", None, "eastus")


async def test_a_refused_connection_of_an_unknown_endpoint_is_closed_everywhere() -> None:
    caller = Caller(FakeHandler(Rejected("")), keys=[VerificationKey(None, KEY)])
    with pytest.raises(Forbidden):
        await caller.connection("connected")
    [(operation, _, endpoint)] = caller.outbox.performed
    assert (operation.reason, endpoint) == (None, None)


async def test_a_refused_connection_that_cannot_be_closed_is_refused_all_the_same() -> None:
    broken, picky = FakeOutbox(result(Status.UNKNOWN, Verdict.UNKNOWN)), FakeOutbox()
    picky.refusal = UrlTooLong("too long")
    for outbox in (broken, picky):
        with pytest.raises(Forbidden):
            await Caller(FakeHandler(Rejected("x" * 9000)), outbox=outbox).connection("connected")
    assert len(broken.performed[0][0].reason or "") == 500


async def test_a_refused_disconnection_is_fine(speech: Speech) -> None:
    caller = Caller(FakeHandler(Rejected("too late")))
    assert await caller.connection("disconnected", media_type=speech.media_type) == EMPTY
    assert caller.outbox.performed == []


# --- the checks, one by one


@pytest.mark.parametrize("headers", [event(), event(category="connections", event="connected")])
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonp", "application/json,text/plain"])
async def test_another_media_type(headers: EventHeaders, content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Type: application/json or application/x-msgpack"):
        await Caller(FakeHandler()).call(headers, SEND, content_type=content_type)


async def test_an_encoded_body() -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        await Caller(FakeHandler()).call(event(), SEND, content_encoding="gzip")


async def test_parameters_and_case_of_the_media_type_do_not_matter(speech: Speech) -> None:
    media_type = speech.media_type.upper() + "; charset=utf-8"
    assert await Caller(FakeHandler("done")).message(speech.invocation(), media_type) == EMPTY
    assert await Caller(FakeHandler("done")).message(speech.invocation(id="7"), media_type) == speech.completion(
        result="done"
    )


async def test_a_body_is_read_up_to_the_limit() -> None:
    caller = Caller(FakeHandler())
    with pytest.raises(BodyTooLarge):
        await caller.call(event(), BodyTooLarge())
    assert caller.reads == [1000]


async def test_a_large_body_of_connected() -> None:
    caller = Caller(FakeHandler())
    connected = event(category="connections", event="connected")
    with pytest.raises(BodyTooLarge):
        await caller.call(connected, content_length="1001")
    with pytest.raises(BodyTooLarge):
        await caller.call(connected, content_length="9" * 5000)
    assert await caller.call(connected, content_length="1000") == EMPTY


@pytest.mark.parametrize("name", ["hub", "category", "event", "connection_id"])
async def test_a_missing_header(name: str) -> None:
    with pytest.raises(InvalidHeader, match="X-ASRS-"):
        await Caller(FakeHandler(), allow_unsigned=True).call(event(**{name: ""}), SEND)


@pytest.mark.parametrize("headers", [event(hub="a/b"), event(hub=".."), event(connection_id=".."), event(hub="1")])
async def test_names_that_no_url_can_carry(headers: EventHeaders) -> None:
    with pytest.raises(InvalidName):
        await Caller(FakeHandler()).call(headers, SEND)


@pytest.mark.parametrize(
    "headers",
    [event(category="connections", event="reconnected"), event(category="connections"), event(category="groups")],
)
async def test_an_event_that_does_not_exist(headers: EventHeaders) -> None:
    with pytest.raises(NoHandler):
        await Caller(FakeHandler()).call(headers, SEND)


async def test_category_and_event_ignore_case() -> None:
    handler = FakeHandler()
    assert await Caller(handler).call(event(category="Connections", event="CONNECTED")) == EMPTY
    assert await Caller(handler).call(event(category="Messages", event="SEND"), SEND) == EMPTY
    assert [context.category for context in handler.seen] == ["connections", "messages"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"type":3,"invocationId":"7"}',
        b'{"type":1,"arguments":[]}',
        b'{"type":1,"target":"send","arguments":{}}',
        b'{"type":1,"target":"send","invocationId":7,"arguments":[]}',
    ],
)
async def test_a_body_that_is_no_message(body: bytes) -> None:
    handler = FakeHandler()
    with pytest.raises(MalformedJson):
        await Caller(handler).message(body)
    assert handler.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x90",
        SEND,
        msgpack.packb([3, {}, "7", 2]),
        msgpack.packb([1, {}, None, "send"]),
        msgpack.packb([1, {}, None, "send", {}]),
        msgpack.packb([1, {}, None, None, []]),
        msgpack.packb([1, {}, 7, "send", []]),
        msgpack.packb([1, [], None, "send", []]),
        msgpack.packb([1, {}, None, "send", []]) + b"\xc0",
        b"\x0c" + msgpack.packb([1, {}, None, "send", []]),
    ],
)
async def test_a_body_that_is_no_messagepack_message(body: bytes) -> None:
    handler = FakeHandler()
    with pytest.raises(MalformedMessagePack):
        await Caller(handler).message(body, "application/x-msgpack")
    assert handler.seen == []


async def test_what_stands_behind_the_arguments_in_messagepack_does_not_matter() -> None:
    handler = FakeHandler()
    for more in ([], [7], [None], [[], "later", {}]):
        body = msgpack.packb([1, {"a": "b"}, None, "send", [1], *more])
        assert await Caller(handler).message(body, "application/x-msgpack") == EMPTY
    assert [context.arguments for context in handler.seen] == [[1]] * 4


async def test_a_body_in_the_other_protocol() -> None:
    for speech, other in zip(SPEECHES, reversed(SPEECHES), strict=True):
        with pytest.raises(MalformedJson if other.media_type == "application/json" else MalformedMessagePack):
            await Caller(FakeHandler()).message(speech.invocation(), other.media_type)


async def test_a_body_for_another_event(speech: Speech) -> None:
    with pytest.raises(InvalidHeader, match="X-ASRS-Event"):
        await Caller(FakeHandler()).message(speech.invocation(), speech.media_type, event="other")


async def test_the_event_ignores_case(speech: Speech) -> None:
    body = speech.invocation("Send")
    assert await Caller(FakeHandler()).message(body, speech.media_type, event="sEND") == EMPTY


@pytest.mark.parametrize(
    "body", [b"", b" ", b'{"type":11}', b'{"Type":11,"Error":null}', b'{"type":11,"error":""}', b"{}"]
)
async def test_a_connection_that_went_in_peace(body: bytes) -> None:
    handler = FakeHandler()
    assert await Caller(handler).connection("disconnected", body) == EMPTY
    assert handler.seen[0].error is None


@pytest.mark.parametrize("body", [b'{"type":11,"error":"lost"}', b'{"Type":11,"Error":"lost"}'])
async def test_a_connection_that_was_lost(body: bytes) -> None:
    handler = FakeHandler()
    await Caller(handler).connection("disconnected", body)
    assert handler.seen[0].error == "lost"


@pytest.mark.parametrize("body", [b"nonsense", b'{"error":5}'])
async def test_a_disconnection_that_does_not_parse(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        await Caller(FakeHandler()).connection("disconnected", body)


@pytest.mark.parametrize("body", [b"", b"\xc1 nonsense", b'{"type":11,"error":"lost"}', msgpack.packb([11, "lost"])])
async def test_messagepack_has_no_disconnection_and_yet_it_counts(body: bytes) -> None:
    handler = FakeHandler()
    assert await Caller(handler).connection("disconnected", body, "application/x-msgpack") == EMPTY
    assert handler.seen[0].error is None


async def test_the_body_of_connected_is_not_read() -> None:
    caller = Caller(FakeHandler())
    assert await caller.connection("connected", b"\xff nonsense") == EMPTY
    assert caller.reads == []


# --- nobody handles it


@pytest.mark.parametrize("id", [None, "7"])
async def test_an_unhandled_message(id: str | None, speech: Speech) -> None:
    with pytest.raises(NoHandler):
        await Caller().message(speech.invocation(id=id), speech.media_type)


async def test_an_unhandled_message_where_that_is_fine(speech: Speech) -> None:
    caller = Caller(unhandled_is_fine=True)
    assert await caller.message(speech.invocation(), speech.media_type) == EMPTY
    answer = await caller.message(speech.invocation(id="7"), speech.media_type)
    assert answer == speech.completion(error="Method 'send' has no handler.")


@pytest.mark.parametrize("name", ["connected", "disconnected"])
async def test_an_unhandled_connection_event_is_always_fine(name: str) -> None:
    assert await Caller().connection(name) == EMPTY


async def test_a_handler_that_says_it_is_none() -> None:
    with pytest.raises(NoHandler):
        await Caller(FakeHandler(NoHandler("not mine")), unhandled_is_fine=True).message(SEND)


# --- their order: each call below is wrong from its check on, in every later one too


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (Unauthenticated, 0),
        (Unauthenticated, 1),
        (UnsupportedMediaType, 2),
        (BodyTooLarge, 3),
        (InvalidHeader, 4),
        (MalformedJson, 5),
        (NoHandler, 6),
    ],
)
async def test_the_checks_have_an_order(error: type[BridgeError], wrong: int, speech: Speech) -> None:
    caller = Caller(codes=["secret"])
    headers = event(event="" if wrong <= 4 else "send")
    more = {"content_type": "text/plain" if wrong <= 2 else speech.media_type}
    more |= {"x_asrs_signature": "sha256=00"} if wrong <= 1 else {}
    broken: bytes | Exception = BodyTooLarge() if wrong <= 3 else b"{"
    body = speech.invocation() if wrong == 6 else broken
    with pytest.raises(error):
        await caller.call(headers, body, b"" if wrong == 0 else b"code=secret", **more)
    assert bool(caller.reads) == (wrong >= 3)


# --- what a handler is told


async def test_a_handler_is_told_everything(speech: Speech) -> None:
    handler = FakeHandler()
    headers = event(
        hub="Chat",
        user_id="zoë",
        claims_line="role: admin, role: editor, asrs.u.sub: 5",
        client_query="?hub=chat&room=7&room=8&access_token=secret&id=secret&_=1&asrs_x=1",
    )
    more = {"authorization": "Bearer secret", "x_functions_key": "secret", "cookie": "secret", "x_more": "one"}
    more |= {"x_ms_client_principal_id": "secret", "x_ms_token_aad_id_token": "secret"}
    body = speech.invocation(id="7")
    await Caller(handler).call(headers, body, b"", content_type=speech.media_type, **more)
    [context] = handler.seen
    assert (context.hub, context.event, context.connection_id) == ("Chat", "send", "c1")
    assert (context.user_id, context.invocation_id, context.arguments) == ("zoë", "7", ["hi", 1])
    assert (context.claims, context.claims_exact) == ({"role": ["admin", "editor"], "sub": ["5"]}, False)
    assert context.query == {"hub": ["chat"], "room": ["7", "8"]}
    assert (context.endpoint, context.error) == ("eastus", None)
    assert context.headers["x-more"] == "one"
    assert context.headers["x-asrs-hub"] == "Chat"
    assert "secret" not in repr(context.headers)
    assert "x-asrs-signature" not in context.headers


@pytest.mark.parametrize("platform", [True, False])
def test_the_platform_s_headers_are_told_where_they_are_believed(*, platform: bool) -> None:
    lines = [(b"x-ms-client-principal-id", b"ann"), (b"x-ms-token-aad-id-token", b"t"), (b"x-ms-other", b"o")]
    found = Context(event(), FakeOutbox(), lines, platform=platform).headers
    believed = {"x-ms-client-principal-id": "ann", "x-ms-token-aad-id-token": "t"}
    assert found == {"x-ms-other": "o"} | (believed if platform else {})
    settings = Settings.model_validate({"negotiate": {"platform_identity": platform}})
    assert build_authenticator(settings, lambda hub: ()).rules_of("chat").platform_identity is platform


async def test_values_that_only_messagepack_has() -> None:
    handler = FakeHandler()
    values = [b"\x00\xff", NOON, 2**64 - 1, -(2**63), 1.5, float("inf"), {1: {b"k": None}}, "é", [[]]]
    extension = msgpack.ExtType(5, b"\x01\x02")
    for arguments in (values, [extension, "what follows"]):
        body = msgpack.packb([1, {}, None, "send", arguments], datetime=True)
        assert await Caller(handler).message(body, "application/x-msgpack") == EMPTY
    first, second = (context.arguments for context in handler.seen)
    assert first == values
    assert (second[0].code, second[0].data, second[1]) == (5, b"\x01\x02", "what follows")


async def test_forged_claims_are_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler = FakeHandler()
    line = "bridge.claims: e30, role: admin, bridge.claims: e30"
    await Caller(handler).call(event(claims_line=line), SEND)
    assert (handler.seen[0].claims, handler.seen[0].claims_exact) == ({}, False)
    assert "bridge.claims" in caplog.text


async def test_a_failure_is_logged_with_its_stack_and_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caller = Caller(FakeHandler(RuntimeError("it broke"), source="my_chat:send"))
    headers = event(client_query="?access_token=canary")
    body = b'{"type":1,"target":"send","arguments":["canary"]}'
    with caplog.at_level(logging.DEBUG), pytest.raises(InternalError):
        await caller.call(headers, body, b"code=canary", authorization="canary")
    [record] = caplog.records
    assert "RuntimeError: it broke" in caplog.text
    assert "Traceback" in caplog.text
    assert vars(record)["handler"] == "my_chat:send"
    assert "canary" not in caplog.text + repr(vars(record))


# --- assembly


def build(settings: Settings, handlers: Sequence[Handler], verifiers: Sequence[Verifier]) -> Receiver:
    known = build_authenticator(settings, lambda hub: verifiers)
    return build_receiver(lambda: known, handlers, FakeOutbox(), most_bytes=1000, observer=SILENT, clock=RUNTIME.clock)


def test_the_receiver_is_built_from_settings() -> None:
    settings = Settings.model_validate({"upstream": {"unhandled": "200", "code": ["c"]}})
    build(settings, [FakeHandler()], KEYS)


def test_handlers_that_could_never_be_called_are_refused() -> None:
    with pytest.raises(SettingsError, match="no key"):
        build(Settings(), [FakeHandler()], [])
    build(Settings(), [], [])
    for known in ({"allow_unsigned": True}, {"keys": ["k"]}):
        settings = Settings.model_validate({"upstream": known})
        build(settings, [FakeHandler()], [])


OUT_OF_RANGE = b'{"type":1,"invocationId":"7","target":"send","arguments":[1e400]}'


@pytest.mark.parametrize("body", [OUT_OF_RANGE, OUT_OF_RANGE.replace(b'"type"', b'"Type"')])
async def test_a_number_that_python_cannot_hold_is_an_error_for_handlers_that_want_values(body: bytes) -> None:
    handler = FakeHandler()
    answer = await Caller(handler).message(body)
    assert (answer.status, handler.seen) == (200, [])
    assert json.loads(answer.body[:-1]) == {"type": 3, "invocationId": "7", "error": UNHELD}


async def test_arguments_stay_text_for_a_handler_that_passes_them_on_and_are_read_when_they_are_asked_for() -> None:
    handler = FakeHandler(takes_json=True)
    await Caller(handler).message(b'{"type":1,"target":"send","arguments":[1.0, [ ]]}')
    [seen] = handler.seen
    assert bytes(seen.sent_arguments) == b"[1.0, [ ]]"
    assert seen.arguments == [1.0, []]
    assert seen.arguments is seen.arguments


async def test_arguments_are_values_for_all_others() -> None:
    handler = FakeHandler()
    await Caller(handler).message(b'{"type":1,"target":"send","arguments":[1.0, [ ]]}')
    assert handler.seen[0].arguments == handler.seen[0].sent_arguments == [1.0, []]
