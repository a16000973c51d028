"""Route templates of HTTP triggers, such as ``items/{id:int?}``: read, matched, and put in order.

Source: https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-templates
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias
from urllib.parse import unquote

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.route_constraints import Constraint, read_constraint


class Rank(IntEnum):
    """How much a segment says. Of two routes the one whose first other segment ranks lower is asked first."""

    LITERAL = 1
    CONSTRAINED = 2
    """A parameter with a constraint, or several parts."""
    PARAMETER = 3
    CONSTRAINED_REST = 4
    REST = 5


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a template.

    Attributes:
        name: Its name as it was written.
        constraints: What its value has to be.
        default: Its value where the path has none. None without one.
        is_optional: Whether the path may end in front of it.
        is_rest: Whether it takes all that is left of the path.
    """

    name: str
    constraints: tuple[Constraint, ...] = ()
    default: str | None = None
    is_optional: bool = False
    is_rest: bool = False

    def accepts(self, value: str) -> bool:
        """Whether all constraints take the value."""
        return all(one.accepts(value) for one in self.constraints)

    @property
    def may_be_absent(self) -> bool:
        """Whether the path may end in front of it."""
        return self.is_optional or self.is_rest or self.default is not None


Part: TypeAlias = str | Parameter
"""A literal text, in lower case, or a parameter."""
Segment: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A template.

    Attributes:
        text: As it was written, without slashes at its ends.
        segments: What stands between the slashes.
    """

    text: str
    segments: tuple[Segment, ...]

    @property
    def precedence(self) -> tuple[Rank, ...]:
        """What routes are sorted by."""
        return tuple(map(_rank, self.segments))

    @property
    def shape(self) -> tuple[tuple[object, ...], ...]:
        """What two routes share that take the same paths. The names of parameters and letters' case do not count."""
        return tuple(
            tuple(one if isinstance(one, str) else (_texts(one), one.is_rest) for one in segment)
            for segment in self.segments
        )

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """The values of the parameters, unescaped once. None when the path is another one.

        Args:
            segments: The path between the slashes, as it came. A slash at its end counts only for a part that takes all
                of the rest, as in ASP.NET.
        """
        values: dict[str, str] = {}
        if len(segments) > 1 and not segments[-1] and not self._takes_rest:
            segments = segments[:-1]
        for position, segment in enumerate(self.segments):
            only = segment[0] if len(segment) == 1 and isinstance(segment[0], Parameter) else None
            if only is not None and only.is_rest:
                return values if _fill(values, only, "/".join(segments[position:])) else None
            given = segments[position] if position < len(segments) else ""
            if not (_fill(values, only, given) if only is not None else _match_parts(values, segment, given)):
                return None
            if not given and position < len(segments):
                return None  # an empty segment is nobody's value
        return values if len(segments) <= len(self.segments) else None

    @property
    def _takes_rest(self) -> bool:
        last = self.segments[-1][0] if self.segments else ""
        return isinstance(last, Parameter) and last.is_rest

    def may_begin_with(self, segment: str) -> bool:
        """Whether it takes a path whose first segment is this one, or that has no other one."""
        if not self.segments:
            return False
        first = self.segments[0]
        if isinstance(first[0], Parameter) and first[0].is_rest:
            return True
        return RouteTemplate("", (first,)).match([segment]) is not None


def _rank(segment: Segment) -> Rank:
    first = segment[0]
    if len(segment) > 1:
        return Rank.CONSTRAINED
    if isinstance(first, str):
        return Rank.LITERAL
    if first.is_rest:
        return Rank.CONSTRAINED_REST if first.constraints else Rank.REST
    return Rank.CONSTRAINED if first.constraints else Rank.PARAMETER


def _texts(parameter: Parameter) -> tuple[str, ...]:
    return tuple(one.text for one in parameter.constraints)


def _fill(values: dict[str, str], parameter: Parameter, given: str) -> bool:
    """Notes the value of a parameter that is a segment of its own. Returns whether it may have this one."""
    if not given:
        if parameter.default is not None:
            values[parameter.name] = parameter.default
        return parameter.may_be_absent
    value = unquote(given)
    values[parameter.name] = value
    return parameter.accepts(value)


def _match_parts(values: dict[str, str], segment: Segment, given: str) -> bool:
    """The same for a segment of several parts. It is matched from its end, so that each part is looked for once.

    An optional parameter at the end may be absent, with the dot in front of it.
    """
    text, last = unquote(given), segment[-1]
    if _match_backwards(values, segment, text):
        return True
    return isinstance(last, Parameter) and last.is_optional and _match_backwards(values, segment[:-2], text)


def _match_backwards(values: dict[str, str], segment: Segment, text: str) -> bool:
    found, lowered, end = {}, text.lower(), len(text)
    waiting: Parameter | None = None
    if len(lowered) != end:
        return False  # a letter whose small form is two letters
    for part in reversed(segment):
        if isinstance(part, Parameter):
            waiting = part
            continue
        start = lowered.rfind(part, 0, end if waiting is None else max(end - 1, 0))
        if start < 0 or (waiting is None and start + len(part) != end):
            return False
        if waiting is not None:
            found[waiting] = text[start + len(part) : end]
            waiting = None
        end = start
    if waiting is not None:
        found[waiting] = text[:end]
        end = 0
    if end or not all(value and one.accepts(value) for one, value in found.items()):
        return False
    values.update((one.name, value) for one, value in found.items())
    return True


def split_path(path: str) -> list[str]:
    """What stands between the slashes of a path as it came. The path ``/`` has nothing there."""
    return path[1:].split("/") if len(path) > 1 else []


def parse_template(text: str, where: str) -> RouteTemplate:
    """The template in a text. Slashes at its ends do not count.

    Args:
        text: The text.
        where: Stands in front of the sentence of an error, and says whose route it is.

    Raises:
        SettingsError: The text is not a template, or has something that does not work here.
    """
    text = text.strip("/")
    try:
        segments = tuple(_read_segment(one) for one in _split(text))
        _check(segments)
    except ValueError as error:
        raise SettingsError(f"{where}: in the route, {error}.") from None
    return RouteTemplate(text, segments)


def _split(text: str) -> Iterator[str]:
    """The segments. A slash in braces, as in a constraint, parts nothing."""
    if text.startswith("~"):
        raise ValueError("the first character is '~': leave it out")
    depth, start = 0, 0
    for position, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "/" and depth == 0:
            yield text[start:position]
            start = position + 1
    if text:
        yield text[start:]


def _read_segment(text: str) -> Segment:
    parts: list[Part] = []
    position = 0
    while position < len(text):
        if text[position] == "{" and text[position : position + 2] != "{{":
            end = _find_end(text, position + 1)
            parts.append(_read_parameter(text[position + 1 : end].replace("{{", "{").replace("}}", "}")))
            position = end + 1
            continue
        literal, position = _read_literal(text, position)
        parts.append(literal)
    if not parts:
        raise ValueError("a segment between two slashes is empty")
    return tuple(parts)


def _find_end(text: str, position: int) -> int:
    """Where the brace stands that ends a parameter. Two braces stand for one in its constraints."""
    while position < len(text):
        if text[position : position + 2] in {"{{", "}}"}:
            position += 2
        elif text[position] == "}":
            return position
        elif text[position] == "{":
            break
        else:
            position += 1
    raise ValueError("a brace is not closed: write {name}")


def _read_literal(text: str, position: int) -> tuple[str, int]:
    """A literal text, in which two braces stand for one, and where it ends."""
    literal = ""
    while position < len(text):
        letter = text[position]
        is_double = text[position : position + 2] in {"{{", "}}"}
        if letter == "{" and not is_double:
            break
        if (letter == "}" and not is_double) or letter == "?":
            raise ValueError(f"'{letter}' stands outside of a parameter: write {{name}}, or {{name?}}")
        literal += letter
        position += 2 if is_double else 1
    return literal.lower(), position


_PARAMETER = re.compile(r"(\*{0,2})([^\s/{}?*:=]+)((?::[^=?(]*(?:\(.*\))?)*?)(=[^?]*|\?)?", re.DOTALL)


def _read_parameter(text: str) -> Parameter:
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise ValueError("a parameter is not understood: write {name}, {name:int}, {name?}, {name=x} or {*name}")
    stars, name, constraints, end = found[1], found[2], found[3], found[4] or ""
    default = end[1:] if end.startswith("=") else None
    return Parameter(name, tuple(_read_constraints(constraints)), default, end == "?", bool(stars))


def _read_constraints(text: str) -> Iterator[Constraint]:
    """The constraints, each behind a colon. A colon in parentheses belongs to an argument."""
    depth, start = 0, 1
    for position, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == ":" and depth == 0 and position:
            yield read_constraint(text[start:position])
            start = position + 1
    if text:
        yield read_constraint(text[start:])


def _check(segments: Sequence[Segment]) -> None:
    """Raises ``ValueError`` for what ASP.NET refuses, too."""
    names = [part.name for segment in segments for part in segment if isinstance(part, Parameter)]
    lowered = [one.lower() for one in names]
    for name in names:
        if lowered.count(name.lower()) > 1:
            raise ValueError(f"the parameter {{{name}}} stands twice")
    for segment in segments:
        for part, follower in zip(segment, [*segment[1:], None], strict=True):
            if isinstance(part, Parameter):
                _check_parameter(part, segment, follower, is_last=segment is segments[-1])


def _check_parameter(parameter: Parameter, segment: Segment, follower: Part | None, *, is_last: bool) -> None:
    name = f"{{{parameter.name}}}"
    if isinstance(follower, Parameter):
        raise ValueError(f"a parameter follows {name} at once: put a text between them")
    if parameter.is_rest and (len(segment) > 1 or not is_last):
        raise ValueError(f"{name} takes all that is left of the path: put it at the end, in a segment of its own")
    if parameter.is_optional and parameter.is_rest:
        raise ValueError(f"{name} takes all that is left of the path, which may be nothing: leave out the '?'")
    if parameter.default is not None and len(segment) > 1:
        raise ValueError(f"{name} has a default: put it in a segment of its own")
    if parameter.is_optional and len(segment) > 1 and (follower is not None or segment[-2] != "."):
        raise ValueError(f"{name} is optional: put it at the end of its segment, behind a dot, or in one of its own")
