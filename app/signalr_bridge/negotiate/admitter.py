"""Negotiate handlers: how the hub's own is found and asked about a client, and what its answer means."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

from msgspec import structs

from signalr_bridge.errors import (
    BridgeError,
    Forbidden,
    InvalidItem,
    InvalidName,
    NegotiateFailed,
    Overloaded,
    Rejected,
    Unauthenticated,
)
from signalr_bridge.negotiate.negotiator import ClientToken
from signalr_bridge.negotiate.request import read_token
from signalr_bridge.protocol.admission import Admission, NegotiateHandler, NegotiateRequest
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.protocol.names import check_group
from signalr_bridge.protocol.problem import LONGEST_DETAIL
from signalr_bridge.protocol.upstream_event import HeaderLines
from signalr_bridge.web.callers import CHALLENGE
from signalr_bridge.web.cancellation import is_from_outside
from signalr_bridge.web.trace import TRACE

MOST_GROUPS = 100
"""How many groups a handler may name."""

REFUSAL = "This client is not admitted; the log of the bridge has the reason."
_FAILED = "The negotiate handler of this hub failed, so nobody is admitted; the log of the bridge has the reason."
_LOG = logging.getLogger("signalr_bridge.negotiate")


class Admitter(Protocol):
    """Knows the negotiate handler of each hub."""

    def find(self, hub: str) -> NegotiateHandler | None:
        """The handler that is asked about the clients of this hub, whose name is in lower case. None without one."""
        ...


class NoHandlers:
    """An admitter that knows no handler."""

    def find(self, hub: str) -> None:
        """Always None."""


NO_HANDLERS = NoHandlers()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A client about whom the negotiate handler of its hub decides.

    Args:
        hub: The hub, in lower case.
        handler: The hub's negotiate handler.
        token: The token by the hub's rules. None when they do not admit the client.
        is_verified: Whether the rules verified who the client is. An anonymous client is admitted and not verified.
        defaults: What a token says where neither the rules nor the handler say more.
        lossless: Whether the tokens of the hub can carry groups.
        platform: Whether the platform's headers are trusted.
        lines: The header lines of the request, without old tokens of the service.
    """

    hub: str
    handler: NegotiateHandler
    token: ClientToken | None
    is_verified: bool
    defaults: ClientToken
    lossless: bool
    platform: bool
    lines: HeaderLines = field(repr=False)

    async def decide(self, request: NegotiateRequest) -> ClientToken | None:
        """The client's token, as the handler decides. None when neither handler nor rules admit the client.

        Raises ``Forbidden`` and ``Unauthenticated`` for a client that the handler refuses, ``Overloaded``, and
        ``NegotiateFailed`` for a handler that fails or answers nonsense.
        """
        try:
            admission: object = await self.handler.admit(request)
            if admission is None:
                return self.token
            return read_admission(admission, self.token or self.defaults, lossless=self.lossless)
        except Unauthenticated as error:
            raise Unauthenticated(_write_refusal(error), headers=CHALLENGE) from None
        except Rejected as error:
            raise Forbidden(_write_refusal(error)) from None
        except Overloaded:
            raise
        except NegotiateFailed as error:
            self.fail(error.detail)
        except BaseException as error:  # a handler cannot end the process
            if is_from_outside(error):
                raise
            self.fail(type(error).__name__)

    def fail(self, reason: str) -> NoReturn:
        """Log why the handler has failed, and raise ``NegotiateFailed``. ``reason`` holds nothing of the request."""
        extra = {"handler": self.handler.source, "hub": self.hub, "reason": reason}
        _LOG.error("negotiate handler failed", extra=extra | {"request_id": TRACE.get().request_id})
        raise NegotiateFailed(_FAILED) from None


def _write_refusal(error: BridgeError) -> str:
    """The text of a refusal for the client. It is the author's, so it may be anything."""
    text = str(error.detail)[:LONGEST_DETAIL].encode("utf-8", "replace").decode()
    return text if text.strip() else REFUSAL


def read_admission(admission: object, base: ClientToken, *, lossless: bool) -> ClientToken:
    """The token of a client whom a handler admits. Raises ``NegotiateFailed``, whose text is for the log.

    Args:
        admission: What the handler answered, unchecked.
        base: What the token says without the handler.
        lossless: Whether the token can carry groups.
    """
    if not isinstance(admission, Admission):
        raise NegotiateFailed(f"It returned a value of type {type(admission).__name__}, and not an Admission or None.")
    said = read_token(_GivenAdmission(admission), base)
    groups = _read_groups(admission.groups)
    if groups and not lossless:
        raise NegotiateFailed("groups: LOSSLESS_CLAIMS is off for this hub, so they could be forged.")
    claims = base.claims if admission.claims is None else said.claims
    try:
        write_lossless(claims, groups)
    except (UnicodeEncodeError, OverflowError, ValueError):
        raise NegotiateFailed("claims: a token cannot hold a value.") from None
    user_id = base.user_id if said.user_id is None else said.user_id
    return structs.replace(said, user_id=user_id, claims=claims, groups=groups)


def _read_groups(groups: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(groups, list | tuple) or not all(isinstance(one, str) for one in groups):
        raise NegotiateFailed("groups: This is not a list of texts.")
    if len(groups) > MOST_GROUPS:
        raise NegotiateFailed(f"groups: There are more than {MOST_GROUPS}.")
    try:
        return tuple(dict.fromkeys(check_group(_as_plain(one)) for one in groups))
    except InvalidName as error:
        raise NegotiateFailed(f"groups: {error.detail}") from None


def _as_plain(value: Any) -> Any:
    """A text as an exact ``str``. Frameworks have kinds of their own, such as Django's, which no token can hold."""
    return str.__str__(value) if isinstance(value, str) else value


class _GivenAdmission:
    """What a handler admits, as ``read_token`` reads it. The first fault is raised, as ``NegotiateFailed``."""

    def __init__(self, admission: Admission) -> None:
        self._values = {
            "userId": admission.user_id,
            "claims": admission.claims,
            "lifetimeSeconds": admission.lifetime_seconds,
            "endpoint": admission.endpoint,
            "closeOnExpiry": admission.close_on_expiry,
        }

    def value(self, name: str, expected: Any, kind: str) -> Any:
        value = self._values[name]
        if value is None:
            return None
        if name == "claims":
            return self._read_claims(value)
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            self.fault(name, InvalidItem, f"This is not {kind}.")
        return _as_plain(value)

    def _read_claims(self, claims: Any) -> dict[str, Any]:
        """The claims as JSON has them, so that what is no JSON is a fault."""
        if not isinstance(claims, Mapping) or not all(isinstance(name, str) for name in claims):
            self.fault("claims", InvalidItem, "This is not a map from texts.")
        found = {
            _as_plain(name): [*map(_as_plain, one)] if isinstance(one, list | tuple) else _as_plain(one)
            for name, one in claims.items()
        }
        values = [one for value in found.values() for one in (value if isinstance(value, list) else [value])]
        if any(isinstance(one, float) and not math.isfinite(one) for one in values):
            self.fault("claims", InvalidItem, "A number is not finite.")
        return found

    def fault(self, name: str, kind: type[BridgeError], detail: str) -> None:
        raise NegotiateFailed(f"{name}: {detail}")
