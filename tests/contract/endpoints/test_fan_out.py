"""Many calls of one request on real sockets: bounded together, to each endpoint, and gone with their caller."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from signalr_bridge.endpoints.directory import EndpointDirectory, EndpointMap
from signalr_bridge.endpoints.endpoint import Code, Endpoint, Verdict, make_endpoint
from signalr_bridge.endpoints.health import Health, Report
from signalr_bridge.endpoints.outcome import Result
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.outbound.sender import ALL_KINDS, Sender
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.web.observer import SILENT

from tests.contract.endpoints.counting import Services, counting_services

SEND = Operation(Action.SEND_TO_ALL, "chat")
MOST_UNDER_WAY = 64
"""Of one request. Source: the issue that asked for the bound."""


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    async with counting_services(10) as running:
        yield running


def endpoints(services: Services) -> list[Endpoint]:
    return [
        make_endpoint(f"e{number}", "Primary", ConnectionString(url, "k" * 32), time.time)
        for number, url in enumerate(services.urls)
    ]


def registry_of(services: Services, transport: RestTransport, health: Health | None = None) -> Registry:
    return Registry(
        endpoints(services),
        transport,
        health or Health(time.time),
        clock=time.monotonic,
        random=lambda: 0.0,
        observer=SILENT,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_array_for_many_endpoints_has_few_calls_under_way(services: Services) -> None:
    services.is_holding = True
    async with RestTransport() as transport:
        known = registry_of(services, transport)
        directory = EndpointDirectory(lambda: EndpointMap("", {"": known}))
        sender = Sender(directory, clock=time.monotonic, default_seconds=60)
        items = await sender.read(json.dumps([{"target": "t"}] * 20).encode(), "chat", ALL_KINDS)
        sending = asyncio.ensure_future(sender.send_side_by_side(items))
        await until(lambda: services.under_way >= MOST_UNDER_WAY)
        await asyncio.sleep(0.05)
        assert (services.under_way, services.sockets) == (MOST_UNDER_WAY, MOST_UNDER_WAY)
        services.release()
        assert [one.status for one in await sending] == ["accepted"] * 20
    assert services.calls == 20 * 10
    assert services.most_under_way == MOST_UNDER_WAY


async def test_a_caller_that_goes_leaves_nothing_running(services: Services) -> None:
    services.is_holding = True
    async with RestTransport() as transport:
        known = registry_of(services, transport)
        sending = asyncio.ensure_future(known.perform(SEND, Message("t"), names=None, deadline=time.monotonic() + 60))
        await until(lambda: services.under_way == 10)
        before = asyncio.all_tasks()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert before - asyncio.all_tasks() == {sending}
        services.release()
        result = await known.perform(SEND, Message("t"), names=None, deadline=time.monotonic() + 60)
        assert (result.status, services.calls) == ("accepted", 20)


async def test_who_gets_no_connection_is_told_so_and_the_endpoint_stays_well(services: Services) -> None:
    services.is_holding = True
    health = Health(time.time)
    async with RestTransport(connections=2) as transport:
        known = registry_of(services, transport, health)

        def send(seconds: float) -> Coroutine[Any, Any, Result]:
            return known.perform(SEND, Message("t"), names={"e0"}, deadline=time.monotonic() + seconds)

        first = [asyncio.ensure_future(send(60)) for _ in range(2)]
        await until(lambda: services.under_way == 2)
        for result in await asyncio.gather(*(send(0.2) for _ in range(5))):
            assert [(one.verdict, one.code) for one in result.outcomes] == [(Verdict.UNREACHABLE, Code.OVERLOADED)]
            assert result.as_json()["endpoints"][0]["code"] == "overloaded"
        assert services.calls == 2, "nothing of them was sent"
        assert health.report(known.endpoints[0].url) == Report()
        services.release()
        assert [one.status for one in await asyncio.gather(*first)] == ["accepted"] * 2
        assert services.most_sockets == 2
