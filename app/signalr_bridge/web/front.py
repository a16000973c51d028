"""The outermost ASGI layer, which gives a request its id, trace and raw path, and tells the observer of its end."""

import asyncio
import logging
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalr_bridge.errors import BridgeError, InternalError, InvalidName, ShuttingDown
from signalr_bridge.runtime import NewId, Runtime
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.problems import problem_response
from signalr_bridge.web.trace import set_trace

LONGEST_PATH = 32 * 1024
"""In bytes, as sent. Two names with every character escaped fit. The limit exists because routing takes longer with
a longer path."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")
_LOG = logging.getLogger("signalr_bridge.access")


class RequestContext:
    """Wraps the application in what every request needs.

    It is plain ASGI, because Starlette's own middleware class costs more than a whole request of ours.

    ``scope["path"]`` becomes the raw path, so that ``groups/a%2Fb`` is one segment, and ``scope["request_id"]`` is set.
    ``scope["answer_headers"]`` go out with every answer, also with one of this layer.
    The observer is told of ``scope["caller"]``, and never of a query: those of clients and of the service hold secrets.
    Whatever is raised before an answer has begun becomes an answer, also when it is not an ``Exception``. So no error
    in a request ends the process. Its signals come by handlers of the event loop.
    """

    def __init__(self, app: ASGIApp, *, observer: Observer, runtime: Runtime) -> None:
        self.app = app
        self._observer, self._clock, self._new_id = observer, runtime.clock, runtime.new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _read_request_id(headers.get(b"x-request-id"), self._new_id)
        scope["request_id"] = request_id
        extra = scope["answer_headers"] = [(b"x-request-id", request_id.encode())]
        scope["path"] = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        set_trace(request_id, _read_trace(scope["path"], headers))
        started, status = self._clock(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            elif scope["method"] == "HEAD" and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        try:
            app = self.app if len(scope["path"]) <= LONGEST_PATH else _refuse_path(request_id)
            await app(scope, receive, send_with_id)
        except BaseException as error:
            if _is_thrown_away(error):
                raise
            problem = _judge(error, request_id)
            if status:
                raise
            await problem_response(problem, request_id)(scope, receive, send_with_id)
            if isinstance(problem, ShuttingDown):
                _cancel_again()
        finally:
            self._observer.request_ended(
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=self._clock() - started,
                caller=scope.get("caller"),
                request_id=request_id,
            )


def _read_request_id(given: bytes | None, new_id: NewId) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return new_id()


def _read_trace(path: str, headers: dict[bytes, bytes]) -> str | None:
    """The trace that a caller or the service passes on. That of a client is not trusted."""
    given = headers.get(b"traceparent")
    return None if given is None or path.endswith("/negotiate") else given.decode("latin-1")


def _refuse_path(request_id: str) -> ASGIApp:
    return problem_response(InvalidName("The path is longer than 32 KiB."), request_id)


def _judge(error: BaseException, request_id: str) -> BridgeError:
    """The answer to an error that is a bug, which is logged, or to the end of the process.

    A cancellation without a request to cancel this task was raised by code in it, and is a bug.
    """
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        return ShuttingDown("This replica shuts down, and could not finish: what was asked for may have happened.")
    _LOG.error("unhandled error", exc_info=error, extra={"request_id": request_id})
    return InternalError("Something went wrong here; the log has the rest.")


def _cancel_again() -> None:
    """Let the cancellation go on, which the answer has delayed, so that the task ends as a cancelled one.

    It is not raised, because uvicorn logs whatever comes out of an application as its error, with the stack.
    """
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    task.cancel()


def _is_thrown_away(error: BaseException) -> bool:
    """Whether Python throws away an unfinished request after the loop's end, when nothing can be sent any more."""
    return isinstance(error, GeneratorExit) and asyncio._get_running_loop() is None
