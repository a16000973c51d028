"""A process that loads an app to list its functions: bounded in time and output, and ended with all it has started."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from signalr_bridge.errors import SettingsError

MOST_SECONDS = 60.0
"""How long an app may take to load."""

MOST_BYTES = 4_194_304
"""How long a list of functions may be."""

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
"""What a program needs of our environment. Nothing else of it is handed on, because it may hold secrets."""

_MOST_COMPLAINTS = 65_536
_CHUNK = 65_536
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Printed:
    """What a process has said. It may hold secrets of the app.

    Attributes:
        code: Its exit code.
        output: What it printed.
        complaints: The beginning of what it printed to standard error.
    """

    code: int
    output: bytes = field(repr=False)
    complaints: bytes = field(repr=False)


class AppProcess:
    """Runs a program that prints a list.

    Args:
        folder: The app's folder, where the program runs.
        values: The app's own settings, which its code reads from the environment.
        seconds: How long it may take.
    """

    def __init__(self, folder: Path, values: Mapping[str, str], seconds: float = MOST_SECONDS) -> None:
        self._folder, self._values, self._seconds = folder, dict(values), seconds

    def run(self, command: Sequence[str], more: Mapping[str, str] | None = None) -> Printed:
        """Run a program to its end.

        Args:
            command: The program and its arguments.
            more: Further variables of its environment.

        Raises:
            SettingsError: It cannot be started, takes too long, or prints too much.
        """
        child = self._start(command, self._make_environment() | dict(more or {}))
        try:
            output, complaints = self._read(child)
        finally:
            _end(child)
        return Printed(child.returncode, output, complaints)

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError):  # a value with a null byte is a ValueError
            raise SettingsError("The app cannot be loaded, because its process cannot be started.") from None

    def _make_environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        # What an app's settings say comes second: a PATH among them would choose the program that runs.
        return self._values | kept

    def _read(self, child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """What is printed until the program ends. One that it has started may hold the pipes open for ever."""
        output, complaints = _Pipe(child.stdout, MOST_BYTES), _Pipe(child.stderr, _MOST_COMPLAINTS)
        until = time.monotonic() + self._seconds
        while True:
            has_ended = _has_ended(child)
            are_quiet = not (output.take() | complaints.take())
            if output.has_more:
                raise SettingsError(f"The app cannot be loaded, because its list has more than {MOST_BYTES} bytes.")
            if has_ended and are_quiet:
                return output.found, complaints.found
            if time.monotonic() > until:
                raise SettingsError(f"The app cannot be loaded within {self._seconds:g} s.")
            if are_quiet:
                select.select([one for one in (output, complaints) if one.is_open], [], [], _POLL_SECONDS)


class _Pipe:
    """One end of a pipe, and the beginning of what comes through it."""

    def __init__(self, pipe: IO[bytes] | None, most: int) -> None:
        self._descriptor = -1 if pipe is None else pipe.fileno()
        self._most, self._found = most, bytearray()
        self.is_open, self.has_more = pipe is not None, False
        os.set_blocking(self._descriptor, False)

    def fileno(self) -> int:
        return self._descriptor

    @property
    def found(self) -> bytes:
        return bytes(self._found)

    def take(self) -> bool:
        """Read what is there. It gives whether there was anything."""
        if not self.is_open:
            return False
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        room = self._most - len(self._found)
        self._found += chunk[:room]
        self.has_more = self.has_more or len(chunk) > room
        self.is_open = chunk != b""
        return self.is_open


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended. It stays as it is until ``_end``, so that nobody else gets its id."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the program, and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
