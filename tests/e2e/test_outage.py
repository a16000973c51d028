"""The service goes away and comes back: backends get an honest answer, and clients come back by themselves."""

from tests.e2e.conftest import HANDLERS
from tests.e2e.node_client import NodeClients
from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    Machine,
    eventually,
    free_port,
    run_bridge,
    run_emulator,
)

ITEM = {"target": "newMessage", "arguments": ["hello"]}


def test_a_service_that_goes_and_comes_back(node: NodeClients) -> None:
    port, emulator_port = free_port(), free_port()
    upstream = f"http://localhost:{port}/upstream"
    with run_bridge(port, emulator_port, {"BRIDGE_HANDLERS": HANDLERS, **NAMED_CLIENTS}) as bridge:
        machine = Machine(port, emulator_port, bridge, {"X-API-Key": API_KEY})
        with machine.http() as http:
            with run_emulator(emulator_port, upstream) as emulator:
                client = node.client().start(f"{machine.url}/hubs/chat?userId=ann", reconnect=True)
                emulator.kill()
            client.event("reconnecting")

            response = http.post("/hubs/chat/send", json=ITEM, headers={"X-Request-Timeout": "1"})
            problem = response.json()
            assert (response.status_code, problem["code"]) == (502, "delivery-failed"), problem
            assert [endpoint["outcome"] for endpoint in problem["endpoints"]] == ["unreachable"]
            assert http.get("/health/live").status_code == 200

            with run_emulator(emulator_port, upstream):
                client.event("reconnected")
                eventually(lambda: http.post("/hubs/chat/send", json=ITEM).status_code == 202 or None, "a send")
                assert client.message() == ("newMessage", ["hello"])
                assert client.invoke("add", 1, 2) == 3
                client.stop()
