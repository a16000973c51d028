"""A process that loads an app to list its functions: bounded in time and output, and ended with all it has started."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from signalr_bridge.errors import SettingsError

MOST_SECONDS = 60.0
"""How long an app may take to load."""

MOST_BYTES = 4_194_304
"""How long a list of functions may be."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
"""What a program needs of our environment. Nothing else of it is handed on, because it may hold secrets."""

_CHUNK = 65_536
_POLL_SECONDS = 0.05


class AppProcess:
    """Runs a program that prints a list.

    Args:
        folder: The app's folder, where the program runs.
        values: The app's own settings, which its code reads from the environment.
        seconds: How long it may take.
    """

    def __init__(self, folder: Path, values: Mapping[str, str], seconds: float = MOST_SECONDS) -> None:
        self._folder, self._values, self._seconds = folder, dict(values), seconds

    def run(self, command: Sequence[str], more: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """The exit code and what was printed. What the program says in its errors is not kept.

        Args:
            command: The program and its arguments.
            more: Further variables of its environment.

        Raises:
            SettingsError: It cannot be started, takes too long, or prints too much.
        """
        child = self._start(command, self._make_environment() | dict(more or {}))
        try:
            printed = self._read(child)
        finally:
            _end(child)
        return child.returncode, printed

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError):  # a value with a null byte is a ValueError
            raise SettingsError("The app cannot be loaded, because its process cannot be started.") from None

    def _make_environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # What an app's settings say comes second: a PATH among them would choose the program that runs.
        return self._values | kept

    def _read(self, child: subprocess.Popen[bytes]) -> bytes:
        """What is printed until the program ends. One that it has started may hold the output open for ever."""
        output = -1 if child.stdout is None else child.stdout.fileno()
        os.set_blocking(output, False)
        until = time.monotonic() + self._seconds
        found, is_open = bytearray(), True
        while True:
            has_ended = _has_ended(child)
            chunk = _take(output) if is_open else None
            found += chunk or b""
            is_open = is_open and chunk != b""
            if len(found) > MOST_BYTES:
                raise SettingsError(f"The app cannot be loaded, because its list has more than {MOST_BYTES} bytes.")
            if has_ended and not chunk:
                return bytes(found)
            if time.monotonic() > until:
                raise SettingsError(f"The app cannot be loaded within {self._seconds:g} s.")
            if not chunk:
                select.select([output] if is_open else [], [], [], _POLL_SECONDS)


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended. It stays as it is until ``_end``, so that nobody else gets its id."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _take(output: int) -> bytes | None:
    """What is there to be read. Empty at the end, None where nothing is there yet."""
    try:
        return os.read(output, _CHUNK)
    except BlockingIOError:
        return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the program, and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()
