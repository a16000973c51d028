"""Files are watched: a change is read once it has settled, and reading can be forced."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import Settings, Sources
from signalr_bridge.settings.live import Change
from signalr_bridge.settings.value import Values
from signalr_bridge.settings.watcher import FORCED_SECONDS, LOOK_SECONDS, SETTLE_SECONDS, Watcher
from signalr_bridge.web.log_observer import LogObserver

from tests.e2e.processes import Process
from tests.unit.observed import Recorder


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


async def test_a_folder_whose_content_is_swapped_is_never_seen_half(tmp_path: Path) -> None:
    """As Kubernetes does it: links into ``..data``, which is a link that is moved to the next folder."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}/BRIDGE_PORT").write_text(str(number))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "BRIDGE_PORT").symlink_to("..data/BRIDGE_PORT")
    taken, listener = Taken(), Recorder()
    sources = Sources({"BRIDGE_SECRETS_DIR": str(tmp_path)}, {})
    async with Watcher(sources, taken, listener, clock=Clock(), interval=0.005, settle=0.02):
        await until(lambda: taken.ports == ["1"])
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await until(lambda: taken.ports == ["1", "2"])
        (tmp_path / "..data").unlink()
        await until(lambda: len(listener.of("settings_refused")) == 1)
        (tmp_path / "..data").symlink_to("..1")
        await until(lambda: taken.ports == ["1", "2", "1"])
    assert "BRIDGE_PORT" in listener.of("settings_refused")[0]["reason"], (
        "a link to nothing is not as if nothing were set"
    )


async def test_a_file_counts_when_two_readings_say_the_same(file: Path) -> None:
    """Also one that is written over with as many bytes, and whose times are put back."""
    taken = Taken()
    async with watching(file, taken, Clock(), settle=0.1):
        for number in range(2, 8):
            times = file.stat().st_atime_ns, file.stat().st_mtime_ns
            file.write_text(f"port = {number}")
            os.utime(file, ns=times)
            await asyncio.sleep(0.03)
        await until(lambda: taken.ports[-1] == 7)
        times = file.stat().st_atime_ns, file.stat().st_mtime_ns
        file.write_text("port = 8")
        os.utime(file, ns=times)
        await until(lambda: taken.ports[-1] == 8)
    assert taken.ports == [1, 7, 8]


async def test_who_asks_during_a_reading_gets_what_was_written_before(file: Path) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(Taken):
        def plan(self, values: Values) -> Change:
            begun.set()
            goes_on.wait(10)
            return super().plan(values)

    taken = Slow()
    async with watching(file, taken, Clock(), interval=10) as watcher:
        first = asyncio.create_task(watcher.read_again())
        await until(begun.is_set)
        file.write_text("port = 22")
        second = asyncio.create_task(watcher.read_again())
        await asyncio.sleep(0)
        goes_on.set()
        await asyncio.gather(first, second)
    assert taken.ports == [1, 22]


DEAD_MOUNT = """
import asyncio, signal, sys, threading
from signalr_bridge.settings import Sources
from signalr_bridge.settings.watcher import Watcher
from signalr_bridge.web.observer import Observer


class DeadMount(Sources):
    def look(self):
        threading.Event().wait()


class Printer(Observer):
    def settings_refused(self, *, reason):
        print(reason, flush=True)


async def main():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    clock = asyncio.get_running_loop().time
    async with Watcher(DeadMount({}, {}), None, Printer(), clock=clock, interval=0.01, longest=0.1) as watcher:
        await watcher.read_again()
        await watcher.read_again()
        print("threads", threading.active_count(), flush=True)
        await stopped.wait()


asyncio.run(main())
"""


def test_a_dead_mount_is_said_once_and_does_not_keep_the_process_from_ending() -> None:
    with Process("dead mount", [sys.executable, "-c", DEAD_MOUNT]) as process:
        process.wait_for_line("^threads 2$")
        assert process.stop() == 0
        assert sum("cannot be read within 0.1 seconds" in line for line in process.lines) == 1
