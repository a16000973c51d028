"""The lines that are written often, as structs: with the fields and their order that ``logging`` would give them."""

import logging
from datetime import datetime

import msgspec

from signalr_bridge.web.logs import escape_json, find_json_writer

MOST_CHARACTERS = 256
"""Of a text in a line that a client or a stranger has written."""

_ENCODER = msgspec.json.Encoder()


class AccessLine(msgspec.Struct, kw_only=True, gc=False):
    """The line of a request."""

    message: str = "request"
    level: str = "info"
    logger: str = "signalr_bridge.access"
    method: str
    path: str
    status: int
    request_id: str
    caller: str | msgspec.UnsetType
    outcomes: str | msgspec.UnsetType
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    span_id: str | msgspec.UnsetType = msgspec.UNSET
    milliseconds: float
    timestamp: datetime


class UpstreamLine(msgspec.Struct, kw_only=True, gc=False):
    """The line of an upstream call, which stands for that of its request. It is completed when the request has ended.

    ``user`` is not the user id, unless the settings say so.
    """

    message: str = "upstream call"
    level: str = "info"
    logger: str = "signalr_bridge.upstream"
    hub: str
    category: str
    event: str
    connection: str
    user: str | None
    handler: str | None
    result: str
    reason: str | msgspec.UnsetType = msgspec.UNSET
    endpoint: str | msgspec.UnsetType = msgspec.UNSET
    outcomes: str | msgspec.UnsetType = msgspec.UNSET
    status: int | msgspec.UnsetType = msgspec.UNSET
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    span_id: str | msgspec.UnsetType = msgspec.UNSET
    milliseconds: float = 0.0
    timestamp: datetime | msgspec.UnsetType = msgspec.UNSET


def write_line(logger: logging.Logger, line: AccessLine | UpstreamLine) -> bool:
    """Write the line at a tenth of what ``logging`` costs. Returns False where that has to do it."""
    writer = find_json_writer(logger)
    if writer is None:
        return False
    try:
        writer.put(escape_json(_ENCODER.encode(line)))
    except UnicodeEncodeError:
        return False  # half a character, perhaps in a token's name for the caller
    return True
