"""What the check of a signed event costs, by the number of endpoints: part of ``make bench``.

In this process, without a network: from the request's header lines to the name of the endpoint that called. The event
is one that a client's message makes, with a code in its address. It carries the signatures of an endpoint's two keys,
and every key of every endpoint is compared. The rounds of all sizes take turns: each ratio is that of neighbours.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from signalr_bridge.main import create_app
from signalr_bridge.protocol.upstream_event import HeaderLines, read_event_headers, write_signatures
from signalr_bridge.settings import Settings, gather, load
from signalr_bridge.upstream.authenticator import UpstreamAuthenticator

from tests.bench.table import Table
from tests.bench.traffic import PYTHON_HUB, message_to
from tests.bench.traffic import key_of as key_of

SIZES = (1, 5, 20, 50)
CODE, CALLER = "a-code-of-thirty-two-characters-", "a-key-of-a-caller"
CHECKS = 200
"""In one round."""


@dataclass
class Size:
    """One number of endpoints, and the microseconds for a check that its rounds have given."""

    endpoints: int
    check: Callable[[], str | None]
    times: list[float] = field(default_factory=list)

    def run(self) -> None:
        started = time.perf_counter()
        for _ in range(CHECKS):
            self.check()
        self.times.append((time.perf_counter() - started) / CHECKS * 1e6)


def measure(rounds: int) -> Table:
    sizes = [Size(number, make_check(number)) for number in SIZES]
    for _ in range(rounds):
        for size in sizes:
            size.run()
    return write_table(sizes)


def make_check(endpoints: int) -> Callable[[], str | None]:
    """The check of one event, signed by the last endpoint. It gives the endpoint's name."""
    authenticator, lines, query = build(endpoints), event_lines(f"e{endpoints - 1}"), f"code={CODE}".encode()

    def check() -> str | None:
        checking = authenticator.check(query, lines, read_event_headers(lines))
        try:
            checking.send(None)  # it waits for nothing
        except StopIteration as answer:
            found: str | None = answer.value
            return found
        raise AssertionError("the check of a signature waits for somebody")

    assert check() == f"e{endpoints - 1}"
    return check


def build(endpoints: int) -> UpstreamAuthenticator:
    """What checks the events of a bridge with so many endpoints."""
    authenticator: UpstreamAuthenticator = create_app(make_settings(endpoints)).state.parts.snapshots.authenticator()
    return authenticator


def make_settings(endpoints: int) -> Settings:
    named = {
        f"Azure__SignalR__Endpoints__e{number}": f"Endpoint=https://e{number}.example;AccessKey={key_of(f'e{number}')};"
        for number in range(endpoints)
    }
    return load(gather(named | {"BRIDGE_UPSTREAM__CODE": CODE, "BRIDGE_CALLERS__KEYS": CALLER}, {}))


def event_lines(endpoint: str) -> HeaderLines:
    """The header lines of a message's event, as a server hands them over, signed with the endpoint's two keys."""
    head = message_to(PYTHON_HUB)[0].partition(b"\r\n\r\n")[0].decode()
    named = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    named["X-ASRS-Signature"] = write_signatures(named["X-ASRS-Connection-Id"], [key_of(endpoint), "its other key"])
    return [(name.lower().encode(), value.encode()) for name, value in named.items()]


def write_table(sizes: Sequence[Size]) -> Table:
    rows = []
    for size in sizes:
        ratio = median(own / one for own, one in zip(size.times, sizes[0].times, strict=True))
        name = f"{size.endpoints} endpoint{'s' if size.endpoints > 1 else ''}"
        rows.append(
            (name, f"{median(size.times):.1f}", f"{min(size.times):.0f}..{max(size.times):.0f}", f"{ratio:.1f}")
        )
    return Table(("check of a signed event", "µs", "least..most", "x 1 endpoint"), rows)
