"""Files are watched: a change is read once it has settled, and reading can be forced."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import Settings, Sources
from signalr_bridge.settings.live import Change
from signalr_bridge.settings.value import Values
from signalr_bridge.settings.watcher import FORCED_SECONDS, LOOK_SECONDS, SETTLE_SECONDS, Watcher
from signalr_bridge.web.logs import LogObserver


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Taken:
    """What the watcher has read; ``refuse`` is what it is told the next time."""

    def __init__(self) -> None:
        self.ports: list[object] = []
        self.refuse: str | None = None

    def plan(self, values: Values) -> Change:
        return Change(Settings(), (), (), ())

    def take(self, change: Change, values: Values) -> None:
        found = values.get("bridge_port")
        self.ports.append(None if found is None else found.value)
        if self.refuse is not None:
            raise SettingsError(self.refuse)


async def until(seen: Callable[[], bool]) -> None:
    for _ in range(500):
        if seen():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("not seen")


@asynccontextmanager
async def watching(file: Path, taken: Taken, clock: Clock, **more: float) -> AsyncIterator[Watcher]:
    sources = Sources({"BRIDGE_SETTINGS_FILE": str(file)}, {})
    async with Watcher(
        sources, taken, LogObserver(), clock=clock, **({"interval": 0.005, "settle": 0.001} | more)
    ) as watcher:
        await until(lambda: bool(taken.ports) or more.get("interval", 0) > 1)
        yield watcher


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text("port = 1")
    return path


async def test_a_change_is_read(file: Path) -> None:
    taken = Taken()
    async with watching(file, taken, Clock()):
        file.write_text("port = 22")
        await until(lambda: taken.ports[-1] == 22)
        replaced = file.with_name("new")
        replaced.write_text("port = 33")
        replaced.rename(file)
        await until(lambda: taken.ports[-1] == 33)


def test_a_change_is_in_force_within_two_seconds() -> None:
    assert LOOK_SECONDS + SETTLE_SECONDS < 2


async def test_what_does_not_change_is_not_read_again(file: Path) -> None:
    taken = Taken()
    async with watching(file, taken, Clock()):
        await asyncio.sleep(0.05)
    assert taken.ports == [1], "once after the start: something may have changed meanwhile"


async def test_a_file_that_is_not_well_formed_or_gone_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken()
    async with watching(file, taken, Clock()):
        file.write_text("port = canary")
        await until(lambda: len(caplog.records) == 1)
        file.unlink()
        await until(lambda: len(caplog.records) == 2)
        file.write_text("port = 2")
        await until(lambda: taken.ports[-1] == 2)
    reasons = [vars(one)["reason"] for one in caplog.records]
    assert [("TOML" in one, "cannot be read" in one) for one in reasons] == [(True, False), (False, True)]
    assert "canary" not in str([vars(one) for one in caplog.records])


async def test_a_refusal_is_said_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    taken, clock = Taken(), Clock()
    async with watching(file, taken, clock) as watcher:
        taken.refuse = "No."
        for _ in range(3):
            clock.now += FORCED_SECONDS
            await watcher.read_again()
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        taken.refuse = None
        clock.now += FORCED_SECONDS
        await watcher.read_again()
        taken.refuse = "No."
        clock.now += FORCED_SECONDS
        await watcher.read_again()
    assert len(caplog.records) == 2


async def test_reading_is_forced_once_for_all_who_ask(file: Path) -> None:
    taken, clock = Taken(), Clock()
    async with watching(file, taken, clock, interval=10) as watcher:
        await asyncio.gather(*(watcher.read_again() for _ in range(50)))
        assert taken.ports == [1]
        await watcher.read_again()
        assert taken.ports == [1], "nothing has changed, and it was read just now"
        clock.now += FORCED_SECONDS
        await watcher.read_again()
        assert taken.ports == [1, 1]
        file.write_text("port = 22")
        await watcher.read_again()
        assert taken.ports == [1, 1, 22], "a file that has changed is always read"


async def test_a_file_that_is_still_being_written_is_waited_for(file: Path) -> None:
    taken = Taken()
    async with watching(file, taken, Clock(), interval=10, settle=0.05) as watcher:
        reading = asyncio.create_task(watcher.read_again())
        for number in range(2, 6):
            file.write_text(f"port = {number}" + " " * number)
            await asyncio.sleep(0.02)
        await reading
    assert taken.ports == [5]


async def test_an_error_that_nobody_expects_does_not_end_the_watch(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Taken):
        def take(self, change: Change, values: Values) -> None:
            super().take(change, values)
            if self.ports[-1] == 22:
                raise KeyError("canary")

    taken = Broken()
    async with watching(file, taken, Clock()):
        await until(lambda: bool(taken.ports))
        file.write_text("port = 22")
        await until(lambda: taken.ports[-1] == 22)
        file.write_text("port = 333")
        await until(lambda: taken.ports[-1] == 333)
    assert "canary" not in caplog.text
