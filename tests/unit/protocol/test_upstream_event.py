"""What the service calls us with: headers, query and bodies."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs
from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol.hub_message import Closed, Completion, Invocation
from signalr_bridge.protocol.upstream_event import (
    EventHeaders,
    decode_header,
    read_arguments,
    read_client_query,
    read_disconnected,
    read_event_headers,
    read_invocation,
    read_messagepack_invocation,
    write_completion,
    write_connected,
    write_disconnected,
    write_event_headers,
    write_invocation,
    write_messagepack_completion,
    write_messagepack_invocation,
)

from tests.unit.protocol.legal import any_text, json_values, texts
from tests.vectors import read_vectors

VECTORS = read_vectors("upstream")
LINES = [(name.lower().encode(), value.encode()) for name, value in VECTORS["headers"].items()]
HEADERS_IN_ORDER = [
    f"X-ASRS-{name}" for name in ("Hub", "Category", "Event", "Connection-Id", "User-Id", "User-Claims", "Client-Query")
]
READ = {name: value for name, value in VECTORS["read"].items() if name != "query"}


def test_the_headers_of_the_service() -> None:
    headers = EventHeaders(**READ, client_query=VECTORS["headers"]["X-ASRS-Client-Query"])
    assert read_event_headers(LINES) == headers
    assert write_event_headers(headers) | {"Content-Type": "application/json"} == VECTORS["headers"]


def test_an_absent_header_is_empty_and_not_written() -> None:
    assert read_event_headers([]) == EventHeaders()
    assert write_event_headers(EventHeaders(hub="chat")) == {"X-ASRS-Hub": "chat"}


def test_the_first_of_a_repeated_header_counts() -> None:
    assert read_event_headers([(b"x-asrs-hub", b"a"), (b"x-asrs-hub", b"b")]).hub == "a"


def test_a_line_break_forges_no_header() -> None:
    written = write_event_headers(EventHeaders(user_id="x\r\nX-ASRS-User-Id: admin", event="a\nb"))
    assert written == {"X-ASRS-User-Id": "x  X-ASRS-User-Id: admin", "X-ASRS-Event": "a b"}


def test_their_text_shows_no_token_of_the_client() -> None:
    assert "5ecret" not in repr(read_event_headers(LINES))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" a\t", "a"),
        (b"\xc3\xa9", "é"),
        (b"\xe9", "é"),
        (b"", ""),
        # Another user than admin.
        (b"\xc2\xa0admin", "\u00a0admin"),
        (b"admin\xe2\x80\x83", "admin\u2003"),
        (b"\xa0admin", "\u00a0admin"),
    ],
)
def test_a_header_is_utf_8_or_else_latin_1(value: bytes, text: str) -> None:
    assert decode_header(value) == text


def test_the_clients_query_without_what_is_secret() -> None:
    assert read_client_query(VECTORS["headers"]["X-ASRS-Client-Query"]) == VECTORS["read"]["query"]
    assert read_client_query("Access_Token=canary&ID=1&_=2&asrs.op=3&asrs_request_id=4&a") == {"a": [""]}


def test_connected_is_the_fixed_body() -> None:
    assert write_connected() == b'{"type":10}'


@pytest.mark.parametrize("row", VECTORS["disconnected"], ids=lambda row: row["body"])
def test_disconnected_in_every_spelling(row: dict[str, str]) -> None:
    assert read_disconnected(row["body"].encode()) == Closed(row.get("error"))


@pytest.mark.parametrize("error", [None, "timed out"])
def test_disconnected_is_read_as_it_was_written(error: str | None) -> None:
    assert read_disconnected(write_disconnected(error)) == Closed(error)


@pytest.mark.parametrize("body", ["[]", "x", '{"type":11,"error":1}', '{"type":11,"Error":{}}'])
def test_a_malformed_disconnected(body: str) -> None:
    with pytest.raises(MalformedMessage):
        read_disconnected(body.encode())


def with_values(message: Invocation) -> Invocation:
    return structs.replace(message, arguments=read_arguments(message.arguments))


@pytest.mark.parametrize("row", VECTORS["invocation"], ids=lambda row: row["body"])
@pytest.mark.parametrize("ending", [b"", b"\x1e"])
def test_an_invocation_in_every_spelling(row: dict[str, Any], ending: bytes) -> None:
    wanted = {name: value for name, value in row.items() if name != "body"}
    read = with_values(read_invocation(row["body"].encode() + ending))
    assert read == Invocation(**(wanted | {"stream_ids": read.stream_ids}))
    assert list(read.stream_ids) == row.get("stream_ids", [])


@pytest.mark.parametrize("row", VECTORS["malformed_invocation"], ids=lambda row: row["body"])
def test_a_malformed_invocation(row: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        read_invocation(row["body"].encode())


@given(texts, st.lists(json_values, max_size=3), st.none() | texts.filter(bool))
def test_an_invocation_is_read_as_it_was_written(target: str, arguments: list[Any], invocation_id: str | None) -> None:
    one = Invocation(target, arguments, invocation_id, stream_ids=[])
    assert not write_invocation(one).endswith(b"\x1e"), "bodies carry no framing"
    assert with_values(read_invocation(write_invocation(one))) == one


def test_messagepack_bodies_carry_no_framing_and_completions_do() -> None:
    one = Invocation("send", ["hi"], "7", stream_ids=[])
    body = bytes.fromhex("96 01 80 a1 37 a4 73 65 6e 64 91 a2 68 69 90")  # service-emulation 3.3
    assert write_messagepack_invocation(one) == body
    assert read_messagepack_invocation(body) == one
    completion = bytes.fromhex("0c 95 03 80 a1 30 03 a5 77 6f 72 6c 64")  # functions-bindings 1.8
    assert write_messagepack_completion(Completion("0", "world", has_result=True)) == completion


@pytest.mark.parametrize("row", VECTORS["completion"], ids=lambda row: row["body"])
def test_a_completion_is_framed(row: dict[str, Any]) -> None:
    completion = Completion(row["invocation_id"], row.get("result"), row.get("error"), has_result="result" in row)
    assert write_completion(completion) == row["body"].encode()


_NAMES = ["type", "Type", "target", "arguments", "invocationId", "headers", "streamIds", "error", "Error"]
_almost = st.dictionaries(st.sampled_from(_NAMES), st.sampled_from([1, 1.0, True, 11]) | json_values)


@given(st.binary() | _almost.map(msgspec.json.encode))
@example(b'{"Type":1,"type":' + b"[" * 100_000)
@example(b"\xef\xbb\xbf{}")
def test_any_body_ends_in_good_order(body: bytes) -> None:
    for read in (read_invocation, read_disconnected, read_messagepack_invocation):
        with suppress(MalformedMessage):
            read(body)


_SPELT = ["type", "target", "arguments", "invocationId", "headers", "streamIds", "more"]
_GIVEN = {
    "type": st.sampled_from([1, 1.0, True, 2, "1", None]),
    "arguments": st.lists(json_values, max_size=2) | st.none() | st.text(max_size=2),
    "headers": st.dictionaries(st.text(max_size=2), st.text(max_size=2) | st.integers(), max_size=2) | st.none(),
    "streamIds": st.lists(st.text(max_size=2) | st.none(), max_size=2) | st.none(),
}
_bodies = st.fixed_dictionaries(
    {"type": st.just(1) | _GIVEN["type"], "target": st.text() | st.none()},
    optional={name: _GIVEN.get(name, st.none() | st.text(max_size=3) | st.integers()) for name in _SPELT[2:]},
)


def outcome(body: bytes) -> Any:
    try:
        found = with_values(read_invocation(body))
    except MalformedMessage as error:
        return error.detail
    return structs.asdict(found)


@given(_bodies, st.booleans())
def test_the_usual_spelling_means_what_another_one_means(body: dict[str, Any], more: bool) -> None:
    """Names in another case are read member by member, those in the usual spelling at once."""
    usual = msgspec.json.encode(body)
    assert outcome(usual) == outcome(msgspec.json.encode({name.upper(): value for name, value in body.items()}))
    assert outcome(usual) == outcome(usual[:-1] + b',"\\u006dore":0}' if more else usual)


@pytest.mark.parametrize(
    "arguments",
    [b"[]", b"[ ]", b"[1.0,1e2,-0,1E+400]", b"[12345678901234567890123]", b'[{"b":1,"a":1,"b":2}]', b'["\\u0041\\/"]'],
)
@pytest.mark.parametrize("body", [b'{"type":1,"target":"s","arguments":%s}', b'{"Target":"s","ARGUMENTS":%s,"type":1}'])
def test_arguments_are_kept_as_they_were_written(body: bytes, arguments: bytes) -> None:
    found = read_invocation(body % arguments).arguments
    assert isinstance(found, msgspec.Raw)
    assert bytes(found) == arguments


@pytest.mark.parametrize("arguments", [b'["\xff"]', b'[{"\xff":1}]', b"[01]", b"[1,]", b'["\x01"]', b"[" * 9999])
@pytest.mark.parametrize("body", [b'{"type":1,"target":"s","arguments":%s}', b'{"Target":"s","ARGUMENTS":%s,"type":1}'])
def test_arguments_that_are_not_json_in_utf8_are_malformed_although_nobody_decodes_them(
    body: bytes, arguments: bytes
) -> None:
    with pytest.raises(MalformedMessage, match="Error reading JSON"):
        read_invocation(body % arguments)


@given(st.lists(st.tuples(st.sampled_from([name for name, _ in LINES]), st.binary(max_size=6)), max_size=9))
@example([(b"x-asrs-user-id", b"a\nb")])
@example([(b"x-asrs-user-id", b"\xc3"), (b"x-asrs-event", b"\xa9")])
@example([(b"x-asrs-user-id", b"\xc2\xa0\xc3\xa9 \t")])
def test_headers_that_are_decoded_together_are_those_that_are_decoded_one_by_one(
    lines: list[tuple[bytes, bytes]],
) -> None:
    first: dict[bytes, bytes] = {}
    for name, value in lines:
        first.setdefault(name, value)
    assert list(structs.astuple(read_event_headers(lines))) == [
        decode_header(first.get(name.lower().encode(), b"")) for name in HEADERS_IN_ORDER
    ]


@given(st.lists(st.tuples(st.sampled_from([name for name, _ in LINES]) | st.binary(), st.binary())))
def test_any_headers_are_read(lines: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(read_event_headers(lines), EventHeaders)


@given(any_text)
def test_any_query_is_read(text: str) -> None:
    assert "access_token" not in read_client_query(text)
