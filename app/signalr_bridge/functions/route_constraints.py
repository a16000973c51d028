"""The constraints of route templates, such as ``int`` and ``length(2,8)``: what a parameter's value has to be.

Source: https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Accepts: TypeAlias = Callable[[str], bool]
"""Whether a value may stand there."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint. ``text`` is as it was written."""

    text: str
    accepts: Accepts


_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?([0-9][0-9,]*\.?[0-9]*|\.[0-9]+)[+-]?\s*", re.ASCII)
_FLOAT = re.compile(
    r"\s*([+-]?([0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|-?(infinity|∞))\s*", re.ASCII | re.IGNORECASE
)
_HEX = "[0-9a-f]"
_DASHED = rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_GUID = re.compile(rf"\s*({_HEX}{{32}}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\))\s*", re.IGNORECASE)
_WRITTEN = re.compile(r"([A-Za-z]+)(?:\((.*)\))?", re.DOTALL)
_MOST_DIGITS = 20
_DATES = ("%m/%d/%Y", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y", "%Y-%m-%d")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M%p", " %I:%M %p", " %I:%M:%S %p")


def _is_integer(bits: int) -> Accepts:
    most = 2 ** (bits - 1)
    return lambda value: (number := _to_integer(value)) is not None and -most <= number < most


def _to_integer(value: str) -> int | None:
    is_number = _INTEGER.fullmatch(value) and len(value.strip().lstrip("+-").lstrip("0")) <= _MOST_DIGITS
    return int(value) if is_number else None


def _is_moment(value: str) -> bool:
    """Whether .NET reads a date or time there, in the invariant culture. It takes more ways to write one than these."""
    text = value.strip()
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return any(_is_written(text, f"{date}{time}") for date in _DATES for time in _TIMES)
    return True


def _is_written(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


_PLAIN: Mapping[str, Accepts] = {
    "alpha": lambda value: value.isascii() and value.isalpha(),
    "bool": lambda value: value.strip().lower() in {"true", "false"},
    "datetime": _is_moment,
    "decimal": lambda value: _DECIMAL.fullmatch(value) is not None,
    "double": lambda value: _FLOAT.fullmatch(value) is not None,
    "float": lambda value: _FLOAT.fullmatch(value) is not None,
    "guid": lambda value: _GUID.fullmatch(value) is not None,
    "int": _is_integer(32),
    "long": _is_integer(64),
    "required": bool,
    "file": lambda value: _is_file(value),
    "nonfile": lambda value: not _is_file(value),
}


def _is_file(value: str) -> bool:
    """Whether the last segment has a dot with something behind it."""
    return bool(value.rpartition("/")[2].rpartition(".")[1]) and not value.endswith(".")


def _make_length(least: int, most: int) -> Accepts:
    """Lengths are in UTF-16 units, as in .NET."""
    return lambda value: least <= len(value.encode("utf-16-le", "surrogatepass")) // 2 <= most


def _make_range(least: int, most: int) -> Accepts:
    return lambda value: (number := _to_integer(value)) is not None and least <= number <= most


_LONG = 2**63
_BY_NUMBERS: Mapping[tuple[str, int], Callable[..., Accepts]] = {
    ("length", 1): lambda only: _make_length(only, only),
    ("length", 2): _make_length,
    ("minlength", 1): lambda least: _make_length(least, _LONG),
    ("maxlength", 1): lambda most: _make_length(0, most),
    ("min", 1): lambda least: _make_range(least, _LONG - 1),
    ("max", 1): lambda most: _make_range(-_LONG, most),
    ("range", 2): _make_range,
}


def read_constraint(text: str) -> Constraint:
    """The constraint in a text. Raises ``ValueError`` for one that there is not."""
    found = _WRITTEN.fullmatch(text)
    name, arguments = (found[1].lower(), found[2]) if found else ("", None)
    if arguments is None and name in _PLAIN:
        return Constraint(text, _PLAIN[name])
    if name == "regex" and arguments:
        return Constraint(text, _make_regex(arguments))
    numbers = [_to_integer(one) for one in (arguments or "").split(",")]
    make = _BY_NUMBERS.get((name, len(numbers)))
    if make is None or None in numbers:
        known = ", ".join(sorted({*_PLAIN, *(one for one, _ in _BY_NUMBERS), "regex"}))
        raise ValueError(f"the constraint ':{name or text[:16]}' is not understood: write one of {known}")
    return Constraint(text, make(*numbers))


def _make_regex(pattern: str) -> Accepts:
    """As in ASP.NET, letters' case does not count, and the pattern may stand anywhere in the value."""
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error:
        raise ValueError("a ':regex(...)' is not a regular expression that Python reads") from None
    return lambda value: compiled.search(value) is not None
