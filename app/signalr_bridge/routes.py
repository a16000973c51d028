"""The routes of all flows: what the table is made of."""

from prometheus_client import CollectorRegistry

from signalr_bridge.endpoints import routes as endpoint_routes
from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.hubs import ROUTES as HUB_ROUTES
from signalr_bridge.metrics import routes as metrics_routes
from signalr_bridge.negotiate import routes as negotiate_routes
from signalr_bridge.outbound import routes as outbound_routes
from signalr_bridge.settings import Settings
from signalr_bridge.upstream import routes as upstream_routes
from signalr_bridge.web import console
from signalr_bridge.web.table import Audience, Route


def list_routes(
    settings: Settings, directory: EndpointDirectory, metrics: CollectorRegistry | None = None
) -> list[Route]:
    """The routes of all flows, and those that FastAPI adds by itself. ``metrics`` is None where nothing is counted."""
    counted = (
        [] if metrics is None else metrics_routes.list_routes(metrics, has_listener=settings.metrics_listen is not None)
    )
    shown = _list_console(settings, directory) if settings.console else []
    documents = ("/openapi.json", "/docs", "/docs/oauth2-redirect") if settings.docs else ()
    return [
        *HUB_ROUTES,
        *endpoint_routes.ROUTES,
        *negotiate_routes.list_routes(settings.negotiate.paths),
        *outbound_routes.ROUTES,
        *shown,
        *counted,
        *upstream_routes.ROUTES,
        *(
            Route(method, path, f"{method} {path}", audience=Audience.ANYBODY)
            for path in documents
            for method in ("GET", "HEAD")
        ),
    ]


def _list_console(settings: Settings, directory: EndpointDirectory) -> list[Route]:
    """The page, its files, and what it reads."""

    def client_urls() -> list[str]:
        return [one.client_url for one in directory.endpoints]

    return [*upstream_routes.EVENTS, *console.list_routes(client_urls, development=settings.development)]
