"""Requests in bytes, as short as the table of cases needs them."""

import json
from typing import Any

from signalr_bridge.protocol.upstream_event import write_signatures

from tests.contract.bridge.answers.bridges import CODE, SERVICE_KEY, key_of
from tests.contract.bridge.answers.exchange import Case

Lines = tuple[str, ...]
JSON = "Content-Type: application/json"


def request(method: str, target: str, *lines: str, body: bytes | None = None, host: str = "bridge") -> bytes:
    """A request as a careful client writes it. A body gets its length, and none is said to be of JSON."""
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines]
    head += [] if body is None else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


def key(name: str = "all") -> str:
    """The header line with the key of a caller."""
    return f"X-API-Key: {key_of(name)}"


def case(name: str, method: str, target: str, *lines: str, body: Any = None, host: str = "bridge") -> Case:
    """One request. A ``body`` that is not bytes is written as JSON, and said to be that."""
    if body is None or isinstance(body, bytes):
        return Case(name, (request(method, target, *lines, body=body, host=host),))
    text = json.dumps(body, separators=(",", ":")).encode()
    return Case(name, (request(method, target, *lines, JSON, body=text, host=host),))


def by(caller: str, name: str, method: str, target: str, *lines: str, body: Any = None) -> Case:
    """One request with the key of a caller."""
    return case(name, method, target, key(caller), *lines, body=body)


def raw(name: str, *pieces: bytes, answers: int = 1, after: str = "kept") -> Case:
    """Bytes as they are."""
    return Case(name, pieces, answers, after)


def event(
    name: str,
    hub: str = "rooms",
    category: str = "messages",
    event: str = "echo",
    *lines: str,
    body: bytes = b"",
    connection: str = "c-1",
    media: str = "application/json",
    target: str = f"/upstream?code={CODE}",
    keys: tuple[str, ...] = (SERVICE_KEY,),
    method: str = "POST",
) -> Case:
    """An event as the service reports it. Without ``keys`` it has no signature."""
    told = {"Hub": hub, "Category": category, "Event": event, "Connection-Id": connection}
    head = [f"X-ASRS-{one}: {value}" for one, value in told.items() if value]
    head += [f"X-ASRS-Signature: {write_signatures(connection, list(keys))}"] if keys else []
    head += [f"Content-Type: {media}"] if media else []
    return Case(name, (request(method, target, *head, *lines, body=body),))
