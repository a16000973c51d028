"""What the bridge is meant to cost, as ratios to its peers, and whether it does. It is printed, and nobody's test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.cases import MANY, STEADY, Case, ratio
from tests.bench.memory import Growth
from tests.bench.paths import Cases
from tests.bench.table import NOTHING, Table, write_number

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Goal:
    """A figure that is to be at most ``most``. Without ``measured`` it could not be."""

    what: str
    measured: float | None
    most: float | None
    digits: int = 2

    @property
    def verdict(self) -> str:
        if self.measured is None or self.most is None:
            return NOTHING
        return "holds" if self.measured <= self.most else "missed"


def write_goals(cases: Cases, several: Cases, grown: Sequence[Growth]) -> Table:
    goals = [*judge_cost(cases), *judge_several(several), *judge_delay(cases), *judge_memory(grown)]
    rows = [
        (one.what, write_number(one.measured, one.digits), write_number(one.most, one.digits), one.verdict)
        for one in goals
    ]
    return Table(("goal", "measured", "at most", ""), rows)


def judge_cost(cases: Cases) -> Iterator[Goal]:
    send, echo = cases["send, https: bridge"], cases["echo"]
    yield Goal("send, https / Go as Dapr", ratio(send, cases["send, https: Go as Dapr"]), 0.25)
    yield Goal("send, https / Go tuned", ratio(send, cases["send, https: Go tuned"]), 2.0)
    yield Goal("negotiate, client / echo", ratio(cases["negotiate, client: bridge"], echo), 1.5)
    yield Goal("upstream, Python, JSON / echo", ratio(cases["upstream, Python, JSON: bridge"], echo), 2.4)


def judge_several(several: Cases) -> Iterator[Goal]:
    one, ten = (several[f"send, https, {count}: bridge"] for count in ("1 endpoint", "10 endpoints"))
    pairs = zip(one.samples[MANY], ten.samples[MANY], strict=True)
    yield Goal("further endpoint, https, µs", median((more.cpu - less.cpu) / 9 for less, more in pairs), 30, 0)


def judge_delay(cases: Cases) -> Iterator[Goal]:
    service = cases["the service itself, https"]
    dapr = added_delay(cases["send, https: Go as Dapr"], service)
    yield Goal("p99 added at 1,000/s, https, ms", added_delay(cases["send, https: bridge"], service), dapr)
    yield Goal("the same by Go as Dapr", dapr, None)
    yield Goal("the same by Go tuned", added_delay(cases["send, https: Go tuned"], service), None)


def added_delay(case: Case, service: Case) -> float | None:
    """Milliseconds that the slowest hundredth of requests waits longer than at the service itself."""
    pairs = list(zip(case.samples.get(STEADY, ()), service.samples[STEADY], strict=False))
    return median(one.p99 - two.p99 for one, two in pairs) if pairs else None


def judge_memory(grown: Sequence[Growth]) -> Iterator[Goal]:
    for one in grown:
        if one.requests:
            yield Goal(f"{one.what}: KiB for each", one.grown / one.requests / KIB, 20, 1)
        else:
            yield Goal(f"{one.what}: MB above {one.idle / MIB:.0f} idle", one.grown / MIB, 30, 1)
