"""A message finished for each hub protocol, in one map that is the body of a send.

Source: ``docs/protocol/rest-and-management.md`` 5.1 and 10.6.
"""

import msgspec

from signalr_bridge.errors import MalformedJson, MalformedMessage
from signalr_bridge.protocol import hub_json, hub_messagepack
from signalr_bridge.protocol.hub_message import Invocation
from signalr_bridge.protocol.rest import write_message


def write_packed(target: str, arguments: bytes) -> bytes:
    """The message finished for clients of JSON and of MessagePack. ``arguments`` is a JSON array.

    Numbers that MessagePack does not have become there what ``hub_messagepack.from_json`` says. Raises
    ``MalformedJson`` for arguments that are nested too deeply.
    """
    try:
        packed = hub_messagepack.write_message(Invocation(target, msgspec.Raw(arguments)))
    except RecursionError:
        raise MalformedJson("The arguments are nested too deeply.") from None
    plain = b'{"type":1,' + write_message(target, arguments)[1:] + hub_json.RECORD_SEPARATOR
    return msgspec.msgpack.encode({"json": plain, "messagepack": packed})


def read_packed(body: bytes) -> dict[str, bytes]:
    """The finished messages by the name of their hub protocol. Raises ``MalformedMessage``."""
    try:
        return msgspec.msgpack.decode(body, type=dict[str, bytes])
    except (msgspec.DecodeError, ValueError):
        raise MalformedMessage("The body is no map of messages by protocol.") from None
