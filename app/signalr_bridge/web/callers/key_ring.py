"""The keys of callers, known by their SHA-256 and compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable

from signalr_bridge.settings.sections.callers import CallerKey
from signalr_bridge.settings.sections.callers import Grant as GrantSettings
from signalr_bridge.web.callers.caller import ALL_RIGHTS, Caller, Grant, Right


class KeyRing:
    """``keys`` are pairs of a key's SHA-256 and the caller who has it."""

    def __init__(self, keys: Iterable[tuple[bytes, Caller]]) -> None:
        self._keys = tuple(keys)

    def find(self, given: str) -> Caller | None:
        """The caller with this key. Every key is compared, so that the time tells nothing."""
        # Digests have one length, so comparing them in constant time tells nothing about a key's.
        digest = digest_of(given)
        found = [caller for known, caller in self._keys if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def digest_of(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def read_keys(settings: Iterable[CallerKey]) -> KeyRing:
    return KeyRing((_read_digest(one), Caller(one.name, (read_grant(one),))) for one in settings)


def read_grant(settings: GrantSettings) -> Grant:
    rights = ALL_RIGHTS if settings.rights is None else frozenset(map(Right, settings.rights))
    return Grant(rights, None if settings.hubs is None else frozenset(settings.hubs))


def _read_digest(key: CallerKey) -> bytes:
    if key.sha256 is not None:
        return bytes.fromhex(key.sha256.get_secret_value())
    assert key.key is not None
    return digest_of(key.key.get_secret_value())
