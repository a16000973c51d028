"""What a caller asks for in a negotiate body: user id, claims, lifetime, endpoint."""

from typing import Any

import msgspec

from app.errors import Fault, InvalidItem, InvalidName, ReservedClaim, UnknownProperty
from app.negotiate.negotiator import Admission
from app.protocol import json_text
from app.protocol.claims import LOSSLESS_CLAIM, NAME_IDENTIFIER, ClaimValues, claim_text
from app.protocol.names import check_user_id

_TYPES: dict[str, tuple[str, Any, str]] = {
    "userid": ("userId", str, "a string"),
    "claims": ("claims", dict[str, Any], "an object"),
    "lifetimeseconds": ("lifetimeSeconds", int, "an integer"),
    "endpoint": ("endpoint", str, "a string"),
    "closeonexpiry": ("closeOnExpiry", bool, "true or false"),
}
LONGEST_LIFETIME = 86_400


def is_blank(body: bytes) -> bool:
    """Whether a body asks for nothing: empty, blank, or ``{}``. That is a client's call."""
    stripped = body.strip()
    return not stripped or (stripped.startswith(b"{") and stripped.endswith(b"}") and not stripped[1:-1].strip())


def read_request(body: bytes, defaults: Admission) -> Admission:
    """Raises ``MalformedJson``, or ``InvalidItem`` with everything that is wrong."""
    faults: list[Fault] = []
    values = _read_values(body, faults)
    user_id, claims = values.get("userId"), values.get("claims") or {}
    lifetime = values.get("lifetimeSeconds", defaults.lifetime_seconds)
    if user_id is not None:
        _check_user(user_id, faults)
    if not 1 <= lifetime <= LONGEST_LIFETIME:
        faults.append(Fault("#/lifetimeSeconds", InvalidItem, f"This is 1 to {LONGEST_LIFETIME} seconds."))
    read_claims = {name: _read_claim(name, value, faults) for name, value in claims.items()}
    if faults:
        raise InvalidItem(faults)
    close_on_expiry = values.get("closeOnExpiry", defaults.close_on_expiry)
    return Admission(user_id, read_claims, lifetime, values.get("endpoint"), close_on_expiry)


def _read_values(body: bytes, faults: list[Fault]) -> dict[str, Any]:
    if json_text.first_character(body) != b"{":
        json_text.decode(body)
        raise InvalidItem([Fault("#", InvalidItem, "The body is a JSON object.")])
    try:
        members = json_text.members(body)
    except json_text.DuplicateMember:
        raise InvalidItem([Fault("#", InvalidItem, "A property stands there more than once.")]) from None
    values: dict[str, Any] = {}
    for written, text in members.items():
        _read_value(written, text, values, faults)
    return values


def _read_value(written: str, text: bytes, values: dict[str, Any], faults: list[Fault]) -> None:
    shown = "".join(one for one in written[:64] if one.isascii() and one.isprintable())
    if written.lower() not in _TYPES:
        pointer = shown.replace("~", "~0").replace("/", "~1")
        faults.append(Fault(f"#/{pointer}", UnknownProperty, f"The property '{shown}' is not known here."))
        return
    name, expected, kind = _TYPES[written.lower()]
    if name in values:
        faults.append(Fault(f"#/{name}", InvalidItem, "This property stands there more than once, in two spellings."))
    if text == b"null":
        return
    try:
        values[name] = msgspec.json.decode(text, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError):
        faults.append(Fault(f"#/{name}", InvalidItem, f"This is not {kind}."))


def _check_user(user_id: str, faults: list[Fault]) -> None:
    try:
        check_user_id(user_id)
    except InvalidName as error:
        faults.append(Fault("#/userId", InvalidName, error.detail))
    _refuse_forgery(user_id, "#/userId", faults)


def _read_claim(name: str, value: Any, faults: list[Fault]) -> ClaimValues:
    if not name or name in {"nameid", NAME_IDENTIFIER} or name.startswith(("asrs.", "bridge.")):
        faults.append(Fault("#/claims", ReservedClaim, "A claim's type is empty or one that the service reserves."))
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str | int | float | bool) for one in values):
        faults.append(Fault("#/claims", InvalidItem, "A claim is a string, a number, a boolean or an array of these."))
        return ()
    for text in [name, *map(claim_text, values)]:
        _refuse_forgery(text, "#/claims", faults)
    return tuple(values)


def _refuse_forgery(text: str, pointer: str, faults: list[Fault]) -> None:
    if LOSSLESS_CLAIM in text:
        faults.append(Fault(pointer, ReservedClaim, f"A value holds '{LOSSLESS_CLAIM}', which would forge claims."))
    if any(ord(one) < 32 or ord(one) == 127 for one in text):
        faults.append(Fault(pointer, InvalidName, "A value holds a control character."))
