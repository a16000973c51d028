"""An array of a thousand messages for fifty endpoints, and clients that negotiate beside it."""

import asyncio
import json

import pytest
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load

from tests.contract.bridge.running import AUTH, CALLER, SERVICE, client
from tests.contract.endpoints.counting import counting_services

ENDPOINTS, ITEMS = 50, 1000


@pytest.mark.slow
@pytest.mark.parametrize("order", ["none", "sequence"])
async def test_others_are_served_beside_it(order: str) -> None:
    items = ITEMS if order == "none" else ITEMS // 10
    async with counting_services(ENDPOINTS) as services:
        named = {
            f"Azure__SignalR__Endpoints__e{number}": f"Endpoint={url};AccessKey={SERVICE};Version=1.0;"
            for number, url in enumerate(services.urls)
        }
        given = {"BRIDGE_CALLERS__KEYS": CALLER, "BRIDGE_LIMITS__DEADLINE_SECONDS": "100"} | named
        app = create_app(load(gather(given, {})), probe_seconds=3600)
        async with app.router.lifespan_context(app), client(app, **AUTH) as http:
            body = json.dumps([{"target": "t", "arguments": [number]} for number in range(items)])
            headers = {"Content-Type": "application/json", "X-Request-Timeout": "100"}
            sending = asyncio.ensure_future(
                http.post(f"/hubs/chat/send?order={order}", content=body, headers=headers, timeout=120)
            )
            answered = 0
            while not sending.done():
                answer = await http.post("/hubs/chat/negotiate", json={"userId": "ann"})
                assert answer.status_code == 200
                answered += not sending.done()
                await asyncio.sleep(0)
            results = (await sending).json()["results"]
        assert [one["status"] for one in results] == ["accepted"] * items
        assert services.calls == items * ENDPOINTS
        assert services.most_under_way <= 64
        # Each endpoint keeps the connections that it once needed at the same time.
        assert services.most_sockets <= 4 * ENDPOINTS
        assert answered > items // 10, "a client waits for a few turns of the loop, and not for the array"
