"""The bridge follows its files while it runs: endpoints, keys and secrets change, and what allows access does not."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from signalr_bridge.emulator import Emulator
from signalr_bridge.main import create_app
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.runtime import RUNTIME, Runtime
from signalr_bridge.settings import Sources, load
from signalr_bridge.web.observer import Observer

from tests.contract.bridge.running import client

CALLER = "a-key-of-a-caller"
ITEM = {"target": "news", "arguments": [1]}
OLD, NEW, NEWEST = (f"{name}-canary".ljust(40, "-") for name in ("old", "new", "newest"))


@dataclass
class Running:
    app: FastAPI
    http: httpx.AsyncClient
    folder: Path

    def write(self, given: Mapping[str, str]) -> None:
        """The folder of secrets, as a platform changes it. An empty text takes a file away."""
        write(self.folder, given)

    async def read_again(self) -> None:
        """What the watcher does within two seconds; tests do not wait."""
        await self.app.state.parts.watcher.read_again()

    async def send(self, key: str = CALLER) -> int:
        response = await self.http.post("/hubs/chat/send", json=ITEM, headers={"X-API-Key": key})
        return response.status_code

    async def call_upstream(self, key: str, code: str = "", *, hub: str = "chat", body: str = "") -> int:
        """With a body it is a message."""
        headers = {
            "X-ASRS-Hub": hub,
            "X-ASRS-Category": "messages" if body else "connections",
            "X-ASRS-Event": "connected",
            "X-ASRS-Connection-Id": "c1",
            "X-ASRS-Signature": sign("c1", key),
            "Content-Type": "application/json",
        }
        query = {"code": code} if code else {}
        return (await self.http.post("/upstream", params=query, headers=headers, content=body)).status_code


def write(folder: Path, given: Mapping[str, str]) -> None:
    for name, text in given.items():
        if text:
            (folder / name).write_text(text)
        else:
            (folder / name).unlink()


def string(url: str, key: str) -> str:
    return f"Endpoint={url};AccessKey={key};Version=1.0;"


@asynccontextmanager
async def running(
    folder: Path, given: Mapping[str, str], runtime: Runtime = RUNTIME, observer: Observer | None = None
) -> AsyncIterator[Running]:
    write(folder, {"BRIDGE_CALLERS__KEYS": CALLER, **given})
    sources = Sources({"BRIDGE_SECRETS_DIR": str(folder)}, {})
    app = create_app(load(sources.read()), sources, runtime=runtime, observer=observer)
    app.state.parts.watcher.settle = 0.05
    async with app.router.lifespan_context(app), client(app) as http:
        yield Running(app, http, folder)


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    async with Emulator(0, keys=[OLD]) as emulator:
        yield emulator


async def test_a_send_refused_on_every_known_key_reads_the_settings_and_is_sent_again(
    tmp_path: Path, service: Emulator
) -> None:
    async with running(tmp_path, {"AzureSignalRConnectionString": string(service.url, OLD)}) as bridge:
        assert await bridge.send() == 202
        service.replace_keys([NEW])
        bridge.write({"AzureSignalRConnectionString": string(service.url, NEW)})
        assert await bridge.send() == 202, "the file has changed a moment ago: nobody has read it yet"
        service.replace_keys([OLD])
        assert await bridge.send() == 202, "for ten minutes the former key is known"
        service.replace_keys([NEWEST])
        assert await bridge.send() == 502, "nobody has told us this key"


async def test_a_removed_endpoints_key_stops_verifying_at_once(tmp_path: Path, service: Emulator) -> None:
    given = {"AzureSignalRConnectionString": string(service.url, OLD)}
    async with Emulator(0, keys=[NEW]) as other, running(tmp_path, given) as bridge:
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [200, 401]
        bridge.write({"Azure__SignalR__Endpoints__b": string(other.url, NEW)})
        await bridge.read_again()
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [200, 200]
        bridge.write({"Azure__SignalR__Endpoints__b": ""})
        await bridge.read_again()
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [200, 401]


async def test_upstream_is_verified_by_the_current_key_alone(tmp_path: Path, service: Emulator) -> None:
    async with running(tmp_path, {"AzureSignalRConnectionString": string(service.url, OLD)}) as bridge:
        bridge.write({"AzureSignalRConnectionString": string(service.url, NEW)})
        await bridge.read_again()
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [401, 200]
        bridge.write({"BRIDGE_UPSTREAM__KEYS": OLD})
        await bridge.read_again()
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [200, 200]


async def test_codes_and_callers_keys_are_rotated(tmp_path: Path, service: Emulator) -> None:
    given = {"AzureSignalRConnectionString": string(service.url, OLD), "BRIDGE_UPSTREAM__CODE": "one"}
    async with running(tmp_path, given) as bridge:
        bridge.write({"BRIDGE_UPSTREAM__CODE": "two", "BRIDGE_CALLERS__KEYS": NEW})
        await bridge.read_again()
        assert [await bridge.call_upstream(OLD, code) for code in ("one", "two")] == [401, 200]
        assert [await bridge.send(key) for key in (CALLER, NEW)] == [401, 202]


async def test_hubs_get_another_connection(tmp_path: Path, service: Emulator) -> None:
    given = {"AzureSignalRConnectionString": string(service.url, OLD)}
    async with Emulator(0, keys=[NEW]) as other, running(tmp_path, given) as bridge:
        bridge.write({"Second": string(other.url, NEW), "BRIDGE_HUBS__CHAT__CONNECTION": "Second"})
        await bridge.read_again()
        response = await bridge.http.get("/hubs/chat/endpoints", headers={"X-API-Key": CALLER})
        assert [one["endpoint"] for one in response.json()] == [other.url]
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [401, 200], "chat is another's now"
        bridge.write({"BRIDGE_HUBS__CHAT__CONNECTION": ""})
        await bridge.read_again()
        assert [await bridge.call_upstream(key) for key in (OLD, NEW)] == [401, 200], "and not everybody's again"


@pytest.mark.parametrize(
    "change",
    [
        {"AzureSignalRConnectionString": "Endpoint=https://x;AccessKey=;Port=canary"},
        {"AzureSignalRConnectionString": ""},
        {"AzureSignalRConnectionString": string("http://localhost:1", NEW), "BRIDGE_PORT": "canary"},
        {"AzureSignalRConnectionString": string("http://localhost:1", NEW), "BRIDGE_CALLERS__KEYS": "canary"},
        {"AzureSignalRConnectionString": string("http://localhost:1", NEW), "BRIDGE_SETTINGS_FILE": "/nowhere"},
        {
            "AzureSignalRConnectionString": "",
            "AzureSignalRConnectionString__serviceUri": "https://x.example",
        },
    ],
)
async def test_a_change_that_a_start_would_refuse_is_refused_whole(
    tmp_path: Path, service: Emulator, change: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The last one has nobody any more who vouches for the calls of a handler."""
    given = {"AzureSignalRConnectionString": string(service.url, OLD), "BRIDGE_HANDLERS": "tests.e2e.handlers:chat"}
    async with running(tmp_path, given) as bridge:
        caplog.set_level(logging.DEBUG)
        bridge.write(change)
        await bridge.read_again()
        assert await bridge.send() == 202
        assert await bridge.call_upstream(OLD) == 200
        reasons = [vars(one)["reason"] for one in caplog.records if one.name == "signalr_bridge.settings"]
    assert len(reasons) == 1
    assert "canary" not in str([vars(one) for one in caplog.records])


async def test_what_allows_access_waits_for_a_restart(
    tmp_path: Path, service: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, {"AzureSignalRConnectionString": string(service.url, OLD)}) as bridge:
        bridge.write({"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "*"})
        bridge.write({"BRIDGE_UPSTREAM__ALLOW_UNSIGNED": "true"})
        await bridge.read_again()
        assert (await bridge.http.post("/hubs/chat/negotiate")).status_code in {401, 403}
        assert await bridge.call_upstream(NEW) == 401
    waiting = [vars(one)["settings"] for one in caplog.records if "restart" in one.getMessage()]
    assert waiting == ["BRIDGE_NEGOTIATE__ANONYMOUS, BRIDGE_NEGOTIATE__HUBS, BRIDGE_UPSTREAM__ALLOW_UNSIGNED"]


async def test_a_hub_may_have_codes_and_keys_of_its_own(tmp_path: Path, service: Emulator) -> None:
    given = {
        "AzureSignalRConnectionString": string(service.url, OLD),
        "BRIDGE_UPSTREAM__CODE": "common",
        "BRIDGE_HUBS__CHAT__UPSTREAM__CODE": "one",
        "BRIDGE_HUBS__CHAT__UPSTREAM__KEYS": NEWEST,
    }
    async with running(tmp_path, given) as bridge:
        assert [await bridge.call_upstream(OLD, code) for code in ("common", "one")] == [401, 200]
        assert [await bridge.call_upstream(key, "one") for key in (NEW, NEWEST)] == [401, 200]
        assert [await bridge.call_upstream(OLD, code, hub="news") for code in ("common", "one")] == [200, 401]
        assert await bridge.call_upstream(NEWEST, "common", hub="news") == 401
        bridge.write({"BRIDGE_HUBS__CHAT__UPSTREAM__CODE": "two"})
        await bridge.read_again()
        assert [await bridge.call_upstream(OLD, code) for code in ("one", "two")] == [401, 200]


async def test_a_hub_may_leave_messages_unhandled(tmp_path: Path, service: Emulator) -> None:
    given = {
        "AzureSignalRConnectionString": string(service.url, OLD),
        "BRIDGE_HUBS__CHAT__UPSTREAM__UNHANDLED": "200",
    }
    async with running(tmp_path, given) as bridge:
        body = '{"type":1,"target":"connected","arguments":[]}\x1e'
        found = [await bridge.call_upstream(OLD, hub=hub, body=body) for hub in ("chat", "news")]
        assert found == [200, 404]
