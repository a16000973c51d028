"""Errors as RFC 9457 problems: one translator for every error of a request."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from signalr_bridge.errors import BridgeError, InternalError, InvalidName, InvalidQuery, MethodNotAllowed, RouteNotFound
from signalr_bridge.protocol.problem import MEDIA_TYPE, problem_headers, write_problem

NO_SUCH_ROUTE = "There is no such route; check the path, and that it ends without a slash."
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
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
"""For ``responses`` of every route."""


def install_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    app.add_exception_handler(BridgeError, _on_bridge_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


def problem_response(error: BridgeError, request_id: str) -> Response:
    """The HTTP answer for an error."""
    return Response(write_problem(error, request_id), error.status, problem_headers(error), MEDIA_TYPE)


def _request_id(request: Request) -> str:
    return str(request.scope.get("request_id", "unknown"))


async def _on_bridge_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BridgeError)
    return problem_response(error, _request_id(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = {"Allow": ", ".join(_allowed_methods(request))}
        found: BridgeError = MethodNotAllowed("This route takes other methods; see Allow.", headers=allow)
    elif error.status_code == HTTPStatus.NOT_FOUND and "//" in request.scope["path"]:
        found = InvalidName("A path segment is empty.")
    elif error.status_code == HTTPStatus.NOT_FOUND:
        found = RouteNotFound(NO_SUCH_ROUTE)
    else:
        _LOG.error("unexpected HTTP exception", extra={"status": error.status_code})
        found = InternalError("Something went wrong here; the log has the rest.")
    return problem_response(found, _request_id(request))


def _allowed_methods(request: Request) -> list[str]:
    """Every method of the path. Each is a route of its own, and the framework names only the first one's.

    Each route is tried once, also those of included routers, because a long path is slow to try. A route that names no
    methods takes all.
    """
    routes = iter_route_contexts(request.app.router.routes)
    found = [route.methods or _METHODS for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return [method for method in _METHODS if any(method in methods for methods in found)]


async def _on_validation_error(request: Request, error: Exception) -> Response:
    return problem_response(InvalidQuery("A parameter of this request is malformed."), _request_id(request))
