"""Answers of the REST API, and the refusals among them.

Source: ``spec/service-emulation.md`` 1.4; ``spec/rest-and-management.md`` 5.3.
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from signalr_bridge.protocol.rest import ERROR_CODE_HEADER, read_target

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_PROBLEM = "application/problem+json; charset=utf-8"


def json_answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, "application/json")


def refuse_path(path: str, method: str) -> Response:
    others = [other for other in _METHODS if other != method and read_target(other, path, "") is not None]
    if others:
        return Response(status_code=405, headers={"Allow": ", ".join(others)})
    return problem(404, "Not Found")


def not_found(code: str) -> Response:
    return problem(404, "Not Found", headers={ERROR_CODE_HEADER: code})


def refuse(parameter: str, detail: str) -> Response:
    return problem(400, "One or more validation errors occurred.", errors={parameter: [detail]})


def problem(status: int, title: str, headers: dict[str, str] | None = None, **members: Any) -> Response:
    content = {"title": title, "status": status} | members
    return JSONResponse(content, status, headers, media_type=_PROBLEM)
