"""A client's claims on their way through the service: written into the token, read from the upstream header.

The service joins claims to one line, ``type: value, type: value``, and escapes nothing. A display name such as
``Bob, role: admin`` could therefore forge a role. So our tokens carry one more claim, ``bridge.claims``: base64url of
the JSON of all claims, which holds neither comma nor colon.
Source of the line's form: ``docs/protocol/functions-bindings.md`` 1.5, ``docs/protocol/service-emulation.md`` 3.2.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol import json_text

ClaimValues: TypeAlias = Sequence[str | int | float | bool]
"""The values of one claim."""

LOSSLESS_CLAIM = "bridge.claims"
GROUPS_CLAIM = "bridge.groups"
"""Stands in ``bridge.claims`` for the groups that a negotiate handler named. No claim has this name."""
MARK_CLAIM = "bridge.mark"
"""Stands in ``bridge.claims`` for what tells the negotiation from others. No claim has this name."""
NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"

# The JWT library of .NET renames claims on the way in. Here they get their short names back.
_SHORT_NAMES = {
    NAME_IDENTIFIER: "nameid",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": "unique_name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "email",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": "given_name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname": "family_name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "upn",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role": "role",
}
_LOSSLESS = f"{LOSSLESS_CLAIM}: "
_NO_CLAIMS = urlsafe_b64encode(b"{}").rstrip(b"=").decode()
# The groups stand first, so that what begins a value with groups is always the same.
_WITH_GROUPS = _LOSSLESS + urlsafe_b64encode(b'{"' + GROUPS_CLAIM.encode()).decode()
_ABOUT_THE_TOKEN = frozenset({"aud", "exp", "iat", "nbf", LOSSLESS_CLAIM, GROUPS_CLAIM, MARK_CLAIM})
# A type has no blank and no comma. A piece that does not begin with a type belongs to the value before it.
_BEGINS_CLAIM = re.compile(r"[^\s:,][^\s,]*?: ")


@dataclass(frozen=True, slots=True)
class Claims:
    """A client's claims by type. ``exact`` means that they are as given at negotiate, and so may grant rights.

    ``groups`` are those that the client joins, as a negotiate handler has named them, and ``mark`` tells the
    negotiation from others. Only exact claims have them.
    """

    values: Mapping[str, list[str]] = field(default_factory=dict)
    exact: bool = False
    groups: Sequence[str] = ()
    mark: str = ""


def write_lossless(claims: Mapping[str, ClaimValues], groups: Sequence[str] = (), mark: str = "") -> str:
    """The value of the claim ``bridge.claims``."""
    if not claims and not groups and not mark:
        return _NO_CLAIMS
    texts = {name: [claim_text(value) for value in values] for name, values in claims.items()}
    if groups:
        texts = {GROUPS_CLAIM: list(groups), **texts}
    if mark:
        texts[MARK_CLAIM] = [mark]
    short = {name: values[0] if len(values) == 1 else values for name, values in texts.items()}
    return urlsafe_b64encode(json_text.encode(short)).rstrip(b"=").decode()


def read_lossless(text: str) -> dict[str, list[str]] | None:
    """The claims in a value of ``bridge.claims``. None when the text is not such a value."""
    try:
        decoded = json_text.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (binascii.Error, UnicodeEncodeError, ValueError, MalformedJson):
        return None
    if not isinstance(decoded, dict):
        return None
    values = {name: value if isinstance(value, list) else [value] for name, value in decoded.items()}
    return values if all(isinstance(one, str) for value in values.values() for one in value) else None


def read_mark(text: str) -> str:
    """The mark of the negotiation in a value of ``bridge.claims``. Empty without one."""
    found = (read_lossless(text) or {}).get(MARK_CLAIM, [])
    return found[0] if len(found) == 1 else ""


def claim_text(value: str | int | float | bool) -> str:
    """A claim's value as the service shows it."""
    return value if isinstance(value, str) else json_text.encode(value).decode()


def may_name_groups(line: str) -> bool:
    """Whether the header ``X-ASRS-User-Claims`` may name groups to join, which ``read_claims_line`` then tells."""
    return _WITH_GROUPS in line


def write_claims_line(claims: Iterable[tuple[str, str]]) -> str:
    """The header ``X-ASRS-User-Claims`` as the service writes it."""
    return ", ".join(f"{name}: {value}" for name, value in claims)


def are_forged(line: str, user_id: str) -> bool:
    """Whether ``bridge.claims`` stands where we never write it: a second time, or in the user id."""
    return line.count(LOSSLESS_CLAIM) > 1 or LOSSLESS_CLAIM in user_id


def read_claims_line(line: str, user_id: str = "", *, lossless: bool = True) -> Claims:
    """The claims in the header ``X-ASRS-User-Claims``.

    They are read from ``bridge.claims`` alone when that occurs exactly once. When it occurs more often, or in the user
    id, it is forged, and no claims are returned.

    Args:
        line: The header's value.
        user_id: The user id that stands beside it.
        lossless: Whether our tokens have ``bridge.claims``. If not, one that is there is not trusted.
    """
    if are_forged(line, user_id):
        return Claims()
    if lossless and (written := _find_lossless(line)) is not None:
        exact = read_lossless(written)
        if exact is None:
            return Claims()
        groups, mark = exact.pop(GROUPS_CLAIM, ()), exact.pop(MARK_CLAIM, [""])
        return Claims(exact, True, groups, mark[0] if len(mark) == 1 else "")
    values: dict[str, list[str]] = {}
    for name, value in _split(line):
        if (short := _shorten(name)) is not None:
            values.setdefault(short, []).append(value)
    return Claims(values)


def _find_lossless(line: str) -> str | None:
    """The value of ``bridge.claims``, which occurs once at most. It is what ``_split`` would find, sooner."""
    if line.startswith(_LOSSLESS):
        begin = len(_LOSSLESS)
    elif (found := line.find(f", {_LOSSLESS}")) >= 0:
        begin = found + len(_LOSSLESS) + 2
    else:
        return None
    value, *more = line[begin:].split(", ")
    for piece in more:
        if _BEGINS_CLAIM.match(piece):
            break
        value = f"{value}, {piece}"
    return value


def _split(line: str) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    for piece in line.split(", "):
        if _BEGINS_CLAIM.match(piece):
            name, _, value = piece.partition(": ")
            pieces.append((name, value))
        elif pieces:
            name, value = pieces.pop()
            pieces.append((name, f"{value}, {piece}"))
    return pieces


def _shorten(name: str) -> str | None:
    if name.startswith("asrs.u."):
        return name.removeprefix("asrs.u.")
    if name.startswith("asrs.s.") or name in _ABOUT_THE_TOKEN:
        return None
    return _SHORT_NAMES.get(name, name)
