"""Hubs whose functions block, print and raise what no function should, for the tests of logs and of handlers."""

import asyncio
import sys
import threading
import time
import warnings
from collections.abc import Callable

from pydantic import BaseModel, model_serializer
from signalr_bridge import Admission, Context, Hub, NegotiateRequest, Rejected


class Own(BaseException):
    """A kind of an author's own."""


KINDS: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit("canary"),
    "interrupt": lambda: KeyboardInterrupt("canary"),
    "generator": lambda: GeneratorExit("canary"),
    "cancelled": lambda: asyncio.CancelledError("canary"),
    "own": lambda: Own("canary"),
    "group": lambda: BaseExceptionGroup("canary", [SystemExit("canary")]),
}
raising, filtered, blocking, printing = Hub("raising"), Hub("filtered"), Hub("blocking"), Hub("printing")


@raising.on("raise")
async def raise_it(context: Context, kind: str) -> None:
    raise KINDS[kind]()


@raising.on("raiseLater")
async def raise_later(context: Context, kind: str) -> None:
    await asyncio.sleep(0)
    raise KINDS[kind]()


@raising.on("raiseInThread")
def raise_in_thread(context: Context, kind: str) -> None:
    raise KINDS[kind]()


@raising.on("raiseInTask")
async def raise_in_task(context: Context, kind: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(raise_it(context, kind))


class Wicked(BaseModel):
    """A result that raises where it is written."""

    kind: str

    @model_serializer
    def write(self) -> str:
        raise KINDS[self.kind]()


@raising.on("giveBack")
async def give_back(context: Context, kind: str) -> Wicked:
    return Wicked(kind=kind)


@raising.connected
async def arrive(context: Context) -> None:
    if kind := context.query.get("kind"):
        raise KINDS[kind[0]]()


@raising.negotiate
async def admit(request: NegotiateRequest) -> Admission:
    if kind := request.query.get("kind"):
        raise KINDS[kind[0]]()
    return Admission("ann")


@raising.every(0.5)
async def leave() -> None:
    raise SystemExit("canary")


@raising.every(0.5)
def interrupt() -> None:
    raise KeyboardInterrupt("canary")


@raising.shutdown
async def end() -> None:
    raise GeneratorExit("canary")


@filtered.filter
async def check(context: Context) -> None:
    raise KINDS[str(context.arguments[0])]()


@filtered.on("never")
async def never(context: Context, kind: str) -> None:
    raise Rejected("It was not filtered.")


@blocking.on("sleep")
async def sleep(context: Context, seconds: float) -> str:
    await asyncio.sleep(0.01)
    time.sleep(seconds)  # noqa: ASYNC251
    return "slept"


@blocking.on("sleepInThread")
def sleep_in_thread(context: Context, seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


@blocking.on("wait")
async def wait(context: Context, seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "waited"


@blocking.negotiate
async def ponder(request: NegotiateRequest) -> Admission:
    time.sleep(float(request.query["seconds"][0]))  # noqa: ASYNC251
    return Admission("ann")


@printing.on("print")
async def print_much(context: Context, times: int) -> str:
    for number in range(times):
        print(f"{number} {'x' * 100}")
        print(f"{number} {'y' * 100}", file=sys.stderr)
    return "printed"


@printing.on("send")
async def send(context: Context) -> None:
    """To an instance that is down."""
    await context.clients.all.send("newMessage")


@printing.on("warn")
async def warn(context: Context, text: str) -> None:
    """Everything that Python itself writes to standard error."""

    def fail() -> None:
        raise ValueError(text)

    warnings.warn(text, UserWarning, stacklevel=1)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    _Finalized(text)


class _Finalized:
    def __init__(self, text: str) -> None:
        self._text = text

    def __del__(self) -> None:
        raise ValueError(self._text)


stubborn = Hub("stubborn")


@stubborn.on("stay")
async def stay(context: Context) -> None:
    while True:
        try:
            print("staying", flush=True)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
