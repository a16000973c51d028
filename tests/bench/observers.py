"""What it costs to tell the log and the metrics of a request: part of ``make bench``.

In this process, without a network: the facts of one request are told, as the parts of the bridge tell them, to nobody,
to the log at ``warning`` and at ``info`` (which writes the line to ``/dev/null``), to the metrics, and to both. The
rounds take turns, and the time to tell nobody is taken off.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from statistics import median

from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.outcome import Result, Status
from signalr_bridge.metrics.observer import MetricsObserver
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.logs import configure_logs
from signalr_bridge.web.observer import SILENT, Observer, tell_all
from signalr_bridge.web.trace import TRACE, Trace

from tests.bench.table import Table

REQUESTS = 2_000
"""In one round."""
REQUEST_ID = "0123456789abcdef0123456789abcdef"

RESULT = Result(Status.ACCEPTED, (Outcome("default", "Primary", Verdict.ACCEPTED),))
SENDING = Operation(Action.SEND_TO_ALL, "chat")


def send(observer: Observer) -> None:
    observer.operation_ended(
        endpoint="default",
        hub="chat",
        action=Action.SEND_TO_ALL,
        outcome="accepted",
        code=None,
        reason=None,
        has_credential=True,
        seconds=0.001,
    )
    observer.send_ended(operation=SENDING, result=RESULT)
    end(observer, "/hubs/chat/send", "/hubs/{hub}/send", 202)


def negotiate(observer: Observer) -> None:
    end(observer, "/hubs/chat/negotiate", "/hubs/{hub}/negotiate", 200)
    observer.negotiation_ended(
        hub="chat", by="client", user_id="ann", endpoint="default", status=200, code=None, seconds=0.001
    )


def upstream(observer: Observer) -> None:
    observer.event_ended(
        hub="chat",
        category="messages",
        event="say",
        registered_event="say",
        connection_id="abcdefghijklmnopqrstuv",
        user_id="ann",
        handler="handlers:chat.say",
        result="returned",
        endpoint="default",
        handler_seconds=0.001,
        seconds=0.001,
    )
    end(observer, "/upstream", "/upstream", 200)


def end(observer: Observer, path: str, route: str, status: int) -> None:
    observer.request_ended(
        method="POST", path=path, route=route, status=status, seconds=0.001, caller=None, request_id=REQUEST_ID
    )


def time_one(tell: Callable[[Observer], None], observer: Observer) -> float:
    """The microseconds of one request's facts."""
    started = time.perf_counter()
    for _ in range(REQUESTS):
        TRACE.set(Trace(REQUEST_ID))
        tell(observer)
    return (time.perf_counter() - started) / REQUESTS * 1e6


def measure(rounds: int) -> Table:
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        root, ours = logging.getLogger(), logging.getLogger("signalr_bridge")
        before = root.handlers[:], root.level, ours.level
        try:
            rows = [_measure_one(name, tell, rounds) for name, tell in PATHS.items()]
        finally:
            root.handlers[:], root.level, ours.level = before
    return Table(("µs a request beside nobody", *LISTENERS), rows)


def _measure_one(name: str, tell: Callable[[Observer], None], rounds: int) -> Sequence[str]:
    metrics = MetricsObserver(lambda _: True)
    told = {
        "log, warning": ("warning", tell_all([LogObserver()])),
        "log, info": ("info", tell_all([LogObserver()])),
        "metrics": ("warning", tell_all([metrics])),
        "log, info, and metrics": ("info", tell_all([LogObserver(), metrics])),
    }
    times: dict[str, list[float]] = {one: [] for one in told}
    for _ in range(rounds):
        nothing = time_one(tell, SILENT)
        for one, (level, observer) in told.items():
            configure_logs(level, "json")
            times[one].append(time_one(tell, observer) - nothing)
    return (name, *(f"{median(times[one]):.1f}" for one in LISTENERS))


PATHS = {"send": send, "negotiate": negotiate, "upstream": upstream}
LISTENERS = ("log, warning", "log, info", "metrics", "log, info, and metrics")
