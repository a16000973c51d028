"""The outermost ASGI layer: the request's id and trace, the raw path for routing, and one log line for each request."""

import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import InternalError
from app.web.problems import problem_response
from app.web.trace import set_request_id, set_traceparent

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")
_log = logging.getLogger("signalr_bridge.access")


class Edge:
    """Plain ASGI, because Starlette's own middleware class costs more than a whole request of ours.

    ``scope["path"]`` becomes the raw path, so that ``groups/a%2Fb`` is one segment; ``scope["request_id"]`` is set.
    ``scope["answer_headers"]`` go out with every answer, this layer's own too; ``scope["caller"]`` is logged.
    Queries are never logged: those of clients and of the service hold secrets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _read_request_id(headers.get(b"x-request-id"))
        scope["request_id"] = request_id
        set_request_id(request_id)
        extra = scope["answer_headers"] = [(b"x-request-id", request_id.encode())]
        scope["path"] = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        set_traceparent(_read_trace(scope["path"], headers))
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            elif scope["method"] == "HEAD" and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            _log.exception("unhandled error", extra={"request_id": request_id})
            if status:
                raise
            error = InternalError("Something went wrong here; the log has the rest.")
            await problem_response(error, request_id)(scope, receive, send_with_id)
        finally:
            _log_request(scope, status, time.perf_counter() - started, request_id)


def _read_request_id(given: bytes | None) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return secrets.token_hex(16)


def _read_trace(path: str, headers: dict[bytes, bytes]) -> str | None:
    """Callers and the service may pass a trace on; a client's is not ours to believe."""
    given = headers.get(b"traceparent")
    return None if given is None or path.endswith("/negotiate") else given.decode("latin-1")


def _log_request(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    if _log.isEnabledFor(logging.INFO):
        fields = {"method": scope["method"], "path": scope["path"], "status": status, "request_id": request_id}
        fields |= {"caller": scope["caller"]} if "caller" in scope else {}
        _log.info("request", extra=fields | {"milliseconds": round(seconds * 1000, 2)})
