"""The body of a caller's negotiation: user id, claims, lifetime and endpoint."""

from typing import Any

from signalr_bridge.errors import Fault, InvalidItem, InvalidName, ReservedClaim
from signalr_bridge.negotiate.negotiator import Admission
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, NAME_IDENTIFIER, ClaimValues, claim_text
from signalr_bridge.protocol.names import check_client_user_id
from signalr_bridge.web.request import ObjectReader

LONGEST_LIFETIME = 86_400
"""The most seconds that a client's token may be valid."""
_PROPERTIES = ("userId", "claims", "lifetimeSeconds", "endpoint", "closeOnExpiry")


def is_blank(body: bytes) -> bool:
    """Whether a body asks for nothing: it is empty, blank, or ``{}``. Clients send such bodies."""
    stripped = body.strip()
    return not stripped or (stripped.startswith(b"{") and stripped.endswith(b"}") and not stripped[1:-1].strip())


def read_request(body: bytes, defaults: Admission) -> Admission:
    """What a caller asks for. ``defaults`` stand for what the body leaves out.

    Raises ``MalformedJson``, or ``InvalidItem`` with all faults.
    """
    if json_text.first_character(body) != b"{":
        json_text.decode(body)  # a body that is not JSON at all is another error
        raise InvalidItem([Fault("#", InvalidItem, "The body is a JSON object.")])
    given = ObjectReader(body, "#")
    given.refuse_unknown(_PROPERTIES)
    admission = Admission(
        user_id=_read_user(given),
        claims=_read_claims(given),
        lifetime_seconds=_read_lifetime(given, defaults.lifetime_seconds),
        endpoint=given.value("endpoint", str, "a string"),
        close_on_expiry=_or(given.value("closeOnExpiry", bool, "true or false"), defaults.close_on_expiry),
    )
    given.raise_faults()
    return admission


def _or(value: Any, default: bool) -> bool:
    return default if value is None else bool(value)


def _read_lifetime(given: ObjectReader, default: int) -> int:
    seconds = given.value("lifetimeSeconds", int, "an integer")
    if seconds is not None and not 1 <= seconds <= LONGEST_LIFETIME:
        given.fault("lifetimeSeconds", InvalidItem, f"This is 1 to {LONGEST_LIFETIME} seconds.")
    return default if seconds is None else int(seconds)


def _read_user(given: ObjectReader) -> str | None:
    user_id: str | None = given.value("userId", str, "a string")
    if user_id is None:
        return None
    try:
        check_client_user_id(user_id)
    except InvalidName as error:
        given.fault("userId", InvalidName, error.detail)
    _refuse_forgery(user_id, "userId", given)
    return user_id


def _read_claims(given: ObjectReader) -> dict[str, ClaimValues]:
    claims = given.value("claims", dict[str, Any], "an object") or {}
    return {name: _read_claim(name, value, given) for name, value in claims.items()}


def _read_claim(name: str, value: Any, given: ObjectReader) -> ClaimValues:
    if not name or name in {"nameid", NAME_IDENTIFIER} or name.startswith(("asrs.", "bridge.")):
        given.fault("claims", ReservedClaim, "A claim's type is empty or one that the service reserves.")
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float | bool) for one in values):
        given.fault("claims", InvalidItem, "A claim is a string, a number, a boolean or an array of these.")
        return ()
    for text in [name, *map(claim_text, values)]:
        _refuse_forgery(text, "claims", given)
    return tuple(values)


def _refuse_forgery(text: str, name: str, given: ObjectReader) -> None:
    if LOSSLESS_CLAIM in text:
        given.fault(name, ReservedClaim, f"A value holds '{LOSSLESS_CLAIM}', which would forge claims.")
    if any(ord(one) < 32 or ord(one) == 127 for one in text):
        given.fault(name, InvalidName, "A value holds a control character.")
