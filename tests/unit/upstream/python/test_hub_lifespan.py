"""Functions that answer no event: which ones are refused, when they run, and how they end."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from signalr_bridge import Context, Hub, Rejected, event, outbox
from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.python.handler import read_handlers
from signalr_bridge.upstream.python.hub_lifespan import HubLifespan, read_functions
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import FakeOutbox, context

chat = outbox("chat")


def lifespan(*hubs: Hub, fake: FakeOutbox | None = None, grace: float = 5, seconds: float = 5) -> HubLifespan:
    functions = [one for hub in hubs for one in read_functions(hub, Threads())]
    return HubLifespan(functions, fake or FakeOutbox(), seconds=seconds, grace_seconds=grace)


def noting(lines: list[str], line: str) -> Callable[[], Any]:
    async def note() -> None:
        lines.append(line)

    return note


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# --- what may stand there


async def with_argument(context: Context) -> None: ...
async def with_default(text: str = "x", *more: Any, **named: Any) -> None: ...
async def yielding() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (with_argument, r"@chat\.startup stands with .*:with_argument, which takes arguments"),
        (yielding, r"@chat\.startup stands with .*:yielding, which yields"),
        (5, r"@chat\.startup stands with builtins:int, which is no function"),
        (max, "builtins:max does not tell its parameters"),
    ],
)
def test_what_could_not_run_is_a_start_up_error(function: Any, text: str) -> None:
    hub = Hub("chat")
    hub.startup(function)
    with pytest.raises(SettingsError, match=text):
        read_functions(hub, Threads())


@pytest.mark.parametrize("seconds", [0, -1, True, "30", None, float("nan"), float("inf"), with_default])
def test_every_takes_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(SettingsError, match=r"write @chat\.every\(30\)"):
        Hub("chat").every(seconds)


# --- when it runs


async def test_starts_run_in_order_and_stops_behind_the_timers() -> None:
    hub, other, lines = Hub("chat"), Hub("news"), list[str]()
    hub.startup(with_default)
    hub.shutdown(noting(lines, "stop"))
    hub.startup(noting(lines, "one"))
    other.startup(noting(lines, "two"))
    hub.every(0.02)(noting(lines, "tick"))
    async with lifespan(hub, other):
        assert lines == ["one", "two"]
        await until(lambda: lines.count("tick") == 2)
    assert lines[-1] == "stop"
    length = len(lines)
    await asyncio.sleep(0.06)
    assert len(lines) == length, "nothing runs behind the stop"


async def test_a_timer_waits_first_never_runs_twice_at_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    hub, running, most, runs = Hub("chat"), 0, 0, list[float]()
    loop = asyncio.get_running_loop()

    @hub.every(0.05)
    async def refresh() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        runs.append(loop.time())
        await asyncio.sleep(0.12 if len(runs) == 1 else 0)
        running -= 1
        raise ValueError("canary") if len(runs) == 2 else asyncio.CancelledError

    began = loop.time()
    async with lifespan(hub):
        await until(lambda: len(runs) >= 4)
    assert runs[0] - began >= 0.05
    assert most == 1
    assert runs[1] - runs[0] >= 0.12
    logged = [one for one in caplog.records if one.message == "every function failed"]
    assert {getattr(one, "handler", "").rpartition(".")[2] for one in logged} == {"refresh"}
    assert "canary" in caplog.text


async def test_a_run_under_way_has_the_grace_and_is_cancelled_at_its_end() -> None:
    hub, lines = Hub("chat"), list[str]()

    @hub.every(0.01)
    async def short() -> None:
        lines.append("began")
        await asyncio.sleep(0.1)
        lines.append("ended")

    async with lifespan(hub):
        await until(lambda: "began" in lines)
    assert lines.count("began") == lines.count("ended")

    @hub.every(0.01)
    async def long() -> None:
        try:
            lines.append("long")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lines.append("cancelled")
            raise

    hub.shutdown(noting(lines, "stop"))
    running = lifespan(hub, grace=0.1)
    async with running:
        await until(lambda: "long" in lines)
        running.begin_stop()
        count = lines.count("began")
        await asyncio.sleep(0.15)
        assert lines.count("began") <= count, "no further run begins while calls in flight end"
        assert "cancelled" not in lines
    assert lines[-2:] == ["cancelled", "stop"]


async def test_a_stop_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    hub, lines = Hub("chat"), list[str]()
    hub.shutdown(lambda: asyncio.sleep(60))
    hub.shutdown(noting(lines, "next"))
    async with lifespan(hub, seconds=0.05):
        pass
    assert lines == ["next"]
    assert "shutdown function failed" in caplog.text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("canary"), r"startup function .*fail failed \(ValueError, .*test_hub_lifespan\.py, line \d+\)\.$"),
        (SystemExit("canary"), r"failed \(SystemExit, "),
        (KeyboardInterrupt("canary"), r"failed \(KeyboardInterrupt, "),
        (GeneratorExit("canary"), r"failed \(RuntimeError, "),
        (asyncio.CancelledError("canary"), r"failed \(CancelledError, "),
        (BaseException("canary"), r"failed \(BaseException, "),
        (Rejected("no database"), r"failed \(Rejected: no database\)"),
        (SettingsError("Set DATABASE_URL."), r"^Set DATABASE_URL\.$"),
    ],
)
async def test_what_a_start_raises_stops_it(error: BaseException, text: str, caplog: pytest.LogCaptureFixture) -> None:
    hub, lines = Hub("chat"), list[str]()

    @hub.startup
    def fail() -> None:
        raise error

    hub.startup(noting(lines, "behind"))
    with pytest.raises(SettingsError, match=text) as caught:
        await lifespan(hub).__aenter__()
    assert "canary" not in caught.value.detail
    assert lines == []
    assert ("startup function failed" in caplog.text) is not isinstance(error, SettingsError)


async def test_what_it_sends_goes_through_its_own_bridge() -> None:
    hub, one, other = Hub("chat"), FakeOutbox(), FakeOutbox()

    @hub.startup
    async def up() -> None:
        await chat.clients.all.send("up")

    @hub.every(0.01)
    def tick() -> Any:
        assert threading.current_thread() is not threading.main_thread()
        return chat.clients.all.send("tick")

    hub.shutdown(lambda: chat.clients.all.send("down"))
    async with lifespan(hub, fake=one), lifespan(hub, fake=other):
        await until(lambda: min(len(one.performed), len(other.performed)) >= 3)
    for fake in (one, other):
        targets = [message.target for _, message, _ in fake.performed if message is not None]
        assert (targets[0], targets[-1], set(targets[1:-1])) == ("up", "down", {"tick"})


# --- new code


async def test_after_a_reload_the_old_timers_end_and_the_new_ones_begin(caplog: pytest.LogCaptureFixture) -> None:
    old, new, lines = Hub("chat"), Hub("chat"), list[str]()
    for hub, name in ((old, "old"), (new, "new")):
        hub.startup(noting(lines, f"{name} up"))
        hub.every(0.02)(noting(lines, name))
        hub.shutdown(noting(lines, f"{name} down"))
    broken = Hub("chat")
    broken.startup(lambda: 1 / 0)
    broken.shutdown(noting(lines, "broken down"))
    async with lifespan(old) as _, (running := lifespan(old)):
        running.use(read_functions(broken, Threads()))
        running.use(read_functions(new, Threads()))
        await until(lambda: lines.count("new") == 2)
        behind = lines[lines.index("new up") :]
        assert "broken down" not in behind
    assert "startup function failed" in caplog.text
    assert lines[-1] == "old down", "the other lifespan is another bridge's"
    assert [line for line in lines if line.endswith(("up", "down"))] == [
        *("old up", "old up", "old down", "broken down", "new up", "new down", "old down")
    ]


async def test_code_that_ends_while_the_bridge_stops_ends_once() -> None:
    old, lines = Hub("chat"), list[str]()

    @old.shutdown
    async def slow() -> None:
        lines.append("down")
        await asyncio.sleep(0.05)

    running = lifespan(old)
    async with running:
        running.use([])
        await until(lambda: "down" in lines)
    assert lines == ["down"]


# --- names of methods


def test_a_method_that_is_registered_for_something_else_is_no_event() -> None:
    async def check(context: Context) -> None: ...

    class Chat(Hub):
        def __init__(self) -> None:
            super().__init__()
            self.startup(self.prepare)
            self.every(30)(self.refresh)
            self.on("send", filters=[self.look])(self.write)

        async def prepare(self) -> None: ...
        async def refresh(self) -> None: ...
        async def look(self, context: Context) -> None: ...
        async def _write(self, context: Context) -> None: ...

        write = _write

        @event("marked", filters=[check])
        async def answer(self, context: Context) -> None: ...

    handlers = {one.event: len(one.filters) for one in read_handlers(Chat(), Threads())}
    assert handlers == {"send": 1, "write": 0, "marked": 1}
    assert len(read_functions(Chat(), Threads())) == 2


@pytest.mark.parametrize("name", ["startup", "shutdown", "every"])
@pytest.mark.parametrize("method", [with_argument, lambda self: None])
def test_a_newer_name_of_hub_is_no_event(name: str, method: Any) -> None:
    kind = type("Mine", (Hub,), {name: method})
    text = rf"The class Mine defines '{name}', which is a name of Hub and no event\. .* write @event\(\"{name}\"\)"
    for one in (kind, type("Child", (kind,), {})):
        with pytest.raises(SettingsError, match=text):
            read_handlers(one(), Threads())


async def test_an_event_with_a_newer_name_is_marked() -> None:
    class Mine(Hub):
        @event("startup")
        async def startup(self, context: Context) -> str:  # type: ignore[override]
            return "an event"

    [handler] = read_handlers(Mine(), Threads())
    assert await handler.answer(context(event="startup")) == "an event"


# --- filters of one method


async def test_filters_of_a_method_run_behind_the_hubs_and_for_it_alone() -> None:
    hub, lines = Hub("chat"), list[str]()

    def filter_that_notes(name: str) -> Callable[[Context], Any]:
        def note(context: Context) -> None:
            lines.append(name)

        return note

    async def refuse(context: Context) -> None:
        raise Rejected("not you")

    hub.filter(filter_that_notes("hub"))
    own = [filter_that_notes("own"), filter_that_notes("second")]
    hub.on("guarded", filters=own)(lambda context: lines.append("handler"))
    hub.on("open")(lambda context: lines.append("open"))
    hub.connected(filters=[refuse])(lambda context: lines.append("connected"))
    hub.disconnected(filters=[refuse])(lambda context: lines.append("disconnected"))
    handlers = {one.event: one for one in read_handlers(hub, Threads())}
    await handlers["guarded"].answer(context(event="guarded"))
    await handlers["open"].answer(context(event="open"))
    assert lines == ["hub", "own", "second", "handler", "hub", "open"]
    for name in ("connected", "disconnected"):
        with pytest.raises(Rejected):
            await handlers[name].answer(context(category="connections", event=name))
    assert lines[6:] == ["hub", "hub"]


@pytest.mark.parametrize("filters", [with_argument, "check", 5, None])
def test_filters_are_a_list(filters: Any) -> None:
    text = r"Instead of a list of filters stands .*: write filters=\[check\]"
    makes: list[Callable[[], Any]] = [
        lambda: Hub("chat").on("x", filters=filters),
        lambda: Hub("chat").connected(filters=filters),
        lambda: event("x", filters=filters),
    ]
    for make in makes:
        with pytest.raises(SettingsError, match=text):
            make()
    hub = Hub("chat")
    hub.on("x", filters=[yielding])(lambda context: None)
    with pytest.raises(SettingsError, match=r"filters with .*yielding, which yields"):
        read_handlers(hub, Threads())
