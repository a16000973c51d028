"""Tables, as text for a terminal or as Markdown for the documentation."""

import platform
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.bench.cases import CROWD, MANY, ONE, STEADY, Case, Mode, ratio

LIBRARIES = ("uvicorn", "uvloop", "httptools", "aiohttp", "httpx", "fastapi", "pydantic", "msgspec")
NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """The first column is text, and all others are numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def write(self, *, markdown: bool) -> str:
        return "\n".join(self._write_markdown() if markdown else self._write_text())

    def _write_markdown(self) -> Iterator[str]:
        yield f"| {' | '.join(self.head)} |"
        yield "|---" + "|---:" * (len(self.head) - 1) + "|"
        for row in self.rows:
            yield f"| {' | '.join(row)} |"

    def _write_text(self) -> Iterator[str]:
        lines = [self.head, *self.rows]
        widths = [max(len(line[index]) for line in lines) for index in range(len(self.head))]
        for first, *others in lines:
            cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
            yield "  ".join([f"{first:{widths[0]}}", *cells]).rstrip()


def write_cases(title: str, cases: Sequence[Case], echo: Case) -> Table:
    """What was measured of each case. Below a mode stands what requests took: p50 and p99, in milliseconds."""
    modes = (ONE, MANY, CROWD, STEADY)
    head = (title, "CPU µs", "least..most", "x echo", "requests/s", *(mode.name for mode in modes))
    return Table(head, [(*_write_cost(case, echo), *(_write_times(case, mode) for mode in modes)) for case in cases])


def _write_cost(case: Case, echo: Case) -> Iterator[str]:
    cpu = [one.cpu for one in case.samples[MANY]]
    yield case.name
    yield write_number(case.median(MANY, lambda one: one.cpu))
    yield f"{min(cpu):.0f}..{max(cpu):.0f}"
    yield write_number(ratio(case, echo), 1)
    yield write_number(case.median(MANY, lambda one: one.rate))


def _write_times(case: Case, mode: Mode) -> str:
    if mode.rate and not case.follows(mode):
        return "cannot"
    p50, p99 = case.median(mode, lambda one: one.p50), case.median(mode, lambda one: one.p99)
    if p50 is None or p99 is None:
        return NOTHING
    digits = 2 if p99 < 10 else 1 if p99 < 100 else 0
    return f"{p50:.{digits}f} / {p99:.{digits}f}"


def write_number(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def describe_machine(go: str) -> str:
    """What all of it was measured on and with. ``go`` is what Go says of its version."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{len(models)} cores of {models[0] if models else platform.machine()}, Linux {platform.release()}, "
        f"CPython {platform.python_version()}, {ssl.OPENSSL_VERSION.split(' (')[0]}, {go}, {libraries}."
    )
