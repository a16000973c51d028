"""The whole bridge tells one observer: each part that has something to tell was given it."""

import asyncio
import inspect
import json
import time
from pathlib import Path

import pytest
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.runtime import Runtime
from signalr_bridge.web.observer import Observer

from tests.contract.bridge.running import SERVICE
from tests.contract.bridge.test_running_changes import CALLER, Running, running, string
from tests.contract.endpoints.programmable import answer_of, programmable_server
from tests.unit.observed import Recorder
from tests.unit.web.issuing import AUDIENCE, said, signed

NOBODY = "https://localhost:9"
IDENTITY = "Azure__SignalR__Endpoints__east__"
SUCCESSES = {"keys_fetched", "credential_refreshed"}
"""What needs an issuer. The same observer of the same object is told the failures, which need none."""


async def test_one_observer_hears_a_fact_of_each_kind(tmp_path: Path) -> None:
    recorder = Recorder()
    async with programmable_server() as service, programmable_server() as backend:
        service.answer = backend.answer = answer_of(503)
        given = {
            "AzureSignalRConnectionString": string(service.url, SERVICE),
            f"{IDENTITY}serviceUri": service.url.replace("127.0.0.1", "localhost"),
            f"{IDENTITY}tenantId": "tenant",
            f"{IDENTITY}clientId": "client",
            f"{IDENTITY}clientSecret": "secret",
            "AZURE_AUTHORITY_HOST": NOBODY,
            "BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": NOBODY, "audience": AUDIENCE}]),
            "BRIDGE_NEGOTIATE__HUBS": "chat",
            "BRIDGE_CONSOLE": "true",
            "BRIDGE_LIMITS__CLIENT_MESSAGES_PER_SECOND": "1",
            "BRIDGE_LIMITS__DEADLINE_SECONDS": "1",
            "BRIDGE_LIMITS__GRACE_SECONDS": "0",
            "BRIDGE_LIMITS__NEGOTIATE_PER_SECOND": "0.001",
            "BRIDGE_FORWARD__ORDERS__URL": backend.url,
            "BRIDGE_FORWARD__ORDERS__UNSIGNED": "true",
            "BRIDGE_FORWARD__ORDERS__TIMEOUT_SECONDS": "1",
            "BRIDGE_FORWARD__ORDERS__RETRY_SECONDS": "1",
        }
        async with running(tmp_path, given, Runtime(random=lambda: 0.1), recorder) as bridge:
            await bridge.send()
            await _call_upstream(bridge)
            await _negotiate(bridge)
            await _negotiate(bridge)  # too often
            await bridge.http.delete("/hubs/chat/users/u/connections", headers={"X-API-Key": CALLER})
            await _change_settings(bridge)
            wanted = {name for name, _ in inspect.getmembers(Observer, inspect.isfunction)} - SUCCESSES
            await _until_heard(recorder, wanted - {"forward_given_up"})
    assert recorder.of("forward_given_up") == [{"handler": "forward.orders"}], "at the end nobody waits for the backend"


async def _call_upstream(bridge: Running) -> None:
    headers = {
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "connections",
        "X-ASRS-Event": "connected",
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-Signature": sign("c1", SERVICE),
        "Content-Type": "application/json",
    }
    await bridge.http.post("/upstream", headers=headers)
    await bridge.http.post("/upstream", headers=headers | {"X-ASRS-Signature": "sha256=00"})
    message = headers | {"X-ASRS-Category": "messages", "X-ASRS-Event": "."}  # a name that no backend is told of
    for _ in range(2):
        await bridge.http.post("/upstream", headers=message, content=b'{"type":1,"target":".","arguments":[]}')


async def _negotiate(bridge: Running) -> None:
    token = signed(said(time.time(), iss=NOBODY), "rsa", "RS256")
    await bridge.http.post("/hubs/chat/negotiate", headers={"Authorization": f"Bearer {token}"})


async def _change_settings(bridge: Running) -> None:
    keys = json.dumps([CALLER[::-1], {"name": "new", "key": CALLER.upper()}])
    bridge.write({"BRIDGE_CALLERS__KEYS": keys, "BRIDGE_NEGOTIATE__ANONYMOUS": "true"})
    await bridge.read_again()
    bridge.write({"BRIDGE_PORT": "none"})
    await bridge.read_again()


async def _until_heard(recorder: Recorder, wanted: set[str]) -> None:
    """What the background tells comes a little later."""
    for _ in range(500):
        if not wanted - {name for name, _ in recorder.facts}:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"nobody told {sorted(wanted - {name for name, _ in recorder.facts})}")
