"""An application that mounts the bridge, and whose requests FastAPI and OpenTelemetry's ASGI middleware export."""

from collections.abc import Mapping

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from signalr_bridge.asgi import bridge

realtime = bridge(handlers=["tests.e2e.handlers:chat"])
inner = FastAPI(lifespan=realtime.lifespan)  # its own telemetry is on, by FASTAPI_OTEL_AUTO_CONFIGURE
inner.mount("/realtime", realtime)


@inner.get("/orders/{order}")
async def order(order: str) -> Mapping[str, str]:
    trace.get_current_span().set_attribute("host.order", order)
    return {"order": order}


app = OpenTelemetryMiddleware(inner)
