"""The log of a bridge that is ended like a container: every request has its line, and every line is JSON."""

import hashlib
import hmac
import json
import signal

import httpx
import pytest
from signalr_bridge.protocol.upstream_event import sign

from tests.e2e.processes import API_KEY, EMULATOR_KEY, free_port, run_bridge


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


CANARIES = ("canary-user", "canary-argument", "canary-query", "canary-code-of-the-upstream", "canary-other-code")


def test_the_lines_of_upstream_calls_tell_of_a_call_and_not_of_a_person() -> None:
    port, emulator_port = free_port(), free_port()
    settings = {
        "BRIDGE_LOG_LEVEL": "access=warning,upstream=debug",
        "BRIDGE_HANDLERS": "tests.e2e.counted_handlers:chat",
        "BRIDGE_UPSTREAM__CODE": "canary-code-of-the-upstream",
        "BRIDGE_SOMETHING": "else",
    }
    headers = {
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": "nobody",
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-User-Id": "canary-user",
        "X-ASRS-Client-Query": "?access_token=canary-query",
        "X-ASRS-Signature": sign("c1", EMULATOR_KEY),
        "Content-Type": "application/json",
    }
    body = json.dumps({"type": 1, "target": "nobody", "arguments": ["canary-argument"]})
    with run_bridge(port, emulator_port, settings) as bridge:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            for code in ("canary-code-of-the-upstream", "canary-other-code"):
                http.post("/upstream", params={"code": code}, content=body, headers=headers)
            http.get("/nowhere")
        bridge.stop()
        bridge.wait()
        lines = [json.loads(line) for line in bridge.lines]
    first, second = (line for line in lines if line["message"] == "upstream call")
    extracted = hmac.digest(bytes(32), hashlib.sha256(API_KEY.encode()).digest(), "sha256")
    key = hmac.digest(extracted, b"signalr-bridge log users\x01", "sha256")
    named = hmac.new(key, b"canary-user", "sha256").hexdigest()[:12]
    told = [(one["event"], one["connection"], one["user"], one["result"], one["status"]) for one in (first, second)]
    assert told == [("nobody", "c1", named, "unhandled", 404), ("nobody", "c1", named, "rejected", 401)]
    assert (first["endpoint"], second["reason"]) == ("default", "code")
    assert [line for line in lines if line["message"] == "request"] == []
    (remark,) = (line for line in lines if "BRIDGE_SOMETHING" in line["message"])
    assert (remark["logger"], remark["level"]) == ("signalr_bridge.settings", "warning")
    assert [one for one in CANARIES if one in bridge.output] == []
