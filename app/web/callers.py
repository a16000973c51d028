"""Backends that call us: who they are, and what they may do."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.errors import Unauthenticated

CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="signalr-bridge", header="X-API-Key"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """A backend that has proved who it is. ``name`` stands in logs."""

    name: str


class Callers:
    """Knows callers by their API keys. ``keyless``: whoever reaches us is a caller (development, on loopback)."""

    def __init__(self, keys: Sequence[tuple[str, str]], *, keyless: bool = False) -> None:
        """``keys`` are pairs of name and key."""
        # Digests have one length, so comparing them in constant time tells nothing about a key's.
        self._digests = [(name, _digest(key)) for name, key in keys]
        self._keyless = keyless

    def find(self, given: str | None) -> Caller | None:
        """The caller with the key ``given``; None without a key. Raises ``Unauthenticated`` for a wrong one."""
        if given is None:
            return Caller("development") if self._keyless else None
        digest = _digest(given)
        found = [name for name, known in self._digests if hmac.compare_digest(known, digest)]
        if not found:
            raise Unauthenticated("The key in X-API-Key is not known.", headers=CHALLENGE)
        return Caller(found[0])


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


async def find_caller(request: Request) -> Caller | None:
    """Who calls, or None when the request brings no key."""
    callers: Callers = request.app.state.callers
    return callers.find(request.headers.get("x-api-key"))


async def require_caller(request: Request) -> Caller:
    """Who calls; ``Unauthenticated`` when nobody can tell."""
    caller = await find_caller(request)
    if caller is None:
        raise Unauthenticated("Send an API key in the header X-API-Key.", headers=CHALLENGE)
    return caller


RequiredCaller = Annotated[Caller, Depends(require_caller)]
OptionalCaller = Annotated[Caller | None, Depends(find_caller)]
"""Declare a caller before everything else: nothing is said about hubs or bodies to somebody unknown."""
