"""What is measured: cases, which are requests for a server, and modes, which are ways to send them, in rounds.

In a round every case has its turn in every mode, so that what else the machine does meets neighbours alike. The ratio
of two cases is therefore the median of the ratios of their rounds.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from statistics import median

from tests.bench.load import Job, Load, LoadFailed
from tests.bench.servers import Server


@dataclass(frozen=True)
class Mode:
    """A way to send: over so many connections, as fast as answers come or at a rate.

    It is named by how many requests are in flight, or by its rate.
    """

    name: str
    connections: int
    rate: int = 0


ONE = Mode("1", 1)
MANY = Mode("32", 32)
CROWD = Mode("128", 128)
STEADY = Mode("1,000/s", 16, rate=1000)
EVERY = (MANY, ONE, CROWD, STEADY)

_SLOWEST = 0.9
"""The share of a second's CPU that a rate may take. A server that needs more cannot follow it."""
_FEWEST, _MOST = 32, 30_000


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Args:
        rounds: Turns of each case in each mode.
        rounds_of_several: The same with several endpoints, which take longer.
        seconds: What one turn takes, about, by mode. Others are left out.
        longest: Most requests of one turn.
        endpoints: Their numbers beside one.
        schemes: Those over which several endpoints and memory are measured.
        memory: Sends of the measurement of memory.
        in_flight: Requests that it keeps in flight.
    """

    rounds: int
    rounds_of_several: int
    seconds: dict[Mode, float]
    longest: int = _MOST
    endpoints: tuple[int, ...] = (5, 10, 50)
    schemes: tuple[str, ...] = ("https", "http")
    memory: int = 10_000
    in_flight: tuple[int, ...] = (500, 1000)


FULL = Effort(5, 3, {MANY: 0.3, ONE: 0.1, CROWD: 0.2, STEADY: 0.7})
ONCE = Effort(
    1,
    1,
    {MANY: 0.05, ONE: 0.02, STEADY: 0.05},
    longest=_FEWEST,
    endpoints=(10,),
    schemes=("https",),
    memory=200,
    in_flight=(20,),
)


@dataclass(frozen=True)
class Sample:
    """One turn.

    Args:
        cpu: Microseconds of the server's CPU for one request.
        rate: Requests a second.
        p50: Milliseconds that half of the requests took at most.
        p99: The same of 99 in a hundred.
        opened: New connections to the service for one request.
    """

    cpu: float
    rate: float
    p50: float
    p99: float
    opened: float


@dataclass
class Case:
    """One path of one server, and what its turns have given."""

    name: str
    server: Server
    requests: Sequence[bytes]
    status: str = "200"
    modes: Sequence[Mode] = EVERY
    tls: bool = False
    cost: float = 0.0
    """Microseconds for a request, as far as the warm-up tells."""
    samples: dict[Mode, list[Sample]] = field(default_factory=dict)

    def median(self, mode: Mode, read: Callable[[Sample], float]) -> float | None:
        """Of its turns in this mode. None when there were none."""
        found = [read(one) for one in self.samples.get(mode, ())]
        return median(found) if found else None

    def follows(self, mode: Mode) -> bool:
        """Whether it can do so many requests a second."""
        return self.cost * mode.rate < _SLOWEST * 1e6


class Opened:
    """Asks the service how many connections have been made to it."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)

    def read(self) -> int:
        self._connection.request("GET", "/opened")
        return int(self._connection.getresponse().read())


class Bench:
    """Measures cases."""

    def __init__(self, load: Load, opened: Opened, effort: Effort) -> None:
        self._load, self._opened, self._effort = load, opened, effort

    def measure(self, title: str, cases: Sequence[Case], rounds: int) -> None:
        """Every case in every mode, in rounds. Every second round goes backwards."""
        for case in cases:
            self._warm_up(case)
        for number in range(rounds):
            print(f"{title}: round {number + 1} of {rounds}", file=sys.stderr)
            for mode in self._effort.seconds:
                for case in cases if number % 2 == 0 else reversed(cases):
                    if mode in case.modes and case.follows(mode):
                        sample = self._run(case, mode, self._count(case, mode))
                        case.samples.setdefault(mode, []).append(sample)

    def _warm_up(self, case: Case) -> None:
        for count in (_FEWEST, 300)[: self._effort.rounds]:
            case.cost = self._run(case, MANY, min(count, self._count(case, MANY))).cpu

    def _count(self, case: Case, mode: Mode) -> int:
        seconds, fewest = self._effort.seconds[mode], max(_FEWEST, mode.connections)
        if mode.rate:
            return max(round(mode.rate * seconds), fewest)
        return max(min(round(seconds * 1e6 / max(case.cost, 1)), self._effort.longest), fewest)

    def _run(self, case: Case, mode: Mode, count: int) -> Sample:
        job = Job(
            case.server.port,
            case.requests,
            mode.connections,
            count,
            case.status,
            mode.rate,
            warm_up=2 * mode.connections,
            tls=case.tls,
        )
        self._load.prepare(job)
        opened, cpu = self._opened.read(), case.server.cpu_seconds
        self._load.begin()
        try:
            report = self._load.end()
        except LoadFailed as error:
            raise SystemExit(f"{case.name}, {mode.name}: {error}") from None
        return Sample(
            cpu=(case.server.cpu_seconds - cpu) / count * 1e6,
            rate=count / report.seconds,
            p50=report.p50 * 1000,
            p99=report.p99 * 1000,
            opened=(self._opened.read() - opened) / count,
        )


def ratio(case: Case, other: Case, mode: Mode = MANY) -> float | None:
    """How many times the CPU of the other it takes for a request. None where one of them was not measured."""
    pairs = list(zip(case.samples.get(mode, ()), other.samples.get(mode, ()), strict=True))
    return median(one.cpu / two.cpu for one, two in pairs) if pairs else None
