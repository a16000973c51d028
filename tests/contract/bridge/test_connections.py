"""``BRIDGE_LIMITS__CONNECTIONS`` bounds the connections to an endpoint, and who gets none is told so."""

import asyncio

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import gather, load

from tests.contract.bridge.running import AUTH, build, client
from tests.contract.endpoints.counting import counting_services


async def test_who_gets_no_connection_in_time_is_told_and_nothing_of_it_is_sent() -> None:
    async with counting_services(1) as services:
        app = build(services.urls[0], BRIDGE_LIMITS__CONNECTIONS="2")
        async with app.router.lifespan_context(app), client(app, **AUTH) as http:
            services.is_holding = True
            held = [asyncio.ensure_future(http.post("/hubs/chat/send", json={"target": "t"})) for _ in range(2)]
            async with asyncio.timeout(10):
                while services.under_way < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            refused = await http.post("/hubs/chat/send", json={"target": "t"}, headers={"X-Request-Timeout": "0.2"})
            assert (refused.status_code, refused.json()["code"]) == (502, "delivery-failed")
            assert refused.json()["endpoints"] == [
                {"name": "default", "endpointType": "Primary", "outcome": "unreachable", "code": "overloaded"}
            ]
            (seen,) = (await http.get("/hubs/chat/endpoints")).json()
            assert seen["state"] == "online"
            assert services.calls == 2
            services.release()
            assert [(await one).status_code for one in held] == [202, 202]
        assert services.most_sockets == 2


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_there_is_at_least_one(value: str) -> None:
    with pytest.raises(SettingsError):
        load(gather({"BRIDGE_LIMITS__CONNECTIONS": value}, {}))
    assert load(gather({}, {})).limits.connections == 64
