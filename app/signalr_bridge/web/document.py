"""The OpenAPI document, which FastAPI renders from the table of routes, and the application that FastAPI makes."""

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from starlette.types import Receive, Scope, Send

from signalr_bridge.web.front import Front
from signalr_bridge.web.guards import Begin
from signalr_bridge.web.table import Audience, Description, Route, Table

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

_TIMEOUT_HEADER = {
    "name": "X-Request-Timeout",
    "in": "header",
    "required": False,
    "description": "seconds until the caller gives up",
    "schema": {"type": "number", "minimum": 0.1, "maximum": 100},
}
_IDEMPOTENCY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same key with the same body is done once; 2xx and 504 are answered again for 24 hours",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_TEXT = {"type": "string"}
_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
# A name holds no control character, and one character at least that is neither a blank nor a dot.
_CONNECTION = {"type": "string", "pattern": rf"^[^{_CONTROLS}]*[^\s.{_CONTROLS}][^{_CONTROLS}]*$"}
_NAME = {**_CONNECTION, "maxLength": 1024}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "hub": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}$"},
    "groupName": _NAME,
    "userId": _NAME,
    "connectionId": _CONNECTION,
    "excluded": {"type": "array", "items": _CONNECTION, "minItems": 1},
    "confirm": {"type": "string", "enum": ["all"]},
    "onError": {"type": "string", "enum": ["stop", "continue"]},
    "order": {"type": "string", "enum": ["sequence", "none"]},
    "ttlSeconds": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    "top": {"type": "integer", "minimum": 1, "maximum": 200},
    "strict": {"type": "boolean"},
    "kind": {"type": "string", "pattern": "^[a-z]{1,32}(,[a-z]{1,32}){0,15}$", "examples": ["upstream,negotiate,send"]},
}
"""What a parameter of the path or of the query may be. Others are texts."""

_NEEDED = {"confirm"}
"""The parameters of a query that must be there."""


class BridgeApp(FastAPI):
    """The application: the front answers, and FastAPI renders the document and serves what the front hands over.

    Args:
        table: All routes.
        more_schemes: Security schemes that routes name.
        root_path: The prefix that a proxy takes off the path. Links and the document's ``servers`` begin with it.
        given: The arguments of ``FastAPI``.
    """

    front: Front

    def __init__(self, table: Table, more_schemes: Mapping[str, Any], root_path: str = "", **given: Any) -> None:
        super().__init__(**given)
        # Whoever instruments FastAPI for all applications puts it here. Its spans would hold the query.
        vars(self).pop("build_middleware_stack", None)
        self._prefix = root_path
        self._table = table
        self._more_schemes = more_schemes
        self._describing = asyncio.Lock()
        for route in table.routes:
            if route.endpoint is not None:
                self.add_api_route(
                    route.template, route.endpoint, methods=[route.method], include_in_schema=False, response_model=None
                )

    @property
    def begin(self) -> Begin:
        """``Front.begin``."""
        return self.front.begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.front(scope, receive, send)
        else:
            await self.serve(scope, receive, send)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a route that FastAPI answers."""
        if self._prefix and scope["type"] == "http":
            # By ASGI the path begins with the root path. Else a route would be cut that begins as the prefix does.
            scope["root_path"] = prefix = self._prefix + scope.get("root_path", "")
            scope["path"] = prefix + scope["path"]
        if self.openapi_schema is None and scope["type"] == "http" and scope["path"].endswith(self.openapi_url or "/"):
            async with self._describing:  # in a thread, because it takes a third of a second
                await asyncio.to_thread(self.openapi)
        await super().__call__(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document. It is made once, and only where somebody asks for it, because that takes a while."""
        if self.openapi_schema is None:
            described = FastAPI(title=self.title, version=self.version, description=self.description)
            for route in self._table.routes:
                if route.description is not None and route.description.operation is None:
                    _register(described, route, route.description)
            document = described.openapi()
            document["components"]["securitySchemes"] = {**_SCHEMES, **self._more_schemes}
            for route in self._table.routes:
                if route.description is not None:
                    _complete(document["paths"], route, route.description)
            self.openapi_schema = document
        return self.openapi_schema


def _register(described: FastAPI, route: Route, description: Description) -> None:
    source = route.endpoint or route.answer
    assert source is not None, "the table has checked that"
    described.add_api_route(
        route.template,
        route.endpoint or _never,
        methods=[route.method],
        operation_id=route.operation,
        tags=[*description.tags],
        summary=description.summary or source.__name__.replace("_", " ").title(),
        description=inspect.cleandoc(source.__doc__ or ""),
        responses={**description.responses},
        openapi_extra=_describe(route, description),
        **description.more,
    )


# Stands for the routes that the front answers. FastAPI only describes them. A docstring would stand in the document.
async def _never(request: FastAPIRequest) -> None:
    raise AssertionError("the front answers this route")


def _describe(route: Route, description: Description) -> dict[str, Any]:
    parameters = [
        *({"name": one, "in": "path", "required": True, "schema": _SCHEMAS[one]} for one in route.parameters),
        *(
            {"name": one, "in": "query", "required": one in _NEEDED, "schema": _SCHEMAS.get(one, _TEXT)}
            for one in route.query or ()
        ),
        *([_TIMEOUT_HEADER] if route.has_deadline else []),
        *([_IDEMPOTENCY_HEADER] if route.is_idempotent else []),
    ]
    body = {} if description.body is None else {"requestBody": description.body}
    return ({"parameters": parameters} if parameters else {}) | body


def _complete(paths: dict[str, Any], route: Route, description: Description) -> None:
    """Adds who may call, and an operation that is described whole."""
    if description.operation is not None:
        paths.setdefault(route.template, {})[route.method.lower()] = {"operationId": route.operation} | dict(
            description.operation
        )
        return
    if not route.rights:
        return
    operation = paths[route.template][route.method.lower()]
    operation["security"] = _CLIENTS_TOO if route.audience is Audience.CLIENTS else _CALLERS
    rights = " or ".join(sorted(f"`{right.value}`" for right in route.rights))
    text = f"A caller needs the right {rights}."
    operation["description"] = f"{operation['description']}\n\n{text}" if "description" in operation else text
