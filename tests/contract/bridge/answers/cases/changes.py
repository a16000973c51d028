"""Changes, closes, questions and calls of clients: what each word of the service becomes."""

from collections.abc import Iterator

from tests.contract.bridge.answers.cases.request import JSON, by, case
from tests.contract.bridge.answers.cases.sending import WORDS, soon
from tests.contract.bridge.answers.exchange import Case


def changes() -> Iterator[Case]:
    """A change says where it could not be made."""
    for word in WORDS:
        target = f"/hubs/chat/groups/g/connections/say-{word}"
        yield by("groups", f"join: {word}", "PUT", target, *soon(word))
        yield by("groups", f"leave: {word}", "DELETE", target, *soon(word))
        yield by("closer", f"close: {word}", "DELETE", f"/hubs/chat/connections/say-{word}", *soon(word))
    for word in ("absent", "bare", "403", "503", "500"):
        yield by("groups", f"user join: {word}", "PUT", f"/hubs/chat/groups/g/users/say-{word}", *soon(word))
        yield by("groups", f"user leave: {word}", "DELETE", f"/hubs/chat/groups/g/users/say-{word}", *soon(word))
        yield by("groups", f"user leaves all: {word}", "DELETE", f"/hubs/chat/users/say-{word}/groups", *soon(word))
        yield by("groups", f"leaves all: {word}", "DELETE", f"/hubs/chat/connections/say-{word}/groups", *soon(word))
        yield by("closer", f"user close: {word}", "DELETE", f"/hubs/chat/users/say-{word}/connections", *soon(word))
        yield by("closer", f"group close: {word}", "DELETE", f"/hubs/chat/groups/say-{word}/connections", *soon(word))
        yield by("closer", f"close all: {word}", "DELETE", f"/hubs/say_{word}/connections?confirm=all", *soon(word))
    for query in (
        "",
        "?confirm=yes",
        "?confirm=all&confirm=all",
        "?Confirm=all",
        "?confirm=all&reason=x&excluded=a",
        "?confirm=all&excluded=",
        "?confirm=all&excluded=.",
        "?confirm=all&excluded=a%0Ab",
        "?confirm=all&reason=a&reason=b",
        "?confirm=all&x=1",
        "?confirm=all&reason=" + "x" * 9000,
    ):
        yield by("closer", f"close all {query[:60]}", "DELETE", f"/hubs/chat/connections{query}")
    for ttl in ("0", "999999999", "1000000000", "-1", "x", "", "1.5", "1&ttlSeconds=2"):
        yield by("groups", f"for a while: {ttl}", "PUT", f"/hubs/chat/groups/g/users/u?ttlSeconds={ttl}")
    yield by("groups", "for a while: a connection", "PUT", "/hubs/chat/groups/g/connections/c?ttlSeconds=1")
    yield by("groups", "with a body", "PUT", "/hubs/chat/groups/g/connections/c", body={"x": 1})
    yield by(
        "groups", "a name too long for a URL", "PUT", f"/hubs/chat/groups/{'%F0%9F%98%80' * 512}/users/{'%C3%A4' * 800}"
    )


def questions() -> Iterator[Case]:
    """One yes is enough, and a no needs everybody's."""
    for word in WORDS:
        yield by("reader", f"connection: {word}", "GET", f"/hubs/chat/connections/say-{word}", *soon(word))
    for word in ("absent", "bare", "503", "500"):
        for method in ("GET", "HEAD"):
            yield by("reader", f"{method} user: {word}", method, f"/hubs/chat/users/say-{word}", *soon(word))
            yield by("reader", f"{method} group: {word}", method, f"/hubs/chat/groups/say-{word}", *soon(word))
            yield by("reader", f"{method} member: {word}", method, f"/hubs/chat/groups/g/users/say-{word}", *soon(word))
            query = f"/hubs/chat/exists?userId=say-{word}"
            yield by("reader", f"{method} by query: {word}", method, query, *soon(word))
    for query in (
        "",
        "?groupName=g",
        "?userId=u",
        "?groupName=%2F%20%C3%A4&userId=u",
        "?groupName=g&connectionId=c",
        "?userId=u&connectionId=c",
        "?userId=u&userId=v",
        "?userId=",
        "?userId=.",
        "?userId=%FF",
        "?userid=u",
        "?x=1",
    ):
        yield by("reader", f"exists {query}", "GET", f"/hubs/chat/exists{query}")
    yield by("reader", "question with a bad time-out", "GET", "/hubs/chat/users/u", "X-Request-Timeout: 0")
    yield by("reader", "question with a key of its own", "GET", "/hubs/chat/users/u", "Idempotency-Key: ")


def lists() -> Iterator[Case]:
    """Who is in a group, page by page."""
    path = "/hubs/chat/groups/{}/connections"
    for name in (
        "g",
        "say-pages",
        "say-absent",
        "say-bare",
        "say-503",
        "say-403",
        "say-500",
        "say-nonsense",
        "say-cut",
    ):
        yield by("reader", f"members of {name}", "GET", path.format(name))
    token = "WyJkZWZhdWx0IiwwLCJuZXh0L29uZSJd"
    for query in (
        "?top=1",
        "?top=200",
        "?top=0",
        "?top=201",
        "?top=x",
        "?top=",
        "?top=1&top=2",
        f"?continuationToken={token}",
        "?continuationToken=x",
        "?continuationToken=",
        "?continuationToken=WyJvdGhlciIsMCxudWxsXQ",
        "?continuationToken=%FF",
        "?continuationToken=" + "A" * 6001,
        "?token=1",
    ):
        yield by("reader", f"members {query[:60]}", "GET", path.format("g") + query)
    yield by("reader", "members of the next page", "GET", path.format("say-pages") + f"?continuationToken={token}")
    yield by("reader", "members, head", "HEAD", path.format("g"))
    yield by("reader", "members by head", "HEAD", path.format("g"))
    yield case("members by head to nobody", "HEAD", path.format("g"))


def calls() -> Iterator[Case]:
    """A client is called, and answers or not."""
    path, body = "/hubs/chat/connections/say-{}/invoke", {"target": "t", "arguments": [1, "x"]}
    for word in ("error", "nonsense", *WORDS):
        yield by("sender", f"call: {word}", "POST", path.format(word), *soon(word), body=body)
    faults: dict[str, object] = {
        "no target": {},
        "an empty target": {"target": ""},
        "no arguments": {"target": "t", "arguments": {}},
        "no time": {"target": "t", "timeoutSeconds": 0},
        "too much time": {"target": "t", "timeoutSeconds": 101},
        "a text for the time": {"target": "t", "timeoutSeconds": "1"},
        "half a second more": {"target": "t", "timeoutSeconds": 1.5},
        "a user": {"target": "t", "userId": "u"},
        "an array": [],
        "too large": {"target": "t", "arguments": ["x" * 1_000_001]},
    }
    for name, fault in faults.items():
        yield by("sender", f"call: {name}", "POST", path.format("result"), body=fault)
    yield by("sender", "call: no JSON", "POST", path.format("result"), JSON, body=b"x")
    yield by("sender", "call: no type", "POST", path.format("result"), body=b"{}")
    yield by("sender", "call: larger than it may be", "POST", path.format("result"), JSON, body=b" " * 1_048_577)
    yield by("sender", "call: a query", "POST", path.format("result") + "?x=1", body=body)
    yield by("sender", "call: a bad time-out", "POST", path.format("result"), "X-Request-Timeout: x", body=body)
