"""What a function puts into a ``signalR`` output, read as items with the leniency of the binding.

Source: ``docs/protocol/functions-bindings.md`` 3.1 to 3.3.
"""

from collections.abc import Iterator, Mapping

from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol import json_text

_DESTINATIONS = (b"connectionId", b"userId", b"groupName")
_ACTIONS = {b"0": b'"add"', b"1": b'"remove"', b"2": b'"removeAll"'}
_NULL, _EMPTY = b"null", b'""'


def read_output(text: bytes) -> Iterator[bytes]:
    """The items of an output: an object, an array of objects, or either as JSON text, which is unwrapped once.

    Of each item only what the binding reads is left: the known properties, and the first of several destinations. One
    that is empty stays in front of it, because the reader of items judges it.
    Raises ``MalformedJson`` and ``DuplicateMember`` while it is read.
    """
    return _read_output(text, depth=0)


def _read_output(text: bytes, depth: int) -> Iterator[bytes]:
    match json_text.first_character(text):
        case b"{":
            yield _tidy(text)
        case b"[":
            for element in json_text.elements(text):
                yield _tidy(element) if element != _NULL else element
        case b'"' if depth == 0:
            inner = json_text.decode(text).strip()
            yield from _read_output(inner.encode(), depth=1) if inner else ()
        case _ if text.strip() != _NULL:
            raise MalformedJson


def _tidy(item: bytes) -> bytes:
    if json_text.first_character(item) == b'"':
        item = json_text.decode(item).encode()
    given = {name.lower().encode(): value for name, value in json_text.members(item).items() if value != _NULL}
    names = [b"target", b"arguments", b"endpoints", *_choose_destination(given)]
    if b"target" not in given:
        given[b"action"] = action = _ACTIONS.get(given.get(b"action", b""), given.get(b"action", _NULL))
        more = {b'"close"': b"reason", b'"removeall"': b""}.get(action.lower(), b"groupName")
        names = [b"action", b"endpoints", *_choose_destination(given), more]
    kept = {name: given[name.lower()] for name in names if name.lower() in given}
    return b"{" + b",".join(b'"%s":%s' % pair for pair in kept.items()) + b"}"


def _choose_destination(given: Mapping[bytes, bytes]) -> Iterator[bytes]:
    for name in _DESTINATIONS:
        if (value := given.get(name.lower())) is not None:
            yield name
            if value != _EMPTY:
                return
