"""The secret by which ``dev --forward`` signs. It is made once, and kept in the user's state folder.

Source: https://specifications.freedesktop.org/basedir-spec/latest/ has the folder.
"""

import os
import secrets
import stat
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.forward.formats import WebhookSigner

_FILE = Path("signalr-bridge", "forward-secret")
_BYTES = 32
_MOST_BYTES = 200


@dataclass(frozen=True, slots=True)
class ForwardSecret:
    """A secret that signs.

    Attributes:
        text: ``whsec_`` and base64.
        note: What is to be said of a secret that was made. None for one that the user gave.
    """

    text: str = field(repr=False)
    note: str | None = None


def keep_secret(environment: Mapping[str, str]) -> ForwardSecret:
    """The secret that was made before, or a new one. That it cannot be kept is not an error, but is noted.

    ``environment`` names the folder by ``XDG_STATE_HOME`` or ``HOME``.
    """
    file = _find_file(environment)
    if file is None:
        return ForwardSecret(_make(), "not kept: there is no home folder, so the next start makes another")
    kept = _read(file)
    if kept is not None:
        return ForwardSecret(kept, f"kept in {file}")
    made = _make()
    try:
        _write(file, made)
    except OSError:
        return ForwardSecret(made, f"not kept: {file.parent} cannot be written, so the next start makes another")
    return ForwardSecret(made, f"kept in {file}")


def _find_file(environment: Mapping[str, str]) -> Path | None:
    """A relative path in the environment does not count."""
    state, home = Path(environment.get("XDG_STATE_HOME", "")), Path(environment.get("HOME", ""))
    if state.is_absolute():
        return state / _FILE
    return home / ".local" / "state" / _FILE if home.is_absolute() else None


def _make() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(_BYTES)).decode()}"


def _read(file: Path) -> str | None:
    """What the file holds. None for a file that others may read, that is no file, or that holds no secret."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would wait for ever
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
            return None
        text = os.read(descriptor, _MOST_BYTES).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    try:
        WebhookSigner([text], "")
    except SettingsError:
        return None
    return text if text.startswith("whsec_") else None


def _write(file: Path, text: str) -> None:
    """Puts the secret into a file of its user alone. Raises ``OSError``."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        file.unlink()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="ascii") as opened:
        opened.write(text + "\n")
