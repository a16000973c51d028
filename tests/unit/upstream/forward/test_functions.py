"""The Functions host's contract with custom handlers, without a network."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from signalr_bridge.errors import Rejected, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.forward.formats import (
    Address,
    BackendFailed,
    BackendUnavailable,
    BackendVerdict,
    Envelope,
    Reply,
)
from signalr_bridge.upstream.forward.functions import FunctionsFormat, check_names

from tests.unit.upstream.fakes import context

MOMENT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
MESSAGE = {"target": "newMessage", "arguments": ["hi"]}
JOIN = {"action": "add", "connectionId": "c1", "groupName": "g"}


def form(names: list[str] | None = None) -> FunctionsFormat:
    return FunctionsFormat(Address("http://b/api", "test", "Send it"), "Send it", "invocation", names, lambda: "0" * 32)


def write(given: Context, names: list[str] | None = None) -> tuple[Envelope, dict[str, Any]]:
    sent = form(names).write(given, "msg_1", MOMENT)
    return sent, json.loads(sent.body)


def read(answer: Any, status: int = 200) -> BackendVerdict:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return form().read(Reply(status, "application/json", body), "send")


def outputs(value: Any) -> Any:
    given = read({"Outputs": value}).outputs
    return json.loads(given) if given else []


# --- there


def test_arguments_that_came_as_json_are_passed_on_as_they_were_written() -> None:
    sent, _ = write(context(arguments=msgspec.Raw(b'[1.0, {"b":1e2,"a":"\\u00e9"}]')), ["first", "second"])
    assert b'"Arguments":[1.0, {"b":1e2,"a":"\\u00e9"}]' in sent.body
    assert b'"Metadata":{"first":"1.0","second":{"b":1e2,"a":"\\u00e9"},' in sent.body
    with pytest.raises(Rejected, match=r"takes 1 argument\(s\), and was given 2"):
        write(context(arguments=msgspec.Raw(b"[1, [2, 3]]")), ["first"])


def test_a_message_is_trigger_data_and_metadata() -> None:
    lines = [(b"x-asrs-hub", b"chat"), (b"authorization", b"canary")]
    given = context(
        arguments=["hi", {"n": 2**70}],
        event="send",
        user_id="ann",
        invocation_id="0",
        claims_line="role: admin, role: editor, nickname: a",
        client_query="?room=7&room=8&access_token=canary",
        lines=lines,
    )
    sent, body = write(given, ["text", "More"])
    assert sent.url == "http://b/api/Send%20it"
    assert sent.headers == {"Content-Type": "application/json", "X-Azure-Functions-InvocationId": "msg_1"}
    assert body == {
        "Data": {
            "invocation": {
                "Arguments": ["hi", {"n": 2**70}],
                "Error": None,
                "Category": "messages",
                "Event": "send",
                "Hub": "chat",
                "ConnectionId": "c1",
                "UserId": "ann",
                "Headers": {"X-ASRS-Hub": "chat"},
                "Query": {"room": "7,8"},
                "Claims": {"role": "admin", "nickname": "a"},
            }
        },
        "Metadata": {
            "text": '"hi"',
            "More": {"n": 2**70},
            "sys": {
                "MethodName": "Send it",
                "UtcNow": "2026-11-22T10:00:00.123456Z",
                "RandGuid": "00000000-0000-4000-8000-000000000000",
            },
        },
    }


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        (b'"hi"', '"hi"'),
        (b"5", "5"),
        (b"1.50", "1.50"),
        (b"true", "true"),
        (b'[1, {"a": "b"}]', '[1,{"a":"b"}]'),
        (b'{"a":[1]}', {"a": [1]}),
        ("hi", '"hi"'),
        (True, "true"),
        ([1, "x"], '[1,"x"]'),
        ({"a": None}, {"a": None}),
        (b"\x00\xff", None),
    ],
)
def test_a_named_argument_that_is_no_object_is_json_text(argument: Any, written: Any) -> None:
    """As the host has it: JObject.FromObject, else JsonConvert.SerializeObject."""
    given = msgspec.Raw(b"[%b]" % argument) if isinstance(argument, bytes) and written is not None else [argument]
    metadata = write(context(arguments=given), ["text"])[1]["Metadata"]
    assert metadata["text"] == ("AP8=" if written is None else written), "bytes of MessagePack are base64"


def test_null_and_what_is_called_a_trigger_are_left_out_of_the_metadata() -> None:
    for given in (msgspec.Raw(b'[null, "a"]'), [None, "a"]):
        assert list(write(context(arguments=given), ["text", "myTrigger"])[1]["Metadata"]) == ["sys"]


def test_headers_are_spelt_as_the_service_and_a_net_host_spell_them() -> None:
    names = ["x-asrs-user-id", "x-asrs-connection-id", "content-type", "content-length", "user-agent", "traceparent"]
    written = write(context(lines=[(one.encode(), b"1") for one in names]))[1]["Data"]["invocation"]["Headers"]
    assert list(written) == ["X-ASRS-User-Id", "X-ASRS-Connection-Id", "User-Agent", "traceparent"]


def test_query_names_that_differ_in_case_are_one() -> None:
    written = write(context(client_query="?Room=7&room=8&ROOM=9&b="))[1]["Data"]["invocation"]["Query"]
    assert written == {"Room": "7,8,9", "b": ""}


def test_input_bindings_are_json_text() -> None:
    sent = form().write(context(), "msg_1", MOMENT, {"connection": {"url": "u", "accessToken": "t"}})
    assert json.loads(sent.body)["Data"]["connection"] == '{"url":"u","accessToken":"t"}'


def test_outputs_with_bindings_are_sorted_and_others_left_alone() -> None:
    bound = FunctionsFormat(Address("http://b", "t", "f"), "f", "i", None, lambda: "0" * 32, {"messages", "$return"})
    answer = {"Outputs": {"Messages": [MESSAGE], "queue": "x"}, "ReturnValue": MESSAGE}
    verdict = bound.read(Reply(200, "application/json", json.dumps(answer).encode()), "send")
    assert {name: json.loads(text) for name, text in verdict.named.items()} == {
        "messages": [MESSAGE],
        "$return": MESSAGE,
    }
    assert (verdict.result, verdict.outputs, verdict.left_alone) == (None, b"", ("queue",))


def test_what_is_not_there_is_null() -> None:
    given = context(category="connections", event="disconnected", error="lost")
    invocation = write(given, ["text"])[1]["Data"]["invocation"]
    assert invocation["Error"] == "lost"
    assert [invocation[name] for name in ("Arguments", "UserId", "Query", "Claims")] == [None] * 4


@pytest.mark.parametrize("arguments", [[], ["a"], ["a", "b", "c"]])
def test_another_number_of_arguments_is_refused(arguments: list[str]) -> None:
    with pytest.raises(Rejected) as caught:
        write(context(arguments=arguments), ["one", "two"])
    assert caught.value.detail == f"Method 'send' takes 2 argument(s), and was given {len(arguments)}."


def test_without_names_there_is_no_count() -> None:
    assert list(write(context(arguments=["a", "b"]))[1]["Metadata"]) == ["sys"]
    assert list(write(context(arguments=[]), [])[1]["Metadata"]) == ["sys"]


@pytest.mark.parametrize("names", [["a", "A"], ["sys"], ["Sys", "b"], [""]])
def test_names_that_cannot_be_told_apart_are_refused(names: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.parameter_names"):
        check_names(names, "forward.chat.parameter_names")


# --- and back


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"Outputs": {}, "ReturnValue": {"n": 1}, "Logs": []}, b'{"n": 1}'),
        ({"returnvalue": "text"}, b'"text"'),
        ({"ReturnValue": None}, b"null"),
        ({}, b"null"),
        (b"", b"null"),
    ],
)
def test_the_return_value_is_the_result(answer: Any, result: bytes) -> None:
    assert json_text.encode(read(answer).result) == result


def test_any_success_is_one() -> None:
    assert json_text.encode(read({"ReturnValue": 1}, 202).result) == b"1"
    assert read(b"", 204) == BackendVerdict()


@pytest.mark.parametrize(("status", "kind"), [(302, BackendFailed), (404, BackendFailed), (500, BackendUnavailable)])
def test_other_answers_are_failures(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read({"ReturnValue": 1}, status)


def test_logs_are_lines_within_bounds() -> None:
    assert read({"Logs": ["a", 5]}).logs == ("a", "5")
    assert read({"Logs": None}).logs == read({"Logs": "a"}).logs == ()
    logs = read({"Logs": ["x" * 5_000] * 200}).logs
    assert (len(logs), len(logs[0])) == (100, 1024)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"a": MESSAGE}, [MESSAGE]),
        ({"a": [MESSAGE, JOIN], "b": JOIN}, [MESSAGE, JOIN, JOIN]),
        ({"a": json.dumps(MESSAGE)}, [MESSAGE]),
        ({"a": json.dumps([MESSAGE, JOIN])}, [MESSAGE, JOIN]),
        ({"a": [json.dumps(MESSAGE), JOIN]}, [MESSAGE, JOIN]),
        ({"a": None, "b": "", "c": []}, []),
        ({}, []),
        (None, []),
    ],
)
def test_each_output_is_an_object_an_array_or_text(given: Any, sent: Any) -> None:
    assert outputs(given) == sent


@pytest.mark.parametrize(
    ("item", "sent"),
    [
        ({"Target": "t", "ARGUMENTS": [1], "more": 1}, {"target": "t", "arguments": [1]}),
        ({"target": "t", "action": "add"}, {"target": "t"}),
        (
            {"target": "t", "connectionId": "c", "userId": "u", "groupName": "g"},
            {"target": "t", "connectionId": "c"},
        ),
        ({"target": "t", "userId": "u", "groupName": "g"}, {"target": "t", "userId": "u"}),
        ({"target": "t", "connectionId": None, "groupName": "g"}, {"target": "t", "groupName": "g"}),
        # An error when it is sent, unless an empty destination counts as absent.
        (
            {"target": "t", "userId": "", "groupName": "g", "connectionId": None},
            {"target": "t", "userId": "", "groupName": "g"},
        ),
        (
            {"target": "t", "connectionId": "", "userId": "u", "groupName": "g"},
            {"target": "t", "connectionId": "", "userId": "u"},
        ),
        ({"target": None, **JOIN, "userId": "u"}, JOIN),
        ({"action": 1, "userId": "u", "groupName": "g"}, {"action": "remove", "userId": "u", "groupName": "g"}),
        ({"action": "removeAll", "userId": "u", "groupName": "g"}, {"action": "removeAll", "userId": "u"}),
        ({"action": "close", "groupName": "g", "reason": "r"}, {"action": "close", "groupName": "g", "reason": "r"}),
        ({"neither": 1}, {"action": None}),
    ],
)
def test_the_bindings_leniency(item: Any, sent: Any) -> None:
    assert outputs({"a": item}) == [sent]


@pytest.mark.parametrize("value", [5, True, "no JSON", '"text"', "5", [5], ["x"], [["a"]], "[5", '{"a":'])
def test_what_is_no_item_is_a_failure(value: Any) -> None:
    with pytest.raises(BackendFailed) as caught:
        outputs({"a": value})
    assert "no JSON" not in str(caught.value)


@pytest.mark.parametrize("value", [5, [MESSAGE], "text", True])
def test_outputs_are_an_object(value: Any) -> None:
    with pytest.raises(BackendFailed):
        outputs(value)
