"""The hub protocols of upstream calls, by the media type of the call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from signalr_bridge.protocol import hub_json, upstream_event
from signalr_bridge.protocol.hub_message import Completion, Invocation


@dataclass(frozen=True, slots=True)
class Codec:
    """How messages are read and written in one hub protocol. The functions that read raise ``MalformedMessage``."""

    read_invocation: Callable[[bytes], Invocation]
    write_completion: Callable[[Completion], bytes]
    read_completion: Callable[[bytes], Completion]


CODECS: Mapping[str, Codec] = {
    upstream_event.JSON: Codec(
        upstream_event.read_invocation, hub_json.write_completion, upstream_event.read_completion
    ),
    upstream_event.MESSAGEPACK: Codec(
        upstream_event.read_messagepack_invocation,
        upstream_event.write_messagepack_completion,
        upstream_event.read_messagepack_completion,
    ),
}
"""The codecs by media type."""
