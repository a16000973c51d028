"""What a request costs the bridge: ``make bench``, about six minutes.

Each hot path is measured in turn with an echo in plain ASGI, with simple services in Python, and with the same in Go:
once as Dapr's SignalR binding calls the service, once tuned. A time says something about the machine, a ratio about
the bridge. Everything is real: ``serve`` with its log, the load from another process, a service that answers at once,
over http and https. Then come memory, what the check of a signed event costs by the number of endpoints (``checks``),
what the log and the metrics cost (``observers``), and the goals. Nothing here is a test, and nothing is written.
docs/performance.md says what the figures mean.

``--markdown`` prints the tables as that page has them. ``--once`` is one round of few requests, which shows that all of
it works. Needs Linux, and Go.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import checks, memory, observers
from tests.bench.cases import FULL, MANY, ONCE, Bench, Effort, Opened
from tests.bench.goals import write_goals
from tests.bench.load import run_load
from tests.bench.paths import Cases, measure_many_endpoints, measure_one_endpoint
from tests.bench.servers import surround
from tests.bench.table import Table, describe_machine, write_cases, write_number
from tests.install import find


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--once", action="store_true", help="one round of few requests")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    options = parser.parse_args()
    started = time.monotonic()
    for one in measure(ONCE if options.once else FULL):
        print(one.write(markdown=options.markdown) if isinstance(one, Table) else one, end="\n\n", flush=True)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)


def measure(effort: Effort) -> Iterator[Table | str]:
    """The tables, and the sentences between them, as soon as each is known."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="signalr-bridge-"))
        around = stack.enter_context(surround(Path(folder)))
        load = stack.enter_context(run_load(around))
        bench = Bench(load, Opened(around.http), effort)
        yield describe_machine(subprocess.check_output([find("go"), "version"], text=True).strip())
        yield "CPU and requests a second are those at 32 in flight. Times are p50 / p99 in ms, by requests in flight."
        cases = measure_one_endpoint(bench, around, effort)
        yield write_cases("one endpoint", list(cases.values()), cases["echo"])
        yield describe_connections(cases)
        several = measure_many_endpoints(bench, around, effort)
        yield write_cases("several endpoints", list(several.values()), several["echo"])
        yield checks.measure(rounds=5 if effort is ONCE else 100)
        yield observers.measure(rounds=3 if effort is ONCE else 50)
        yield write_goals(cases, several, memory.measure(around, load, effort))


def describe_connections(cases: Cases) -> str:
    """What the clients' settings come to: how often a send makes a connection."""
    names = [name for name in cases if name.startswith("send, https:")]
    found = [(name.partition(": ")[2], cases[name].median(MANY, lambda one: one.opened * 1000)) for name in names]
    told = ", ".join(f"{name} {write_number(number)}" for name, number in found)
    return f"New connections for 1,000 sends over https, {MANY.name} in flight: {told}."


if __name__ == "__main__":
    main()
