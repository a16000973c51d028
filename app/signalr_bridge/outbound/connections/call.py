"""What a backend asks of a client, read from JSON: its method, the arguments, and how long it may take."""

from dataclasses import dataclass

from signalr_bridge.errors import Fault, InvalidItem
from signalr_bridge.outbound.item import LARGEST_BODY
from signalr_bridge.outbound.item_reader import Reader
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.rest import write_message

TIMEOUT_SECONDS = 10.0
LEAST_SECONDS, MOST_SECONDS = 1, 100
_PROPERTIES = ("target", "arguments", "timeoutSeconds")


@dataclass(frozen=True, slots=True)
class Call:
    """``body`` is what goes to the service."""

    body: bytes
    seconds: float


def read_call(text: bytes) -> Call:
    """Raises ``InvalidItem`` with everything that is wrong, and ``MalformedJson``."""
    if json_text.first_character(text) != b"{":
        json_text.decode(text)  # what does not parse at all is another mistake
        raise InvalidItem([Fault("#", InvalidItem, "A call is a JSON object.")])
    reader = Reader(text, "#")
    target = reader.value("target", str, "a string")
    if not target:
        reader.fault("target", InvalidItem, "A call has a target that is not empty.")
    arguments = reader.raw("arguments") or b"[]"
    if json_text.first_character(arguments) != b"[":
        reader.fault("arguments", InvalidItem, "This is not an array.")
    seconds = reader.value("timeoutSeconds", float, "a number")
    if seconds is not None and not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        reader.fault(
            "timeoutSeconds", InvalidItem, f"This is a number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}."
        )
    body = write_message(target or "", arguments)
    if len(body) > LARGEST_BODY:
        reader.fault("", InvalidItem, f"The call is larger than {LARGEST_BODY:,} bytes, which the service refuses.")
    reader.refuse_unknown(_PROPERTIES)
    reader.raise_faults()
    return Call(body, TIMEOUT_SECONDS if seconds is None else seconds)
