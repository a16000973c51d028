"""The route that Prometheus asks."""

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from signalr_bridge.errors import RouteNotFound
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.callers import Right
from signalr_bridge.web.guards import ListenerKind
from signalr_bridge.web.problems import NO_SUCH_ROUTE, PROBLEM_ANSWER
from signalr_bridge.web.request import Request
from signalr_bridge.web.table import Audience, Description, Route
from signalr_bridge.wire.exchange import Answer, make_answer

_RIGHTS = frozenset({Right.READ})
_ANSWERS: dict[int | str, Any] = {
    200: {
        "description": "Metrics as text.",
        "content": {one: {"schema": {"type": "string"}} for one in ("text/plain", "application/openmetrics-text")},
    },
    401: PROBLEM_ANSWER,
    403: PROBLEM_ANSWER,
}


def list_routes(registry: CollectorRegistry, *, has_listener: bool) -> list[Route]:
    """The route of the metrics.

    Args:
        registry: What is counted.
        has_listener: Whether there is a listener for metrics. Then the one for all requests does not have them.
    """

    async def metrics(request: Request) -> Answer:
        """The metrics, as Prometheus or OpenMetrics text. The header Accept decides.

        Whoever reaches the listener for metrics, or that of callers, may read them. Where there is neither, a caller
        needs the right `read` for every hub.
        """
        if request.listener is ListenerKind.PUBLIC or (has_listener and request.listener is ListenerKind.ONLY):
            raise RouteNotFound(NO_SUCH_ROUTE)
        if request.listener is ListenerKind.ONLY:
            request.rights = _RIGHTS
            await request.part(Access).require_caller(request)
        encode, media_type = choose_encoder(", ".join(request.headers_of(b"accept")))
        return make_answer(200, encode(registry), media_type)

    description = Description(tags=("operations",), responses=_ANSWERS)
    return [
        Route(
            method,
            "/metrics",
            f"metrics{suffix}",
            metrics,
            audience=Audience.ANYBODY,
            query=(),
            description=description if method == "GET" else None,
            same_as="" if method == "GET" else "metrics",
        )
        for method, suffix in (("GET", ""), ("HEAD", "Head"))
    ]
