"""REST operations as requests: to the byte what the service expects, and back."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import BridgeError, InvalidName, InvalidQuery
from signalr_bridge.protocol.rest import (
    API_VERSION,
    NEWEST_VERSION,
    Action,
    Message,
    Operation,
    read_target,
    write_message,
    write_path,
    write_target,
)

from tests.unit.protocol.legal import any_text, hubs, json_values, names, texts
from tests.vectors import read_vectors

VECTORS = read_vectors("rest_targets")


def operation(row: dict[str, Any]) -> Operation:
    said = {name: value for name, value in row.items() if name not in {"request", "action", "hub"}}
    said["excluded"] = tuple(said.get("excluded", ()))
    return Operation(Action[row["action"]], row.get("hub", "chat"), **said)


def read(request: str) -> Operation | None:
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    return read_target(method, path, query)


@pytest.mark.parametrize("row", VECTORS["operation"], ids=lambda row: row["request"])
def test_an_operation_is_this_request(row: dict[str, Any]) -> None:
    assert f"{operation(row).action.method} {write_target(operation(row))}" == row["request"]
    assert read(row["request"]) == operation(row)


def test_no_operation_lacks_a_vector() -> None:
    assert {row["action"] for row in VECTORS["operation"]} == set(Action.__members__)


@pytest.mark.parametrize("row", VECTORS["also_read"], ids=lambda row: row["request"])
def test_what_other_libraries_send_is_read(row: dict[str, Any]) -> None:
    assert read(row["request"]) == operation(row)


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /api/hubs",
        "POST /api/hubs/",
        "POST /api/hubs//:send",
        "POST /api/hubs/chat/groups//:send",
        "POST /api/hubs/chat/groups/g/",
        "POST /api/hubs/chat/groups/a/b/:send",
        "POST /api/v2/hubs/chat",
        "POST /api/hubs/chat/:generateToken",
        "DELETE /api/hubs/chat/connections/",
        "PATCH /api/hubs/chat/users/u",
        "PUT /api/hubs/chat/users/u",
        "get /api/hubs/chat/users/u",
        "GET /api/health",
    ],
)
def test_other_requests_are_no_operation(request_line: str) -> None:
    assert read(request_line) is None


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    action = draw(st.sampled_from(Action))
    placed: Any = {kind: draw(names) for kind in ("user", "group", "connection") if f"{{{kind}}}" in action.path}
    return Operation(
        action,
        draw(hubs).lower(),
        excluded=tuple(draw(st.lists(names, max_size=3))),
        reason=draw(st.none() | texts),
        ttl=draw(st.none() | st.integers(0, 2**31 - 1)),
        **placed,
    )


@given(operations())
def test_every_operation_is_read_as_it_was_written(one: Operation) -> None:
    target = write_target(one)
    assert read(f"{one.action.method} {target}") == one
    assert target.isascii()
    assert len(write_path(target).split("/")) == 4 + one.action.path.count("/")


def test_a_target_that_was_kept_is_the_one_of_its_operation() -> None:
    for _ in range(2):
        for number in range(2000):
            one = Operation(Action.SEND_TO_GROUP, "chat", group=f"g {number}", excluded=("c",) * (number % 2))
            excluded = "&excluded=c" * (number % 2)
            expected = f"/api/hubs/chat/groups/g%20{number}/:send?api-version=2022-06-01{excluded}"
            assert write_target(one) == expected


@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize("action", [action for action in Action if "{" in action.path])
def test_a_name_that_would_vanish_from_the_url_is_refused(action: Action, name: str) -> None:
    placed: dict[str, Any] = dict.fromkeys(("user", "group", "connection"), "n")
    for kind in placed:
        if f"{{{kind}}}" in action.path:
            with pytest.raises(InvalidName):
                write_target(Operation(action, "chat", **(placed | {kind: name})))


@pytest.mark.parametrize("ttl", ["", "-1", "1.5", "x", "2147483648", "99999999999", "\uff11"])
def test_ttl_is_a_32_bit_number_of_seconds(ttl: str) -> None:
    with pytest.raises(InvalidQuery):
        read_target("PUT", "/api/hubs/chat/users/u/groups/g", f"ttl={ttl}")


@pytest.mark.parametrize("query", ["excluded=%ff", "&".join(["a=b"] * 10_001)])
def test_a_query_that_cannot_be_read(query: str) -> None:
    with pytest.raises(InvalidQuery):
        read_target("POST", "/api/hubs/chat", query)


@given(st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]) | any_text, st.lists(any_text), any_text)
def test_any_request_ends_in_good_order(method: str, segments: list[str], query: str) -> None:
    for path in ("/api/hubs/" + "/".join(segments), "/api/hubs/h/users/" + "".join(segments), "".join(segments)):
        with suppress(BridgeError):
            read_target(method, path, query)


def test_a_message_body_keeps_the_arguments_as_they_are() -> None:
    body = write_message('s"é', b'[ 1.0, "\\u00e9" ]')
    assert body == b'{"target":"s\\"\xc3\xa9","arguments":[ 1.0, "\\u00e9" ]}'


@given(texts, json_values)
def test_a_message_body_is_json(target: str, value: Any) -> None:
    body = write_message(target, json.dumps([value]).encode())
    assert json.loads(body) == {"target": target, "arguments": [value]}


def test_a_message_is_written_once_by_each_writer_and_shows_no_arguments() -> None:
    made: list[str] = []

    def write(target: str, arguments: bytes) -> bytes:
        made.append(target)
        return write_message(target, arguments)

    message = Message("t", b'["canary"]')
    assert {message.written(write) for _ in range(3)} == {b'{"target":"t","arguments":["canary"]}'}
    assert message.written(write_message) == message.written(write)
    assert made == ["t"]
    assert message == Message("t", b'["canary"]')
    assert "canary" not in repr(message)


def test_the_version_and_whether_the_answer_matters_are_two_facts() -> None:
    newest = {action for action in Action if action.api_version == NEWEST_VERSION}
    assert newest == {Action.LIST_MEMBERS, Action.INVOKE}
    assert {action for action in Action if action.has_answer} == newest
    assert {action.api_version for action in set(Action) - newest} == {API_VERSION}


def test_what_may_be_repeated() -> None:
    messages = {action.name for action in Action if action.is_message}
    questions = {action.name for action in Action if action.is_question}
    assert messages == {"SEND_TO_ALL", "SEND_TO_USER", "SEND_TO_GROUP", "SEND_TO_CONNECTION"}
    assert questions == {"CONNECTION_EXISTS", "USER_EXISTS", "GROUP_EXISTS", "USER_IN_GROUP"}
