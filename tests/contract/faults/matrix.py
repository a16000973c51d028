"""Operations times faults times one or two endpoints, on real sockets: what becomes of each, as a table."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import cache

import httpx
from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.web.document import BridgeApp

from tests.contract.bridge.running import AUTH, build, build_probing, client
from tests.contract.endpoints.programmable import Request, Server, answer_of, programmable_server
from tests.contract.faults.faults import FAULTS, Fault
from tests.contract.faults.operations import KINDS, Operation

DEADLINE, PATIENCE = "0.3", "10"
"""Seconds for a call: short where it is waited for to its end."""
AT_ONCE = 6
ENDPOINTS = (1, 2)
PROBE = "/connections/probe"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    kind: str
    operation: Operation
    fault: Fault
    endpoints: int

    def __str__(self) -> str:
        return f"{self.operation.request}, {self.fault.words}, {self.endpoints}"


@dataclass(frozen=True, slots=True)
class Found:
    """``outcome`` is what the answer says of the endpoint with the fault; ``seen`` is what that endpoint saw."""

    status: int
    outcome: str | None
    seen: tuple[Request, ...]
    others: int


def cases() -> Iterator[Case]:
    for kind, operations in KINDS.items():
        for operation in operations:
            yield from (Case(kind, operation, fault, count) for fault in FAULTS for count in ENDPOINTS)


async def run_all() -> dict[Case, Found]:
    """By a few workers, each with a front that has served before: building routes would hold up what others measure."""
    waiting = list(cases())
    finds: dict[Case, Found] = {}

    async def work() -> None:
        front = build("http://localhost:1")
        async with client(front, **AUTH) as http:
            await http.get("/health/live")
            while waiting:
                case, before = waiting.pop(), stalls.count
                finds[case] = await run(case, front, http)
                if stalls.count > before and (repeats := again.get(case, 0)) < 5:
                    again[case] = repeats + 1
                    waiting.insert(0, case)

    stalls, again = Stalls(), dict[Case, int]()
    watching = asyncio.create_task(stalls.watch())
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    watching.cancel()
    return finds


@dataclass(slots=True)
class Stalls:
    """How often this machine was too busy for deadlines of 0.3 s: what ran meanwhile is run again."""

    count: int = 0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            self.count += loop.time() - due > 0.04


@cache
def found() -> dict[Case, Found]:
    """All of it, once for all tests."""
    return asyncio.run(run_all())


async def run(case: Case, front: BridgeApp, http: httpx.AsyncClient) -> Found:
    """A bridge of its own for each case; only the routes are those of the ``front``."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(programmable_server()) for _ in range(case.endpoints)]
        _prepare(servers, case.operation)
        if case.fault.offline:
            servers[0].refuse()
        app = build_probing(3600, *(server.url for server in servers))
        await stack.enter_async_context(app.router.lifespan_context(app))
        front.front.parts = replace(front.state.parts, sender=app.state.parts.sender)
        await _until_probed(app)
        case.fault.cause(servers[0])
        await asyncio.sleep(0.01)  # until a cut connection is known to be cut
        answer = await _ask(http, case.operation, DEADLINE if case.fault.again or case.fault.hangs else PATIENCE)
        seen = [tuple(one for one in server.requests if PROBE not in one.target) for server in servers]
        return Found(answer.status_code, _outcome(answer), seen[0], sum(map(len, seen[1:])))


def _prepare(servers: list[Server], operation: Operation) -> None:
    for index, server in enumerate(servers):
        server.answer = operation.other if index else operation.well
        server.honest = {PROBE: answer_of(200)} | dict(operation.other_honest if index else operation.honest)


async def _until_probed(app: BridgeApp) -> None:
    """The first endpoint; the next one's turn comes much later."""
    directory: EndpointDirectory = app.state.parts.directory
    registry = directory.find("chat")
    for _ in range(2000):
        if registry.report(registry.endpoints[0]).since is not None:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("nobody was probed")


async def _ask(http: httpx.AsyncClient, operation: Operation, deadline: str) -> httpx.Response:
    method, path = operation.request.split(" ")
    content = None if operation.body is None else json.dumps(operation.body).encode()
    headers = {"X-Request-Timeout": deadline} | ({} if content is None else {"Content-Type": "application/json"})
    return await http.request(method, path, content=content, headers=headers)


def _outcome(answer: httpx.Response) -> str | None:
    """What the first endpoint made of it, where the answer says so."""
    if not answer.content or answer.headers["content-type"].split(";")[0] == "text/plain":
        return None
    endpoints = answer.json().get("endpoints")
    return None if not endpoints else str(next(one for one in endpoints if one["name"] == "default")["outcome"])


# --- as a table


def lines() -> list[str]:
    """The README's table: for each fault the outcome and, for each kind, the status with one endpoint and with two."""
    rows = [["the endpoint", "outcome", *KINDS], ["---"] * (len(KINDS) + 2)]
    rows += [[fault.words, outcome_of(fault), *(cell(kind, fault) for kind in KINDS)] for fault in FAULTS]
    return [f"| {' | '.join(row)} |" for row in rows]


def outcome_of(fault: Fault) -> str:
    """As answers with a body tell it; what differs for changes stands behind the message's."""
    of_messages, of_changes = _outcomes("message", fault), _outcomes("join", fault)
    return of_messages if of_messages == of_changes else f"{of_messages} (a change: {of_changes})"


def _outcomes(kind: str, fault: Fault) -> str:
    ends = [hit.outcome for one, hit in found().items() if (one.kind, one.fault, one.endpoints) == (kind, fault, 2)]
    known = {one for one in ends if one is not None}
    assert len(known) == 1, (kind, fault.words, known)
    return str(known.pop())


def cell(kind: str, fault: Fault) -> str:
    """Raises ``AssertionError`` when operations of a kind differ."""
    ends = {one: hit for one, hit in found().items() if (one.kind, one.fault) == (kind, fault)}
    statuses = {
        count: {_alike(hit.status) for one, hit in ends.items() if one.endpoints == count} for count in ENDPOINTS
    }
    assert all(len(one) == 1 for one in statuses.values()), (kind, fault.words, statuses)
    outcomes = {hit.outcome for hit in ends.values()} - {None}
    assert len(outcomes) <= 1 or fault.offline, (kind, fault.words, outcomes)
    return " / ".join(str(statuses[count].pop()) for count in ENDPOINTS)


def _alike(status: int) -> str:
    """202 and 204 both say that it is done, the one with a body and the other without."""
    return "done" if status in {202, 204} else str(status)


if __name__ == "__main__":
    print("\n".join(lines()))
