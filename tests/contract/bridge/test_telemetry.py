"""A program that installs an OpenTelemetry provider for its own ends sees nothing of the bridge."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.context import Context

from tests.contract.bridge.running import AUTH, build

SEEN: list[str] = []


class Tracer(trace.NoOpTracer):
    """Notes the spans that it is asked for."""

    def start_span(self, name: str, context: Context | None = None, *given: Any, **more: Any) -> trace.Span:
        SEEN.append(f"span {name} {more.get('attributes')}")
        return trace.INVALID_SPAN


class TracerProvider(trace.TracerProvider):
    def get_tracer(self, *given: Any, **more: Any) -> trace.Tracer:
        return Tracer()


class Meter(metrics.NoOpMeter):
    """Notes the instruments that it is asked for."""

    def create_histogram(self, name: str, *given: Any, **more: Any) -> metrics.Histogram:
        SEEN.append(f"instrument {name}")
        return super().create_histogram(name)


class MeterProvider(metrics.MeterProvider):
    def get_meter(self, name: str, *given: Any, **more: Any) -> metrics.Meter:
        return Meter(name)


async def _ask(kind: str) -> None:
    app = FastAPI() if kind == "plain" else build("http://localhost:9")
    wire = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=wire, base_url="http://bridge", headers=AUTH, trust_env=False) as http,
    ):
        for path in ("/docs?code=canary", "/health/live", "/hubs/chat/send", "/upstream?code=canary", "/none"):
            await http.get(path)


def main(kind: str) -> None:
    """The other process. A provider can be installed once in a process, and all later tests would have it."""
    trace.set_tracer_provider(TracerProvider())
    metrics.set_meter_provider(MeterProvider())
    asyncio.run(_ask(kind))
    print("\n".join(SEEN))


def observe(kind: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.contract.bridge.test_telemetry", kind],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ended.stdout.strip()


def test_the_bridge_exports_nothing_unless_asked_for() -> None:
    assert observe("bridge") == ""


def test_what_watches_here_sees_what_fastapi_exports() -> None:
    seen = observe("plain")
    assert "span GET" in seen
    assert "instrument http.server.request.duration" in seen


if __name__ == "__main__":
    main(sys.argv[1])
