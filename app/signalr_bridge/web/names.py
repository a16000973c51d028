"""Names in paths and queries: matched on the raw path, so that ``a%2Fb`` is one name, and checked."""

import re
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.convertors import Convertor, register_url_convertor

from signalr_bridge.errors import InvalidName, InvalidQuery
from signalr_bridge.protocol.names import check_connection_id, check_group, check_hub, check_user_id, unescape_segment


class SegmentConvertor(Convertor[str]):
    """One path segment as it came. It may be empty, which must be a mistake and never another route."""

    regex = "[^/]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("segment", SegmentConvertor())

_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
_SCHEMAS = {"hub": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}$"}}


_CHECKS = {"hub": check_hub, "groupName": check_group, "userId": check_user_id, "connectionId": check_connection_id}


async def read_path(request: Request) -> dict[str, str]:
    """The names in the path by parameter, unescaped and checked. Raises ``InvalidName``."""
    return {name: _read_segment(name, segment) for name, segment in request.path_params.items()}


def _read_segment(name: str, segment: str) -> str:
    if not segment:
        raise InvalidName("A path segment is empty.")
    return _CHECKS[name](unescape_segment(segment))


PathNames = Annotated[dict[str, str], Depends(read_path)]


def describe_path(path: str) -> dict[str, Any]:
    """A path's parameters for its OpenAPI operation."""
    names = re.findall(r"\{(\w+)", path)
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _SCHEMAS.get(name, _NAME)} for name in names
        ]
    }


def describe_query(*names: str) -> list[dict[str, Any]]:
    """Optional query parameters for an OpenAPI operation."""
    return [{"name": name, "in": "query", "required": False, "schema": _TEXT} for name in names]


def read_query(request: Request, known: Iterable[str]) -> dict[str, list[str]]:
    """The query's values by name. Raises ``InvalidQuery`` for a parameter that is not ``known``."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", encoding="utf-8")
    except ValueError:
        raise InvalidQuery("The query is not percent-encoded UTF-8.") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    known = list(known)
    if any(name not in known for name in values):
        expected = f"it takes {', '.join(known)}" if known else "it takes none"
        raise InvalidQuery(f"The query has a parameter that this route does not know; {expected}.")
    return values


def one_of(values: dict[str, list[str]], name: str) -> str | None:
    """The value of a parameter that may stand there once; ``InvalidQuery`` when it is repeated."""
    found = values.get(name, [])
    if len(found) > 1:
        raise InvalidQuery(f"The query has {name} more than once.")
    return found[0] if found else None
