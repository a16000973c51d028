"""What is done to a bridge, one call after the other, and a ledger of it: what metrics, spans and lines must say."""

import asyncio
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from signalr_bridge.protocol.upstream_event import sign

from tests.e2e.processes import EMULATOR_KEY

Sample = tuple[str, frozenset[tuple[str, str]]]
"""A metric without the product's prefix, and its labels."""


@dataclass(frozen=True)
class Asked:
    """A request of ours: its id, the trace that it says it is in, and what it was answered with."""

    id: str
    trace: str
    method: str
    route: str
    status: int


@dataclass(frozen=True)
class Sent:
    """A message, or another operation on endpoints, and what the answer says of each of these."""

    request_id: str
    outcomes: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """An upstream call that was let in."""

    hub: str
    category: str
    event: str
    connection: str
    handler: str
    result: str

    @property
    def registered(self) -> str:
        """The event, as metrics and spans name it: one that no handler names may be anything that clients invent."""
        by_name = self.handler and not self.handler.startswith("forward.")
        return self.event if by_name or self.category == "connections" else "other"


@dataclass
class Ledger:
    """What was done, as whoever did it saw it."""

    counts: Counter[Sample] = field(default_factory=Counter)
    asked: list[Asked] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """Access tokens that clients were given."""

    def count(self, metric: str, times: int = 1, **labels: str) -> None:
        self.counts[metric, frozenset(labels.items())] += times

    def number_of(self, metric: str, **labels: str) -> int:
        """All samples of a metric with these labels, together."""
        return sum(number for (name, said), number in self.counts.items() if name == metric and labels.items() <= said)

    def request(self, route: str, method: str, status: int) -> None:
        self.count("requests_total", route=route, method=method, status=str(status))
        self.count("request_seconds_count", route=route)

    def event(self, hub: str, category: str, event: str, result: str, *, connection: str, handler: str = "") -> None:
        one = Event(hub, category, event, connection, handler, result)
        self.events.append(one)
        self.count("events_total", hub=hub, category=category, event=one.registered, result=result)
        if handler:
            self.count("handler_seconds_count", hub=hub, event=one.registered)


class Driver:
    """Calls a bridge as backends, clients and the service do, and writes down what it did.

    Args:
        url: The bridge.
        key: The key of the backend.
        code: The secret in the address of the upstream.
    """

    def __init__(self, url: str, key: str, code: str, ledger: Ledger) -> None:
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)
        self.key, self._code, self.ledger, self._numbers = key, code, ledger, itertools.count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, route: str, status: int, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """One request, which must be answered with this status. 0: with any that is a success."""
        id, trace = f"asked-{next(self._numbers)}", secrets.token_hex(16)
        own = {"X-Request-Id": id, "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
        answer = await self._http.request(method, path, headers=own | dict(headers or {}), **more)
        right = answer.is_success if status == 0 else answer.status_code == status
        assert right, f"{method} {path}: {answer.status_code} {answer.text}"
        self.ledger.asked.append(Asked(id, trace, method, route, answer.status_code))
        self.ledger.request(route, method, answer.status_code)
        return answer

    async def call(self, method: str, path: str, route: str, status: int, **more: Any) -> httpx.Response:
        """As the backend does it."""
        headers = {"X-API-Key": self.key} | more.pop("headers", {})
        return await self.ask(method, path, route, status, headers=headers, **more)

    async def send(self, action: str, item: Mapping[str, Any], status: int, **more: Any) -> dict[str, str]:
        """One message. Gives what became of it, by the endpoints' names."""
        answer = await self.call("POST", "/hubs/chat/send", "/hubs/{hub}/send", status, json=item, **more)
        outcomes = {one["name"]: one["outcome"] for one in answer.json()["endpoints"]}
        self.delivered(answer, action, outcomes)
        return outcomes

    def delivered(self, answer: httpx.Response, action: str, outcomes: Mapping[str, str]) -> None:
        """What the request with this answer has done to endpoints."""
        self.ledger.sent.append(Sent(answer.headers["X-Request-Id"], outcomes))
        self.count_deliveries(action, outcomes)

    def count_deliveries(self, action: str, outcomes: Mapping[str, str]) -> None:
        """What a handler or the bridge itself has done."""
        for name, outcome in outcomes.items():
            self.ledger.count("deliveries_total", endpoint=name, action=action.lower(), outcome=outcome)

    async def negotiate(self, hub: str, status: int, result: str, address: str, query: str = "") -> httpx.Response:
        """As a client at this address does it, which a proxy before the bridge tells."""
        path, route = f"/hubs/{hub}/negotiate{query}", "/hubs/{hub}/negotiate"
        answer = await self.ask("POST", path, route, status, headers={"X-Forwarded-For": address})
        if result:
            self.ledger.count("negotiations_total", hub=hub, result=result)
        if answer.is_success:
            self.ledger.tokens.add(answer.json()["accessToken"])
        return answer

    async def deliver(
        self,
        hub: str,
        event: str,
        status: int,
        *arguments: object,
        connection: str,
        user: str = "",
        invocation: str | None = None,
        code: str | None = None,
        signature: str | None = None,
        body: bytes | None = None,
    ) -> httpx.Response:
        """An event, as the service calls with it. A message, unless it is one of a connection's own."""
        category = "connections" if event in {"connected", "disconnected"} else "messages"
        message = {"type": 1, "target": event, "arguments": arguments, "invocationId": invocation}
        headers = {
            "X-ASRS-Hub": hub,
            "X-ASRS-Category": category,
            "X-ASRS-Event": event,
            "X-ASRS-Connection-Id": connection,
            "X-ASRS-User-Id": user,
            "X-ASRS-Signature": sign(connection, EMULATOR_KEY) if signature is None else signature,
            "Content-Type": "application/json",
        }
        content = (json.dumps(message) + "\x1e").encode() if body is None else body
        path = f"/upstream?code={self._code if code is None else code}"
        return await self.ask("POST", path, "/upstream", status, headers=headers, content=content)


async def until(look: Any, what: str) -> None:
    """Waits for something to become true."""
    for _ in range(1500):
        if look():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within 15 s: {what}")
