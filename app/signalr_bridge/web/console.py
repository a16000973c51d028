"""The routes of the console: its page and the page's files. They hold no data, so anybody may get them."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from signalr_bridge.errors import SettingsError
from signalr_bridge.web.table import Audience, Route

_PACKAGE = Path(__file__).parent.parent
LIBRARY = _PACKAGE / "static" / "signalr.min.js"
"""Microsoft's client, with which the page connects. It is not in the repository: ``make static`` fetches it."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # else a browser would mix files of two versions
}
_WEBSOCKET = {"https": "wss", "http": "ws"}
_LOG = logging.getLogger("signalr_bridge.web")

ClientUrls = Callable[[], Iterable[str]]
"""Gives the URLs that clients connect to at this moment, those of all endpoints."""

_Serve = Callable[[Request], Awaitable[Response]]


def list_routes(client_urls: ClientUrls, *, development: bool) -> list[Route]:
    """The routes of the page and of its files. Settings decide whether they are served.

    The page uses relative addresses, so it works behind a proxy that takes a prefix off the path.

    Args:
        client_urls: Gives the URLs that the page may connect to besides the bridge's own.
        development: Whether the page is what the bridge is run for. Then its library may not be missing.

    Raises:
        SettingsError: The page's library is missing in development. Elsewhere that is logged.
    """
    if not LIBRARY.exists():
        if development:
            raise SettingsError("The page's library is missing: run 'make static'.")
        _LOG.error("the console cannot connect as a client, because static/signalr.min.js is missing from the package")
    folders = {name: StaticFiles(directory=_PACKAGE / name, check_dir=False) for name in ("page", "static")}
    served = {
        "/": _serve_page(folders["page"], client_urls),
        **{f"/{name}/{{name}}": _serve_file(files) for name, files in folders.items()},
    }
    return [
        Route(method, template, f"{method} {template}", endpoint=endpoint, audience=Audience.ANYBODY)
        for template, endpoint in served.items()
        for method in ("GET", "HEAD")
    ]


def write_policy(client_urls: Iterable[str]) -> str:
    """The page's ``Content-Security-Policy``: it loads from the bridge alone, and connects to clients' URLs besides."""
    sources = dict.fromkeys(source for url in client_urls for source in _sources_of(url))
    connect = " ".join(["connect-src 'self'", *sources])
    return f"default-src 'self'; {connect}; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"


def _sources_of(url: str) -> tuple[str, ...]:
    """The origin of a URL, over HTTP and over WebSocket. A URL that is neither could not be connected to."""
    parts = urlsplit(url)
    if parts.scheme not in _WEBSOCKET or not parts.netloc:
        return ()
    return f"{parts.scheme}://{parts.netloc}", f"{_WEBSOCKET[parts.scheme]}://{parts.netloc}"


def _serve_page(files: StaticFiles, client_urls: ClientUrls) -> _Serve:
    async def page(request: Request) -> Response:
        answer = await files.get_response("index.html", request.scope)
        answer.headers.update(_HEADERS | {"Content-Security-Policy": write_policy(client_urls())})
        return answer

    return page


def _serve_file(files: StaticFiles) -> _Serve:
    async def file(request: Request) -> Response:
        answer = await files.get_response(request.path_params["name"], request.scope)
        answer.headers.update(_HEADERS)
        return answer

    return file
