"""The log of a bridge that is ended like a container: every request has its line, and every line is JSON."""

import json
import signal

import httpx
import pytest

from tests.e2e.processes import free_port, run_bridge


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_bridge_that_is_ended_has_logged_every_request(number: signal.Signals) -> None:
    port = free_port()
    ids = [f"request-{index}" for index in range(300)]
    with run_bridge(port, free_port(), {}) as bridge:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            for request_id in ids:
                http.get("/nowhere", headers={"X-Request-Id": request_id})
        if number is signal.SIGINT:
            bridge.interrupt()
        else:
            bridge.stop()
        bridge.wait()
        lines = [json.loads(line) for line in bridge.lines]
    assert [line["request_id"] for line in lines if line["message"] == "request"][-300:] == ids
