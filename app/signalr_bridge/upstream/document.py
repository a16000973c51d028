"""The upstream's part of the OpenAPI document: its route is plain ASGI, of which FastAPI knows nothing."""

from typing import Any

from signalr_bridge.protocol.upstream_event import JSON, MESSAGEPACK
from signalr_bridge.web.problems import PROBLEM_ANSWER

_CODE, _CODE_HEADER, _SIGNATURE, _ENTRA = "upstreamCode", "upstreamCodeHeader", "upstreamSignature", "upstreamToken"
SCHEMES: dict[str, Any] = {
    _CODE: {"type": "apiKey", "in": "query", "name": "code", "description": "BRIDGE_UPSTREAM__CODE, where it is set"},
    _CODE_HEADER: {"type": "apiKey", "in": "header", "name": "x-functions-key", "description": "the same in a header"},
    _SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": "X-ASRS-Signature",
        "description": "`sha256=` and the hex HMAC-SHA256 of the connection id by an access key; several, with commas",
    },
    _ENTRA: {"type": "http", "scheme": "bearer", "description": "the token of the service's managed identity"},
}
_CODES: list[dict[str, list[str]]] = [{}, {_CODE: []}, {_CODE_HEADER: []}]
_PROOFS: list[dict[str, list[str]]] = [{_SIGNATURE: []}, {_ENTRA: []}]
_HEADERS = {
    "Hub": "the hub",
    "Category": "`connections` or `messages`",
    "Event": "`connected`, `disconnected`, or the method that the client called",
    "Connection-Id": "the client's connection",
    "User-Id": "the client's user, where it has one",
    "User-Claims": "the client's claims, `type: value, type: value`",
    "Client-Query": "the query with which the client connected",
}
_OPTIONAL = frozenset({"User-Id", "User-Claims", "Client-Query"})


def _describe_header(name: str) -> dict[str, Any]:
    required = name not in _OPTIONAL
    schema = {"type": "string", "minLength": 1} if required else {"type": "string"}
    found = {"name": f"X-ASRS-{name}", "in": "header", "required": required, "schema": schema}
    return found | {"description": _HEADERS[name]}


_INVOCATION = {
    "type": "object",
    "properties": {
        "type": {"type": "integer", "description": "1 for a message; 10 connected, 11 disconnected"},
        "invocationId": {"type": "string", "description": "without one nobody waits for an answer"},
        "target": {"type": "string"},
        "arguments": {"type": "array", "items": {}},
        "error": {"type": "string", "description": "why the client has gone"},
    },
}
_COMPLETION = "empty, or the completion of a message with an invocation id, framed as the hub protocol says"

PATHS: dict[str, Any] = {
    "/upstream": {
        "post": {
            "operationId": "receiveEvent",
            "tags": ["upstream"],
            "summary": "The service reports an event.",
            "description": "Everything below this path is the same, and so is `/runtime/webhooks/signalr`. "
            "Who calls is checked before anything is read.",
            "parameters": [_describe_header(name) for name in _HEADERS],
            "security": [{**code, **proof} for code in _CODES for proof in _PROOFS],
            "requestBody": {
                "content": {
                    JSON: {"schema": _INVOCATION},
                    MESSAGEPACK: {"schema": {"type": "string", "format": "binary"}},
                }
            },
            "responses": {
                "200": {
                    "description": _COMPLETION,
                    "content": {
                        media: {"schema": {"type": "string", "format": "binary"}} for media in (JSON, MESSAGEPACK)
                    },
                },
                **PROBLEM_ANSWER,
            },
        }
    }
}
