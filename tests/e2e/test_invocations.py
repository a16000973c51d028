"""The JavaScript client calls Python handlers, and they call it: each kind of value and of error, in both protocols.

Integers: JavaScript has them exactly up to 2**53 - 1, and its MessagePack library sends larger ones as floats. So what
the client can say and show of 64 bits is a double; that none is lost on the way is shown by pysignalr, which has them
all.
"""

import asyncio
import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from pysignalr.client import SignalRClient
from pysignalr.messages import CompletionMessage, Message
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

from tests.e2e.invoked import NOT_ENCODABLE, RESULTS, SECRET, Ticket
from tests.e2e.node_client import CallFailed, NodeClient
from tests.e2e.processes import NAMED_CLIENTS, Machine, run_apart, run_dev
from tests.e2e.test_pysignalr import WITHIN, connected

Connect = Callable[..., NodeClient]

HANDLERS = "tests.e2e.invoked:chat"
JSON, MESSAGEPACK = "json", "messagepack"
OTHER = {JSON: MESSAGEPACK, MESSAGEPACK: JSON}

LARGE = 2**53 - 1
TIME = datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC)


@pytest.fixture(scope="module", params=["dev", "apart"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Both ways to run: all in one process, which must not wait for itself, and `serve` beside `emulator`."""
    settings = {"BRIDGE_HANDLERS": HANDLERS, **NAMED_CLIENTS}
    with run_dev("--handlers", HANDLERS) if request.param == "dev" else run_apart(settings) as running:
        yield running


@pytest.fixture(params=[JSON, MESSAGEPACK])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(connect: Connect, protocol: str) -> NodeClient:
    return connect(some_user(), protocol=protocol)


def some_user() -> str:
    return f"user-{secrets.token_hex(4)}"


def fail(client: NodeClient, *call: Any) -> str:
    with pytest.raises(CallFailed) as failed:
        client.invoke(*call)
    return str(failed.value)


# --- values as clients have them


def speak(value: Any, protocol: str) -> Any:
    """The value as a client says and hears it. In JSON, bytes and times are text."""
    match value:
        case bytes():
            return {"$bytes": value.hex()} if protocol == MESSAGEPACK else b64encode(value).decode()
        case datetime():
            milliseconds = f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}"
            return {"$time": f"{milliseconds}Z"} if protocol == MESSAGEPACK else f"{milliseconds}000Z"
        case list() | tuple():
            return [speak(one, protocol) for one in value]
        case dict():
            return {name: speak(one, protocol) for name, one in value.items()}
        case _:
            return as_number(simplify(value))


def simplify(value: Any) -> Any:
    """What becomes of an object on its way to any client."""
    match value:
        case BaseModel():
            return value.model_dump(by_alias=True)
        case Ticket():
            return asdict(value) | {"seat": simplify(value.seat)}
        case Enum():
            return value.value
        case UUID():
            return str(value)
    return value


def as_number(value: Any) -> Any:
    """An integer as JavaScript has it; everything else as it is."""
    return float(value) if isinstance(value, int) and abs(value) > LARGE else value


# --- arguments

ARGUMENTS: dict[str, list[Any]] = {
    "none": [],
    "eleven": [0, "one", 2.5, None, True, [], {}, "", -8, "nine", False],
    "nested objects": [{"A": {"b": [{"c": {"": [[[None]]]}}], "a": 1}}, [[], {}, [{}]]],
    "unicode": ["é", "e\u0301", "\u2028\u2029\ufeff", "\U0001f600", "\0\x1e\x7f", "עברית", {"ключ": "值"}],
    "integers": [0, -1, 127, 128, -33, 2**31, -(2**31) - 1, 2**32, LARGE, -LARGE],
    "floats": [0.1, -1e300, 5e-324],
    "binary": [bytes(range(256)), b"", {"inside": [b"\0"]}],
    "times": [TIME, [datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)]],
    "null": [None, [None], {"null": None}],
    "long": ["x" * 70_000, list(range(1000))],
}


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_reach_the_handler_and_come_back(client: NodeClient, protocol: str, arguments: list[Any]) -> None:
    said = speak(arguments, protocol)
    assert client.invoke("see", *said) == repr(tuple(arguments if protocol == MESSAGEPACK else said))
    assert client.invoke("echo", *said) == said


def test_parameters_with_types_get_the_same_from_every_client(client: NodeClient, protocol: str) -> None:
    assert client.invoke("eleven", *range(11)) == list(range(11))
    assert client.invoke("reverse", speak(b"\0\x01\xff", protocol)) == speak(b"\xff\x01\0", protocol)


@pytest.mark.parametrize("number", [LARGE, -LARGE, 2**53, 2**62, 2**63 - 1024, -(2**63) + 1024])
def test_an_integer_that_the_client_has_reaches_the_handler(client: NodeClient, number: int) -> None:
    """Beyond 2**53 the client has only the nearest double, and writes it in JSON with zeros at its end."""
    seen = int(client.invoke("digits", number))
    assert seen == number if abs(number) <= LARGE else float(seen) == float(number)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 2**64 - 1])
def test_a_float_that_is_no_signed_integer_of_64_bits_is_none(client: NodeClient, protocol: str, number: int) -> None:
    """The client has 2**63 and more as floats, and pydantic makes integers of smaller ones only."""
    if protocol == JSON:
        assert float(client.invoke("digits", number)) == float(number)
    else:
        assert fail(client, "digits", number) == "Method 'digits': the argument 'number' must be int."


@pytest.mark.parametrize("pysignalr_protocol", [JSONProtocol, MessagepackProtocol])
async def test_integers_of_64_bits_are_exact_on_the_way(machine: Machine, pysignalr_protocol: Any) -> None:
    numbers = [2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1]
    client = SignalRClient(f"{machine.url}/hubs/chat?userId={some_user()}", protocol=pysignalr_protocol())
    completed: asyncio.Queue[Message] = asyncio.Queue()
    async with connected(machine, client), asyncio.timeout(WITHIN):
        for method, expected in (("see", repr(tuple(numbers))), ("echo", numbers)):
            await client.send(method, numbers, completed.put)  # type: ignore[arg-type]
            completion = await completed.get()
            assert isinstance(completion, CompletionMessage)
            assert completion.result == expected


# --- results


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_of_each_kind(client: NodeClient, protocol: str, kind: str) -> None:
    heard, expected = as_number(client.invoke("give", kind)), speak(RESULTS[kind], protocol)
    assert json.dumps(heard) == json.dumps(expected), "false is not 0"


def test_a_handler_that_returns_nothing(client: NodeClient) -> None:
    assert client.invoke("giveNothing") is None


# --- errors

ERRORS: dict[str, tuple[tuple[Any, ...], str]] = {
    "HubError": (("refuse", "Not on a Sunday. é\U0001f600"), "Not on a Sunday. é\U0001f600"),
    "Rejected": (("reject", "You are banned."), "You are banned."),
    "any other": (("fail",), "Method 'fail' failed."),
    "too few": (("eleven", 1, 2), "Method 'eleven': the argument 'c' (int) is missing."),
    "too many": (("digits", 1, 2), "Method 'digits' was called with 2 arguments, more than it takes: number (int)."),
    "wrong type": (("digits", "a secret"), "Method 'digits': the argument 'number' must be int."),
    "null for a number": (("digits", None), "Method 'digits': the argument 'number' must be int."),
    "unknown method": (("nobody",), "Invocation failed, status code 404"),
    "time-out": (("dawdle",), "Method 'dawdle' failed."),
} | {f"no result: {kind}": (("giveUnencodable", kind), "Method 'giveUnencodable' failed.") for kind in NOT_ENCODABLE}


@pytest.mark.parametrize(("call", "error"), ERRORS.values(), ids=ERRORS)
def test_an_error_of_each_kind(client: NodeClient, call: tuple[Any, ...], error: str) -> None:
    assert fail(client, *call) == error
    assert client.invoke("echo", "on") == ["on"], "the connection lives on"


def test_an_integer_beyond_64_bits_is_a_result_in_json_alone(client: NodeClient, protocol: str) -> None:
    if protocol == JSON:
        assert float(client.invoke("giveTooLarge")) == float(2**64)
    else:
        assert fail(client, "giveTooLarge") == "Method 'giveTooLarge' failed."


def test_the_log_has_what_the_client_is_not_told(machine: Machine, client: NodeClient) -> None:
    assert SECRET not in fail(client, "fail")
    machine.bridge.wait_for_line(SECRET)


# --- calls of clients


def test_a_handler_calls_its_own_caller(client: NodeClient) -> None:
    assert client.invoke("askMe", "nameYourself") == client.connection_id


ANSWERS: list[Any] = [1, -2.5, False, 0, "", "é\u2028\U0001f600", None, [], {"Nested": [{"n": None}]}, LARGE]


@pytest.mark.parametrize("value", ANSWERS, ids=repr)
def test_what_the_caller_answers_is_what_the_handler_gets(client: NodeClient, value: Any) -> None:
    assert client.invoke("seeMine", "give", value) == repr(value)


def test_bytes_of_an_answer_are_text(client: NodeClient, protocol: str) -> None:
    """REST is JSON, whatever the client speaks."""
    assert client.invoke("askMe", "give", speak(b"\0\x01\xff", protocol)) == "AAH/"


def test_a_send_is_no_hindrance_either(client: NodeClient) -> None:
    client.send("askMe", "vanish")
    assert client.event("closed")["error"] is None


def test_a_call_that_waits_holds_up_nobody_else(connect: Connect, client: NodeClient, protocol: str) -> None:
    other = connect(some_user(), protocol=OTHER[protocol])
    other.send("askMe", "wait")
    assert client.invoke("askMe", "nameYourself") == client.connection_id
    assert client.invoke("ask", [other.connection_id], 10, "give", 1) == [{"answer": 1}], "not even at that client"


def test_two_clients_are_called_in_turn(connect: Connect, client: NodeClient, protocol: str) -> None:
    other = connect(some_user(), protocol=OTHER[protocol])
    whom = [other.connection_id, client.connection_id, other.connection_id]
    assert client.invoke("ask", whom, 10, "nameYourself") == [{"answer": one} for one in whom]


FAILURES: dict[str, tuple[tuple[Any, ...], dict[str, str]]] = {
    "its own error": (("refuse", "Not now. é"), {"error": "InvokeFailed", "detail": "Error: Not now. é"}),
    "no such method": (("missing",), {"error": "InvokeFailed", "detail": "Client didn't provide a result."}),
    "no result": (("giveNothing",), {"error": "InvokeFailed", "detail": "Client didn't provide a result."}),
}


@pytest.mark.parametrize(("call", "failure"), FAILURES.values(), ids=FAILURES)
def test_a_client_that_refuses(client: NodeClient, call: tuple[Any, ...], failure: dict[str, str]) -> None:
    assert client.invoke("ask", [client.connection_id], 10, *call) == [failure]
    assert fail(client, "askMe", *call) == "Method 'askMe' failed.", "a handler that does not care has failed"


def test_a_client_that_does_not_answer(connect: Connect, client: NodeClient, protocol: str) -> None:
    other = connect(some_user(), protocol=OTHER[protocol])
    became = client.invoke("ask", [client.connection_id, other.connection_id], 1, "wait")
    assert [one["error"] for one in became] == ["ClientTimeout"] * 2
    assert client.invoke("ask", [other.connection_id], 10, "give", 1) == [{"answer": 1}], "both live on"


def test_a_client_that_asks_back_before_it_answers(client: NodeClient) -> None:
    """Events of a connection come one after the other, so it waits for itself; the time-out ends that."""
    [became] = client.invoke("ask", [client.connection_id], 1, "askBack")
    assert became["error"] == "ClientTimeout"
    assert client.invoke("askMe", "nameYourself") == client.connection_id


def test_a_client_that_vanishes_and_one_that_has_gone(connect: Connect, client: NodeClient, protocol: str) -> None:
    other = connect(some_user(), protocol=OTHER[protocol])
    [became] = client.invoke("ask", [other.connection_id], 10, "vanish")
    assert became["error"] == "ConnectionNotFound"
    first, second = client.invoke("ask", [other.connection_id, client.connection_id], 10, "give", 1)
    assert (first["error"], second) == ("ConnectionNotFound", {"answer": 1})
