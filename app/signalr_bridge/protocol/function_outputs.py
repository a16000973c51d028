"""What a function puts into a ``signalR`` output, read as items with the leniency of the binding.

Source: ``docs/protocol/functions-bindings.md`` 3.1 to 3.3.
"""

from collections.abc import Iterator

from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol import json_text

_DESTINATIONS = (b"connectionId", b"userId", b"groupName")
_ACTIONS = {b"0": b'"add"', b"1": b'"remove"', b"2": b'"removeAll"'}
_NULL, _EMPTY = b"null", b'""'


def read_output(text: bytes, *, empty_means_all: bool = False) -> Iterator[bytes]:
    """The items of an output: an object, an array of objects, or either as JSON text, which is unwrapped once.

    Of each item only what the binding reads is left: the known properties, and the first of several destinations.
    Raises ``MalformedJson`` and ``DuplicateMember`` while it is read.

    Args:
        text: The output as JSON text.
        empty_means_all: Whether an empty destination is as if absent. Else it stays, and is an error when it is sent.
    """
    return _read_output(text, empty_means_all, depth=0)


def _read_output(text: bytes, empty_means_all: bool, depth: int) -> Iterator[bytes]:
    match json_text.first_character(text):
        case b"{":
            yield _tidy(text, empty_means_all)
        case b"[":
            for element in json_text.elements(text):
                yield _tidy(element, empty_means_all) if element != _NULL else element
        case b'"' if depth == 0:
            inner = json_text.decode(text).strip()
            yield from _read_output(inner.encode(), empty_means_all, depth=1) if inner else ()
        case _ if text.strip() != _NULL:
            raise MalformedJson


def _tidy(item: bytes, empty_means_all: bool) -> bytes:
    if json_text.first_character(item) == b'"':
        item = json_text.decode(item).encode()
    given = {name.lower().encode(): value for name, value in json_text.members(item).items() if value != _NULL}
    destinations = [name for name in _DESTINATIONS if name.lower() in given]
    if empty_means_all:
        destinations = [name for name in destinations if given[name.lower()] != _EMPTY]
    destination = destinations[0] if destinations else b""
    names = [b"target", b"arguments", b"endpoints", destination]
    if b"target" not in given:
        given[b"action"] = action = _ACTIONS.get(given.get(b"action", b""), given.get(b"action", _NULL))
        more = {b'"close"': b"reason", b'"removeall"': b""}.get(action.lower(), b"groupName")
        names = [b"action", b"endpoints", destination, more]
    kept = {name: given[name.lower()] for name in names if name.lower() in given}
    return b"{" + b",".join(b'"%s":%s' % pair for pair in kept.items()) + b"}"
