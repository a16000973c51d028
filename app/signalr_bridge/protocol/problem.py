"""An error as an RFC 9457 problem: its headers and its JSON text.

Source: https://www.rfc-editor.org/rfc/rfc9457
"""

from typing import Any

from signalr_bridge.errors import BridgeError
from signalr_bridge.protocol import json_text

MEDIA_TYPE = "application/problem+json"

LONGEST_DETAIL = 1024
"""How many characters of a refusal by a handler reach the client."""


def write_problem(error: BridgeError, request_id: str) -> bytes:
    """The body of the answer. Extension members stand beside the standard ones and replace none of them."""
    body: dict[str, Any] = dict(error.extensions)
    body |= {
        "type": f"urn:signalr-bridge:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"urn:request:{request_id}",
        "code": error.code,
    }
    return json_text.encode(body)


def problem_headers(error: BridgeError) -> dict[str, str]:
    """The headers of the answer, without the media type and length of its body."""
    return error.headers | {"X-Problem-Code": error.code, "Cache-Control": "no-store"}
