"""Errors as RFC 9457 problems: one translator for every error of a request."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalr_bridge.errors import BridgeError, InternalError, RouteNotFound
from signalr_bridge.protocol.problem import MEDIA_TYPE, problem_headers, write_problem
from signalr_bridge.wire.exchange import Answer, make_answer

NO_SUCH_ROUTE = "There is no such route; check the path, and that it ends without a slash."
_LOG = logging.getLogger("signalr_bridge.web")


class Problem(BaseModel):
    """What every error answer holds."""

    type: str = Field(examples=["urn:signalr-bridge:problem:invalid-item"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="the request, as in X-Request-Id")
    code: str = Field(description="a short stable word, also in X-Problem-Code")


PROBLEM_ANSWER: dict[int | str, dict[str, Any]] = {
    "default": {
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        "description": "a problem; README, error codes",
    }
}
"""For the ``responses`` of every route."""


def answer_problem(error: BridgeError, request_id: str) -> Answer:
    """The HTTP answer for an error."""
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in problem_headers(error).items()]
    return make_answer(error.status, write_problem(error, request_id), MEDIA_TYPE, lines)


def install_problems(app: FastAPI) -> None:
    """Make every error of a route that FastAPI serves a problem."""
    app.add_exception_handler(BridgeError, _on_bridge_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_defect)


DEFECT_ANSWERED = "bridge.defect_answered"
"""Stands in the scope of a request whose route of FastAPI has raised a bug, which is logged and answered."""


async def _on_defect(request: FastAPIRequest, error: Exception) -> Response:
    request.scope[DEFECT_ANSWERED] = True
    request_id = str(request.scope.get("request_id", "unknown"))
    _LOG.error("unhandled error", exc_info=error, extra={"request_id": request_id})
    return await _on_bridge_error(request, InternalError("Something went wrong here; the log has the rest."))


async def _on_bridge_error(request: FastAPIRequest, error: Exception) -> Response:
    assert isinstance(error, BridgeError)
    answer = answer_problem(error, str(request.scope.get("request_id", "unknown")))
    response = Response(answer.body, answer.status)
    response.raw_headers = list(answer.headers)
    return response


async def _on_http_exception(request: FastAPIRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return await _on_bridge_error(request, RouteNotFound(NO_SUCH_ROUTE))
    _LOG.error("unexpected HTTP exception", extra={"status": error.status_code})
    return await _on_bridge_error(request, InternalError("Something went wrong here; the log has the rest."))
