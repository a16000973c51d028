"""Values at the edges of both hub protocols, from clients through emulator, bridge and handler, and back to them.

Sources: ``DateTime.MaxValue`` and ``DateTimeOffset`` in MessagePack are written as in recordings of Microsoft's .NET
libraries, and streams as its JavaScript client writes them. The numbers are those of RFC 8259.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import msgpack
import pytest

from tests.e2e.node_client import CallFailed, NodeClients
from tests.e2e.processes import EMULATOR_KEY, Machine
from tests.e2e.raw_client import RawClient, raw_client

STREAMS = "Streams from clients are not carried in serverless mode: send the items as arguments."
UNHELD = "An argument or a result is a value that cannot be carried: out of range, of an unknown kind or too deep."

MAX_VALUE = "c70cff 3b9ac99c 0000003afff4417f"
"""9999-12-31T23:59:59.9999999, .NET's word for "no end date"."""
WITH_OFFSET = "92 d6ff65fd5940 78"
"""2024-03-22T10:11:12+02:00, as the Management SDK 1.25 wrote it."""

TOO_MUCH_IN_MESSAGEPACK = {
    "the year 10000": "c70cff 00000000 0000003afff44180",
    "before the year 1": "c70cff 00000000 fffffff1886e08ff",
    "a second of nanoseconds": "d7ff ee6b280000000001",
    "a time of one byte": "d4ff00",
    "a map as a key": "81 80 01",
    "nesting": "91" * 3000 + "c0",
}
TOO_MUCH_IN_JSON = {"1e999": "1e999", "5,000 digits": "7" * 5000, "nesting": "[" * 5000 + "]" * 5000}


def packed(invocation_id: str | None, target: str, arguments: str, streams: str = "90") -> bytes:
    """An invocation with arguments that are packed already, as hexadecimal digits."""
    known: list[Any] = [{}, invocation_id, target]
    return b"\x96\x01" + b"".join(map(msgpack.packb, known)) + bytes.fromhex(arguments + streams)


def in_json(invocation_id: str | None, target: str, arguments: str, streams: str = "[]") -> bytes:
    said = '"invocationId":"' + invocation_id + '",' if invocation_id else ""
    return f'{{"type":1,{said}"target":"{target}","arguments":{arguments},"streamIds":{streams}}}'.encode()


WRITE: dict[str, Callable[..., bytes]] = {"json": in_json, "messagepack": packed}
ADD = {"json": "[1,2]", "messagepack": "92 01 02"}
TOO_MUCH = [
    *(("messagepack", f"91{value}") for value in TOO_MUCH_IN_MESSAGEPACK.values()),
    *(("json", f"[{value}]") for value in TOO_MUCH_IN_JSON.values()),
]


@pytest.fixture(params=["json", "messagepack"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(apart: Machine, protocol: str) -> Iterator[RawClient]:
    with raw_client(apart.emulator_port, protocol) as client:
        yield client


@pytest.fixture(scope="module")
def service(apart: Machine) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=apart.url, trust_env=False, timeout=10) as http:
        yield http


def call_upstream(service: httpx.Client, protocol: str, body: bytes, event: str = "echo") -> httpx.Response:
    """What the service sends for a client's message, with its body as it is."""
    kinds = {"json": "application/json", "messagepack": "application/x-msgpack"}
    headers = {
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": event,
        "X-ASRS-Signature": "sha256=" + hmac.new(EMULATOR_KEY.encode(), b"c1", hashlib.sha256).hexdigest(),
        "Content-Type": kinds[protocol],
    }
    return service.post("/upstream", content=body, headers=headers)


def test_a_value_that_has_no_place_costs_one_invocation_an_error(client: RawClient, protocol: str) -> None:
    write = WRITE[protocol]
    for spoken, arguments in TOO_MUCH:
        if spoken == protocol:
            client.send(write(None, "echo", arguments))
            client.send(write("7", "echo", arguments))
            assert client.answer() == {"id": "7", "error": UNHELD}
    client.send(write("8", "add", ADD[protocol]))
    assert client.answer() == {"id": "8", "result": 3}


def test_the_bridge_answers_the_service_by_a_completion(service: httpx.Client) -> None:
    for protocol, arguments in TOO_MUCH:
        write = WRITE[protocol]
        answer = call_upstream(service, protocol, write("7", "echo", arguments))
        assert (answer.status_code, UNHELD in answer.text) == (200, True), arguments[:40]
        unheard = call_upstream(service, protocol, write(None, "echo", arguments))
        assert (unheard.status_code, unheard.content) == (200, b"")
    broken = call_upstream(service, "messagepack", b"\x96\x01\x80")
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed-json")
    assert (broken.json()["title"], "JSON" in broken.json()["detail"]) == ("Malformed MessagePack", False)


def test_times_of_dotnet(apart: Machine) -> None:
    order = "82 a57072696365 a4312e3130 a6706c61636564" + WITH_OFFSET
    with raw_client(apart.emulator_port, "messagepack") as client:
        client.send(packed("1", "echo", "91" + MAX_VALUE))
        assert client.answer()["result"] == [datetime.max.replace(tzinfo=UTC)]
        client.send(packed("2", "moments", "93" + MAX_VALUE + "92" + WITH_OFFSET + MAX_VALUE + order))
        with_offset, max_value = "2024-03-22T10:11:12+02:00", "9999-12-31T23:59:59.999999+00:00"
        assert client.answer()["result"] == [max_value, with_offset, max_value, with_offset]
        client.send(packed("3", "moments", "93" + WITH_OFFSET + "90" + order))
        assert client.answer()["result"] == [with_offset, with_offset]
        client.send(packed("4", "stamp", "93" + "92 d6ff65fd5940 cd7fff" + "c400 01"))
        assert "the argument 'moment' must be datetime" in client.answer()["error"]


def test_numbers_keep_their_digits_on_the_way_to_a_handler_and_back(apart: Machine) -> None:
    with raw_client(apart.emulator_port, "json") as client:
        for written, read in {
            "12345678901234567.89": "",
            "1.10": "",
            "-5": "",
            "1e5": "1E+5",
            "1e999": "1E+999",
        }.items():
            client.send(in_json("1", "price", f"[{written}]"))
            assert client.receive() == b'{"type":3,"invocationId":"1","result":%s}' % (read or written).encode()
        orders = '[[{"price":12345678901234567.89,"weight":1.5},{"price":0.10}],79228162514264337593543950335.5]'
        client.send(in_json("2", "orders", orders))
        prices = ["12345678901234567.89 float", "0.10 float", "79228162514264337593543950335.5"]
        assert client.answer() == {"id": "2", "result": prices}
        client.send(in_json("3", "price", '["much"]'))
        assert client.answer()["error"] == "Method 'price': the argument 'amount' must be Decimal."
        client.send(in_json(None, "tell", "[]"))
        told = b'{"type":1,"target":"newMessage","arguments":[12345678901234567.89,1e16,null]}'
        assert client.receive() == told
    with raw_client(apart.emulator_port, "messagepack") as client:
        client.send(packed("1", "price", "91 b4" + b"12345678901234567.89".hex()))
        assert client.answer() == {"id": "1", "result": "12345678901234567.89"}


def test_what_a_caller_sends_reaches_clients_as_it_was_written(apart: Machine) -> None:
    arguments = b'[1e5,1.10,12345678901234567.89,1E400,%s,{"a":1,"a":[ ]},"\\u00e9"]' % (b"9" * 5000)
    with raw_client(apart.emulator_port, "json") as client, raw_client(apart.emulator_port, "messagepack") as other:
        with apart.http() as http:
            body = b'{"target":"newMessage","arguments":%s}' % arguments
            sent = http.post("/hubs/chat/send", content=body, headers={"Content-Type": "application/json"})
            half = http.post(
                "/hubs/chat/send",
                content=b'{"target":"newMessage","arguments":["\\ud800"]}',
                headers={"Content-Type": "application/json"},
            )
        assert (sent.status_code, half.status_code, half.json()["code"]) == (202, 400, "malformed-json")
        assert client.receive() == b'{"type":1,"target":"newMessage","arguments":%s}' % arguments
        [_, _, _, target, values, _] = msgpack.unpackb(other.receive())
        endless = float("inf")
        assert (target, values) == (
            "newMessage",
            [1e5, 1.1, 12345678901234567.89, endless, endless, {"a": []}, "é"],
        )


def test_streams_are_refused(service: httpx.Client, client: RawClient, protocol: str) -> None:
    write, streams = WRITE[protocol], {"json": '["9"]', "messagepack": "91a139"}[protocol]
    client.send(write(None, "add", ADD[protocol], streams))
    client.send(write("7", "add", ADD[protocol], streams))
    assert client.answer() == {"id": "7", "error": STREAMS}
    client.send(write("8", "add", ADD[protocol]))
    assert client.answer() == {"id": "8", "result": 3}
    answer = call_upstream(service, protocol, write("7", "add", ADD[protocol], streams), "add")
    assert (answer.status_code, STREAMS in answer.text) == (200, True)


@pytest.mark.parametrize("spoken", ["json", "messagepack"])
def test_streams_and_half_characters_of_microsofts_client(apart: Machine, node: NodeClients, spoken: str) -> None:
    client = node.client().start(f"{apart.url}/hubs/chat?userId=ann", protocol=spoken)
    try:
        with pytest.raises(CallFailed, match="not carried in serverless mode"):
            client.invoke("echo", "first", {"$stream": [1, 2]})
        assert client.invoke("echo", "cut \ud83d", "\ude00\ud83d\ude00", {"\ud83d": [1]}) == [
            "cut \ufffd",
            "\ufffd\U0001f600",
            {"\ufffd": [1]},
        ]
    finally:
        client.stop()


def test_half_characters_from_the_service(service: httpx.Client) -> None:
    body = b'{"type":1,"invocationId":"1","target":"echo","arguments":["\\\\ud83d","\\ud83d","\\ud83d\\ude00"]}'
    answer: Any = json.loads(call_upstream(service, "json", body).content[:-1])
    assert answer["result"] == ["\\ud83d", "\ufffd", "\U0001f600"]
    unpacked = call_upstream(service, "messagepack", packed("1", "echo", "91 a4 61eda0bd")).content
    assert msgpack.unpackb(unpacked[1:])[4] == ["a\ufffd"]
