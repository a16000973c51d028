"""A canary in every setting that holds a secret, and nothing that comes out of the bridge ever holds one."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from signalr_bridge.check import examine, write_diagnostics, write_json, write_text
from signalr_bridge.emulator import Emulator
from signalr_bridge.main import create_app
from signalr_bridge.masked_settings import holds_secrets
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.settings import Sources, gather, load, review
from signalr_bridge.settings.names import named_sections, settings_below, settings_by_path, write_name

from tests.contract.bridge.running import client

CANARY = "canary-c4d9e1-canary-c4d9e1"
KEYS = {
    "BRIDGE_CALLERS__KEYS": f'["{CANARY}-1", {{"name": "ann", "key": "{CANARY}-2"}}]',
    "BRIDGE_UPSTREAM__CODE": f"{CANARY}-3",
    "BRIDGE_UPSTREAM__KEYS": f"{CANARY}-4",
    "BRIDGE_HUBS__<NAME>__UPSTREAM__CODE": f"{CANARY}-3",
    "BRIDGE_HUBS__<NAME>__UPSTREAM__KEYS": f"{CANARY}-5",
    "BRIDGE_FORWARD__<NAME>__SECRETS": "whsec_Y2FuYXJ5LWM0ZDllMS1jYW5hcnktYzRkOWUx",
    "BRIDGE_FORWARD__<NAME>__URL": f"http://127.0.0.1:1/?code={CANARY}-6",
    "BRIDGE_FUNCTIONS__SECRETS": "whsec_Y2FuYXJ5LWM0ZDllMS1jYW5hcnktYzRkOWUx",
    "BRIDGE_FUNCTIONS__URL": f"http://ann:{CANARY}-10@127.0.0.1:1",
    "BRIDGE_LOG_USERS_KEY": f"{CANARY}-of-users-in-the-log-0123456789",
    "BRIDGE_APP_CONFIGURATION_CONNECTION_STRING": f"Endpoint=https://x.example;Id=1;Secret={CANARY}",
}
"""By the names of the settings; another secret in the model needs a canary here."""
STORES = ("BRIDGE_APP_CONFIGURATION_CONNECTION_STRING",)
AZURE = {
    "Azure__SignalR__Endpoints__b": f"Endpoint=http://127.0.0.1:1;AccessKey={CANARY}-7;Version=1.0;",
    "Azure__SignalR__Endpoints__c__secondary": "Endpoint=http://127.0.0.1:1;AuthType=azure.app;ClientId=1;TenantId=2;"
    f"ClientSecret={CANARY}-8",
    "Azure__SignalR__Endpoints__d__serviceUri": "http://127.0.0.1:1",
    "Azure__SignalR__Endpoints__d__tenantId": "2",
    "Azure__SignalR__Endpoints__d__clientId": "1",
    "Azure__SignalR__Endpoints__d__clientSecret": f"{CANARY}-9",
    "Azure__SignalR__Endpoint__misspelt": f"Endpoint=http://127.0.0.1:1;AccessKey={CANARY};Version=1.0;",
    "BRIDGE_CALERS__KEYS": CANARY,
    "BRIDGE_FORWARD__ORDERS__TIMEOUT_SECONDS": "0.1",
    "BRIDGE_LIMITS__DEADLINE_SECONDS": "0.5",
}
SECRETS = (CANARY, "whsec_", "Y2FuYXJ5")


def given(url: str) -> dict[str, str]:
    ours = {name.replace("<NAME>", "ORDERS"): text for name, text in KEYS.items() if name not in STORES}
    return ours | AZURE | {"AzureSignalRConnectionString": f"Endpoint={url};AccessKey={CANARY};Version=1.0;"}


def check_silent(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == [], text


def test_every_secret_of_the_model_has_its_canary() -> None:
    fields = {write_name(path): field for path, field in settings_by_path().items()}
    for section in named_sections():
        below = settings_below(section)
        fields |= {write_name((section, "<name>", *path)): field for path, field in below.items()}
    secret = {name for name, field in fields.items() if holds_secrets(field.annotation) or not field.repr}
    assert secret == set(KEYS)


def test_nothing_that_is_printed_or_shown_holds_one() -> None:
    values = gather(given("http://localhost:8888"), {})
    found = review(values)
    assert found.settings is not None, [str(one) for one in found.diagnostics]
    settings = found.settings
    for text in (repr(values), repr(found), repr(settings), str(settings), *map(repr, settings.all_endpoints())):
        check_silent(text)


@pytest.mark.parametrize("wrong", [{}, {"BRIDGE_PORT": CANARY}, {"Azure__SignalR__Endpoints__e": CANARY}])
def test_no_output_of_check_holds_one(wrong: dict[str, str]) -> None:
    report = examine(gather(given("http://localhost:8888") | wrong, {}))
    lines = [*write_text(report), *write_diagnostics(report.diagnostics), write_json(report)]
    check_silent("\n".join(lines))
    assert any("***" in line for line in lines)


@pytest.fixture
async def service() -> AsyncIterator[Emulator]:
    async with Emulator(0, keys=[CANARY]) as emulator:
        yield emulator


async def test_no_log_and_no_answer_holds_one(
    tmp_path: Path, service: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, text in given(service.url).items():
        (tmp_path / name).write_text(text)
    sources = Sources({"BRIDGE_SECRETS_DIR": str(tmp_path)}, {})
    app = create_app(load(sources.read()), sources)
    app.state.parts.watcher.settle = 0.05
    answers: list[httpx.Response] = []
    async with app.router.lifespan_context(app), client(app) as http:
        answers += await use(http, CANARY)
        rotated = f"Endpoint={service.url};AccessKey={CANARY}-new;Version=1.0;"
        for text in (rotated, rotated + f"Port={CANARY}", ""):
            (tmp_path / "AzureSignalRConnectionString").write_text(text)
            await app.state.parts.watcher.read_again()
            answers += await use(http, CANARY)
        service.replace_keys(["another"])
        answers += await use(http, CANARY)
    assert {200, 202, 207, 401, 422} & {one.status_code for one in answers} >= {401, 422}
    for one in answers:
        check_silent(one.text + str(one.headers))
    check_silent(repr(app.state.parts.directory.endpoints) + repr(vars(app.state)))
    ours = [one for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]  # the test's own client
    check_silent("\n".join(str(vars(one)) for one in ours))


async def use(http: httpx.AsyncClient, key: str) -> list[httpx.Response]:
    """Calls of every kind, good and bad. What a wrong caller sends is his own, and not shown to him either."""
    caller = {"X-API-Key": f"{CANARY}-1"}
    upstream = {
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "connections",
        "X-ASRS-Event": "connected",
        "X-ASRS-Connection-Id": "c",
        "X-ASRS-Signature": sign("c", key),
        "Content-Type": "application/json",
    }
    return [
        await http.post("/hubs/chat/send", json={"target": "x"}, headers=caller),
        await http.post("/hubs/chat/send", json={"target": ""}, headers=caller),
        await http.post("/hubs/chat/send", json={"target": "x"}, headers={"X-API-Key": CANARY}),
        await http.get("/hubs/chat/endpoints", headers=caller),
        await http.post("/upstream", params={"code": f"{CANARY}-3"}, headers=upstream),
        await http.post("/upstream", params={"code": CANARY}, headers=upstream),
        await http.get("/health/ready"),
    ]
