"""The OpenAPI document: FastAPI's description of the routes, with who may call, and with routes of plain ASGI."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from signalr_bridge.web.rights import RIGHTS

_KEY, _TOKEN, _CLIENT = "callerKey", "callerToken", "clientToken"
_SCHEMES = {
    _KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the key of a backend"},
    _TOKEN: {"type": "http", "scheme": "bearer", "description": "a backend's token, with a role that the settings map"},
    _CLIENT: {
        "type": "http",
        "scheme": "bearer",
        "description": "a client's token, of an issuer that its hub believes",
    },
}
_CALLERS: list[dict[str, list[str]]] = [{_KEY: []}, {_TOKEN: []}]
_CLIENTS_TOO: list[dict[str, list[str]]] = [*_CALLERS, {_CLIENT: []}, {}]
_FOR_CLIENTS = frozenset({"negotiate", "negotiateDefaultHub"})

TIMEOUT_HEADER = {
    "name": "X-Request-Timeout",
    "in": "header",
    "required": False,
    "description": "seconds until the caller gives up",
    "schema": {"type": "number", "minimum": 0.1, "maximum": 100},
}
IDEMPOTENCY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same key with the same body is done once; 2xx and 504 are answered again for 24 hours",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


class DocumentedApp(FastAPI):
    """A FastAPI application with a complete OpenAPI document.

    Args:
        more_paths: The OpenAPI paths of plain ASGI routes.
        more_schemes: The security schemes that these paths name.
        given: The arguments of ``FastAPI``.
    """

    def __init__(self, *, more_paths: Mapping[str, Any], more_schemes: Mapping[str, Any], **given: Any) -> None:
        super().__init__(**given)
        self._more_paths = more_paths
        self._more_schemes = more_schemes

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document. It is made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["paths"] |= self._more_paths
            document["components"]["securitySchemes"] = {**_SCHEMES, **self._more_schemes}
            for operations in document["paths"].values():
                for operation in operations.values():
                    _say_who_may_call(operation)
        return super().openapi()


def _say_who_may_call(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    if name not in RIGHTS:
        return
    operation["security"] = _CLIENTS_TOO if name in _FOR_CLIENTS else _CALLERS
    rights = " or ".join(sorted(f"`{right.value}`" for right in RIGHTS[name]))
    text = f"A caller needs the right {rights}."
    operation["description"] = f"{operation['description']}\n\n{text}" if "description" in operation else text
