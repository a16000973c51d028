"""The names that hubs, groups, users and connections may have, and their escaping in URLs.

Source: the patterns (hub, group) and limits (1 to 1024) of the REST swagger, ``docs/protocol/rest-and-management.md``
6.1 and 6.3.
"""

import re
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes

from signalr_bridge.errors import InvalidName

_HUB = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
# C0, DEL and C1 controls would break the service's own headers. Lone surrogates have no UTF-8.
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
LONGEST_NAME = 1024
"""The longest group name or user id, in UTF-16 units."""


def check_hub(name: str) -> str:
    """The hub's name as the service knows it, in lower case. Raises ``InvalidName``."""
    if _HUB.fullmatch(name) is None:
        raise InvalidName("A hub name is 1 to 128 letters, digits or any of _`,.[] and begins with a letter.")
    return name.lower()


@lru_cache(maxsize=1024)
def read_hub_segment(segment: str) -> str:
    """The hub in a segment of a path, in lower case. Raises ``InvalidName``."""
    return check_hub(unescape_segment(segment))


def check_group(name: str) -> str:
    """The name itself. Raises ``InvalidName``."""
    return _check_name("group name", name)


def check_user_id(name: str) -> str:
    """The user id itself. Raises ``InvalidName``."""
    return _check_name("user id", name)


def check_client_user_id(name: str) -> str:
    """A user id that a client's token may name. Raises ``InvalidName``, also for a blank at the beginning or the end.

    Handlers learn the user id from a header, and HTTP drops blanks at both ends of it. They would take such a user for
    another one.
    """
    if check_user_id(name) != name.strip(" \t"):
        raise InvalidName("The user id begins or ends with a blank, which is lost on the way to handlers.")
    return name


def check_connection_id(name: str) -> str:
    """The connection id itself. Raises ``InvalidName``."""
    if not name:
        raise InvalidName("The connection id is empty.")
    _check_characters("connection id", name)
    return name


def _check_name(kind: str, name: str) -> str:
    if not name or name.isspace():
        raise InvalidName(f"The {kind} is empty or only white space.")
    _check_characters(kind, name)
    if len(name) > LONGEST_NAME // 2 and len(name.encode("utf-16-le")) // 2 > LONGEST_NAME:
        raise InvalidName(f"The {kind} is longer than {LONGEST_NAME} UTF-16 units.")
    return name


def has_control_character(text: str) -> bool:
    """Whether the text holds a control character or a lone surrogate."""
    return _UNSPEAKABLE.search(text) is not None


def is_utf8(text: str) -> bool:
    """Whether the text can be encoded. A byte of an environment variable that is not UTF-8 becomes half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_characters(kind: str, name: str) -> None:
    if has_control_character(name):
        raise InvalidName(f"The {kind} holds a control character or a lone surrogate.")
    if name in {".", ".."}:
        # URL libraries collapse even %2E%2E: a send to the group ".." would become a broadcast.
        raise InvalidName(f"The {kind} is '.' or '..', which no URL can carry.")


def escape_segment(name: str) -> str:
    """The name as a path segment or query value. Only the unreserved characters of RFC 3986 stay as they are."""
    return name if _PLAIN.fullmatch(name) else quote(name, safe="")


def unescape_segment(segment: str) -> str:
    """The name in one percent-encoded path segment. Raises ``InvalidName`` when it is not UTF-8."""
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeError:
        raise InvalidName("A path segment is not percent-encoded UTF-8.") from None


def read_parameters(query: str) -> list[tuple[str, str]]:
    """All parameters in their order, unescaped. Blank values are kept, and bytes that are not UTF-8 are replaced.

    It reads what ``urllib.parse.parse_qsl`` reads, in less than half of its time, because most queries have no escapes.
    """
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value))
    if "%" in query or "+" in query:
        return [(_unescape(name), _unescape(value)) for name, value in pairs]
    return pairs


def _unescape(text: str) -> str:
    return unquote(text.replace("+", " "), errors="replace")
