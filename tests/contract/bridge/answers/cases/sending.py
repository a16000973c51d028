"""Messages, group actions and closes: every result, every fault of a body, and answers that are given again."""

import json
from collections.abc import Iterator
from typing import Any

from tests.contract.bridge.answers.cases.request import JSON, by, case
from tests.contract.bridge.answers.exchange import Case

_SEND = "/hubs/chat/send"
WORDS = ("absent", "bare", "400", "401", "403", "408", "413", "429", "503", "500", "504", "cut", "nothing")
"""What the service says."""


def soon(word: str) -> tuple[str, ...]:
    """The header line of a caller who does not wait for a service that says nothing."""
    return ("X-Request-Timeout: 0.3",) if word == "nothing" else ()


def messages() -> Iterator[Case]:
    """Whom a message is for, and what the service says to it."""
    message: dict[str, Any] = {"target": "t", "arguments": ["x"]}
    destinations: dict[str, dict[str, Any]] = {
        "everybody": {},
        "everybody but two": {"excluded": ["a", "b"]},
        "a user": {"userId": "ann"},
        "a group": {"groupName": "g/1"},
        "a group but one": {"groupName": "g", "excluded": ["a"]},
        "a connection": {"connectionId": "c"},
        "an endpoint": {"endpoints": ["DEFAULT"]},
        "an endpoint as it is listed": {"endpoints": [{"Name": "default", "online": True}]},
        "nulls": {"userId": None, "excluded": None, "endpoints": None},
    }
    for name, more in destinations.items():
        yield by("sender", f"to {name}", "POST", _SEND, body=message | more)
    for word in WORDS:
        body = message | {"userId": f"say-{word}"}
        yield by("sender", f"to a user: {word}", "POST", _SEND, *soon(word), body=body)
    busy = message | {"userId": "say-busy"}
    yield by("sender", "to a user: busy to the end", "POST", _SEND, "X-Request-Timeout: 1", body=busy)
    for word in ("500", "429", "403", "cut"):
        yield by("sender", f"to everybody: {word}", "POST", f"/hubs/say_{word}/send", body=message)
    yield by("sender", "to a connection that is absent", "POST", _SEND, body=message | {"connectionId": "say-absent"})


def faults() -> Iterator[Case]:
    """What is wrong with a message."""
    message = {"target": "t"}
    bodies: dict[str, object] = {
        "no target": {},
        "an empty target": {"target": ""},
        "a number for a target": {"target": 1},
        "no arguments": {"target": "t", "arguments": {}},
        "two destinations": message | {"userId": "a", "groupName": "g"},
        "an empty user": message | {"userId": ""},
        "a blank group": message | {"groupName": " "},
        "dots": message | {"connectionId": ".."},
        "a control character": message | {"userId": "a\nb"},
        "excluded of a user": message | {"userId": "a", "excluded": ["c"]},
        "excluded that are none": message | {"excluded": "c"},
        "excluded that is empty": message | {"excluded": ["c", ""]},
        "no endpoints": message | {"endpoints": []},
        "an unknown endpoint": message | {"endpoints": ["default", "x"]},
        "an endpoint without a name": message | {"endpoints": [{}]},
        "a number for an endpoint": message | {"endpoints": [1]},
        "an unknown property": message | {"users": 1, "~/\xe4" + "y" * 80: 2},
        "an action": message | {"action": "add"},
        "many": {"target": "", "userId": "", "groupName": 1, "arguments": 2, "x": 3},
        "a text": "x",
        "a number": 1,
        "null": None,
        "too many excluded": message | {"excluded": [f"connection-{n:020}" for n in range(300)]},
        "too long": message | {"arguments": ["x" * 1_000_001]},
        "an array of none": [1],
        "an array with faults": [message, {"target": ""}, {"x": 1}],
    }
    for name, body in bodies.items():
        yield by("sender", f"fault: {name}", "POST", _SEND, JSON, body=json.dumps(body).encode())
    texts = {
        "nothing": b"",
        "no JSON": b"x",
        "half": b'{"target": "t"',
        "more behind it": b'{"target": "t"} x',
        "not UTF-8": b'{"target": "t", "arguments": ["\xff"]}',
        "a lone surrogate": b'{"target": "t", "arguments": ["\\ud800"]}',
        "a surrogate in a name": b'{"\\ud800": 1}',
        "twice": b'{"target": "t", "target": "u"}',
        "twice in two spellings": b'{"target": "t", "Target": "u"}',
        "twice inside": b'{"target": "t", "arguments": [{"a": 1, "a": 2}]}',
        "no number": b'{"target": "t", "arguments": [01]}',
        "NaN": b'{"target": "t", "arguments": [NaN]}',
        "numbers": b'{"target": "t", "arguments": [1.0, 1e400, 12345678901234567890123, -0]}',
        "a mark first": b'\xef\xbb\xbf{"target": "t"}',
        "a comma too many": b'{"target": "t",}',
        "deep": b'{"target": "t", "arguments": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        "half an array": b'[{"target": "t"}',
        "blanks around it": b' \t\r\n {"target": "t"} \n',
        "an item too large": b'{"target": "t", "arguments": [' + b" " * 1_048_576 + b"]}",
        "an array of nothing": b"[]",
        "an array of blanks": b" [ ] ",
    }
    for name, text in texts.items():
        yield by("sender", f"text: {name}", "POST", _SEND, JSON, body=text)
    small = b'{"target":"t"}'
    for name, lines in {
        "none": (),
        "empty": ("Content-Type:",),
        "text": ("Content-Type: text/plain",),
        "parameters": ("Content-Type: application/json; charset=utf-16",),
        "capitals": ("Content-Type: APPLICATION/JSON",),
        "a kind of JSON": ("Content-Type: application/problem+json",),
        "two": ("Content-Type: text/plain", JSON),
        "encoded": (JSON, "Content-Encoding: br"),
        "not encoded": (JSON, "Content-Encoding: Identity"),
    }.items():
        yield by("sender", f"type: {name}", "POST", _SEND, *lines, body=small)


def options() -> Iterator[Case]:
    """The query and the headers of a send."""
    message = {"target": "t"}
    for query in (
        "?onError=stop",
        "?onError=continue",
        "?onError=x",
        "?onError=",
        "?onError=stop&onError=stop",
        "?order=none",
        "?order=sequence",
        "?order=x",
        "?onerror=stop",
        "?x",
        "?%FF=1",
        "?onError=%FF",
        "?&",
        "?=",
        "?a;b",
    ):
        yield by("sender", f"query {query}", "POST", _SEND + query, body=message)
    for given in ("0.1", "100", "0.09", "101", "1e1", "", " 5 ", "-1", "5s", "1,2", "0.1234567", "00.1"):
        yield by("sender", f"time-out {given!r}", "POST", _SEND, f"X-Request-Timeout: {given}", body=message)
    yield by("sender", "two time-outs", "POST", _SEND, "X-Request-Timeout: 1", "X-Request-Timeout: x", body=message)


def arrays() -> Iterator[Case]:
    """Arrays in order, side by side, with and without failures."""
    good, gone = {"target": "t"}, {"target": "t", "userId": "say-absent"}
    bad, join = {"target": "t", "userId": "say-403"}, {"action": "add", "userId": "say-absent", "groupName": "g"}
    leave, close = {"action": "removeAll", "userId": "ann"}, {"action": "close", "connectionId": "c", "reason": "bye"}
    arrays: dict[str, list[Any]] = {
        "all kinds": [good, leave, close],
        "nothing": [],
        "one": [good],
        "one that fails": [bad],
        "a failure first": [bad, good, good],
        "a failure inside": [good, bad, good],
        "a user who is absent": [good, gone, good],
        "a join that is absent": [join, good],
        "only a join that is absent": [join],
        "a close that is absent": [{"action": "Close", "connectionId": "say-absent"}],
        "a fault": [good, {"target": ""}, close | {"userId": "u"}],
        "no kind": [{"userId": "u"}],
        "an unknown action": [{"action": "x", "userId": "u"}],
        "a thousand": [good] * 1001,
    }
    for name, items in arrays.items():
        for query in ("", "?onError=continue", "?order=none") if len(items) in {2, 3} else ("",):
            yield by("all", f"outputs {query}: {name}", "POST", f"/hubs/chat/outputs{query}", body=items)
    yield by("all", "outputs: one that is no array", "POST", "/hubs/chat/outputs", body=good)
    yield by("all", "outputs: no JSON", "POST", "/hubs/chat/outputs", JSON, body=b"x")
    yield by("sender", "outputs: without the right of an item", "POST", "/hubs/chat/outputs", body=[good, leave])
    yield by("closer", "outputs: with the right of an item", "POST", "/hubs/chat/outputs", body=[close])
    yield by("sender", "messages", "POST", _SEND, body=[good, {"target": "t", "userId": "u"}])
    yield by("sender", "messages: a failure", "POST", _SEND, body=[good, bad, good])
    yield by("sender", "messages: a close", "POST", _SEND, body=[close])
    yield case("outputs: too large", "POST", "/hubs/chat/outputs", *_LARGE)


_LARGE = ("X-API-Key: a-key-of-all-0000", JSON, "Content-Length: 8388609", "Expect: 100-continue")


def groups() -> Iterator[Case]:
    """Group actions and their faults."""
    path = "/hubs/chat/groups"
    add = {"action": "add", "groupName": "g"}
    bodies: dict[str, object] = {
        "add a user": add | {"userId": "u"},
        "add a connection": add | {"connectionId": "c"},
        "add for a while": add | {"userId": "u", "ttlSeconds": 60},
        "add in capitals": {"ACTION": "ADD", "GROUPNAME": "g", "USERID": "u"},
        "remove a user": {"action": "remove", "groupName": "g", "userId": "u"},
        "remove a connection": {"action": "Remove", "groupName": "g", "connectionId": "c"},
        "remove a user from all": {"action": "removeAll", "userId": "u"},
        "remove a connection from all": {"action": "removeall", "connectionId": "c"},
        "an absent connection": add | {"connectionId": "say-absent"},
        "remove an absent one": {"action": "remove", "groupName": "g", "connectionId": "say-absent"},
        "a service that fails": add | {"userId": "say-500"},
        "a service that asks for a pause": add | {"userId": "say-503"},
        "nobody": add,
        "two": add | {"userId": "u", "connectionId": "c"},
        "no group": {"action": "add", "userId": "u"},
        "no action": {"groupName": "g", "userId": "u"},
        "an unknown action": {"action": "join", "groupName": "g", "userId": "u"},
        "a group for all": {"action": "removeAll", "groupName": "g", "userId": "u"},
        "a while for a connection": add | {"connectionId": "c", "ttlSeconds": 1},
        "a negative while": add | {"userId": "u", "ttlSeconds": -1},
        "a while of a half": add | {"userId": "u", "ttlSeconds": 0.5},
        "a message": {"target": "t"},
        "an array": [add | {"userId": "u"}, {"action": "removeAll", "userId": "u"}],
        "an array with faults": [add | {"userId": ""}, {}],
    }
    for name, body in bodies.items():
        yield by("groups", f"groups: {name}", "POST", path, body=body)


def once() -> Iterator[Case]:
    """``Idempotency-Key``: an answer is given again, and what failed is tried again."""
    body, other = {"target": "t"}, {"target": "u"}

    def send(name: str, given: str, *lines: str, body: object = body, path: str = _SEND, caller: str = "all") -> Case:
        return by(caller, f"once: {name}", "POST", path, f"Idempotency-Key: {given}", *lines, body=body)

    yield send("the first time", "k-1", "X-Request-Id: first")
    yield send("again", "k-1", "X-Request-Id: second")
    yield send("with another body", "k-1", body=other)
    yield send("by another caller", "k-1", caller="sender")
    yield send("with another query", "k-1", path=f"{_SEND}?onError=stop")
    yield send("of another path", "k-1", path="/hubs/news/send")
    unknown = {"target": "t", "userId": "say-cut"}
    yield send("unknown", "k-2", "X-Request-Id: third", body=unknown)
    yield send("unknown again", "k-2", "X-Request-Id: fourth", body=unknown)
    failed = {"target": "t", "userId": "say-403"}
    yield send("failed", "k-3", body=failed)
    yield send("failed again with another body", "k-3")
    yield send("as long as it may be", "k" * 255)
    yield send("too long", "k" * 256)
    yield send("empty", "")
    yield send("with a blank", "a b")
    yield send("not of ASCII", "\xc3\xa4")
    yield send("two", "a", "Idempotency-Key: b")
    yield send("a fault", "k-4", body={})
    path = "/hubs/chat/groups/g/users/u"
    for name in ("the first time", "again"):
        yield by("all", f"once: a change {name}", "PUT", path, "Idempotency-Key: k-5")
    yield by("all", "once: a change with another query", "PUT", f"{path}?ttlSeconds=1", "Idempotency-Key: k-5")
    path = "/hubs/chat/connections/say-result/invoke"
    for name in ("the first time", "again"):
        yield by("all", f"once: a call {name}", "POST", path, "Idempotency-Key: k-6", body=body)
