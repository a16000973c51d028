"""How .NET writes a moment and a GUID by a format, for ``{datetime:...}`` and ``{rand-guid:...}``.

Source: https://learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings and
https://learn.microsoft.com/dotnet/api/system.guid.tostring
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

DEFAULT_MOMENT = "yyyy-MM-ddTHH-mm-ssK"
"""The format of a moment without one, as the host has it."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WHOLE: Mapping[str, str] = {
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
    "d": "MM/dd/yyyy",
}
"""Formats of one letter, as the invariant culture has them."""
_PARTS: Mapping[str, Callable[[datetime], str]] = {
    "yyyy": lambda at: f"{at.year:04}",
    "yy": lambda at: f"{at.year % 100:02}",
    "MMMM": lambda at: _MONTHS[at.month - 1],
    "MMM": lambda at: _MONTHS[at.month - 1][:3],
    "MM": lambda at: f"{at.month:02}",
    "M": lambda at: str(at.month),
    "dddd": lambda at: _DAYS[at.weekday()],
    "ddd": lambda at: _DAYS[at.weekday()][:3],
    "dd": lambda at: f"{at.day:02}",
    "d": lambda at: str(at.day),
    "HH": lambda at: f"{at.hour:02}",
    "H": lambda at: str(at.hour),
    "hh": lambda at: f"{at.hour % 12 or 12:02}",
    "h": lambda at: str(at.hour % 12 or 12),
    "mm": lambda at: f"{at.minute:02}",
    "m": lambda at: str(at.minute),
    "ss": lambda at: f"{at.second:02}",
    "s": lambda at: str(at.second),
    "tt": lambda at: "AM" if at.hour < 12 else "PM",
    "t": lambda at: "A" if at.hour < 12 else "P",
    "K": lambda at: "Z",
    "zzz": lambda at: "+00:00",
    "zz": lambda at: "+00",
    "z": lambda at: "+0",
}
_LETTERS = "yMdHhmsftKzgF"
"""The letters that mean something in a format."""
_MOST_DIGITS = 7
_PART = re.compile(r"'[^']*'|\"[^\"]*\"|\\.|([yMdHhmsftKzgF])\1*|[^'\"\\%]")
_GUIDS: Mapping[str, Callable[[UUID], str]] = {
    "d": str,
    "n": lambda guid: guid.hex,
    "b": lambda guid: f"{{{guid}}}",
    "p": lambda guid: f"({guid})",
}


def is_moment_format(text: str) -> bool:
    """Whether a moment can be written so."""
    parts = _split(text)
    return parts is not None and all(one[0] not in _LETTERS or one in _PARTS or _is_fraction(one) for one in parts)


def write_moment(moment: datetime, text: str) -> str:
    """The moment, which is in UTC, by a format that ``is_moment_format`` takes."""
    return "".join(_write_part(moment, one) for one in _split(text) or ())


def _write_part(moment: datetime, part: str) -> str:
    if _is_fraction(part):
        return f"{moment.microsecond:06}0"[: len(part)]
    if part in _PARTS:
        return _PARTS[part](moment)
    return part[1:-1] if part[0] in "'\"" else part.removeprefix("\\")


def _is_fraction(part: str) -> bool:
    return part[0] == "f" and len(part) <= _MOST_DIGITS


def is_guid_format(text: str) -> bool:
    """Whether a GUID can be written so."""
    return text.lower() in _GUIDS


def write_guid(guid: UUID, text: str) -> str:
    """The GUID by a format that ``is_guid_format`` takes."""
    return _GUIDS[text.lower()](guid)


def _split(text: str) -> list[str] | None:
    """The parts of a format. None where something is left over."""
    whole = _WHOLE.get(text, "" if len(text) == 1 else text)
    parts = [match[0] for match in _PART.finditer(whole)]
    return parts if whole and "".join(parts) == whole else None
