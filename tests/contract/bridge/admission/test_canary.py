"""A secret in every place that callers and clients know: it comes out nowhere."""

import json
import logging

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load

from tests.contract.bridge.running import bridge

CANARY = "canary-canary-canary"
SECRETS = {
    "BRIDGE_CALLERS__KEYS": json.dumps([CANARY + "-one", {"key": CANARY + "-two", "name": "two", "hubs": ["chat"]}]),
    "BRIDGE_UPSTREAM__CODE": CANARY,
    "BRIDGE_UPSTREAM__KEYS": CANARY,
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__HUBS": "chat",
    "BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}]),
    "BRIDGE_CALLERS__OIDC__ISSUER": "https://localhost:1",
    "BRIDGE_CALLERS__OIDC__AUDIENCE": "x",
    "BRIDGE_CALLERS__OIDC__ROLES": '{"x": {}}',
}
GIVEN = [
    {"X-API-Key": f"{CANARY}-wrong"},
    {"X-API-Key": f"{CANARY}-one"},
    {"X-API-Key": f"{CANARY}-two"},
    {"Authorization": f"Bearer {CANARY}.{CANARY}.{CANARY}"},
    {"Authorization": f"Basic {CANARY}", "Cookie": f"session={CANARY}"},
    {"Origin": f"https://{CANARY}.example", "X-Forwarded-For": CANARY},
]


async def test_no_secret_comes_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "signalr_bridge")
    seen = []
    async with bridge(**SECRETS) as running:
        for headers in GIVEN:
            for path in ("/hubs/chat/negotiate", "/hubs/x/send", "/hubs/chat/negotiate/endpoints", "/upstream"):
                for query in ("", f"?code={CANARY}&access_token={CANARY}"):
                    answer = await running.http.post(path + query, content=f'{{"{CANARY}', headers=headers)
                    seen.append(f"{answer.headers} {answer.text}")
        parts = [running.app.state.parts.access.callers, running.app.state.parts.clients, vars(running.app.state)]
        seen += [repr(part) for part in parts]
    records = [json.dumps(vars(one), default=str) for one in caplog.records if one.name.startswith("signalr_bridge")]
    assert len(seen) > 40
    assert records
    for text in [*seen, *records, caplog.text]:
        assert CANARY not in text.replace(f'property "{CANARY}', "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"BRIDGE_CALLERS__KEYS": json.dumps([{"key": CANARY, "rights": ["x"]}])},
        {"BRIDGE_CALLERS__KEYS": json.dumps([{"key": CANARY, "sha256": CANARY}])},
        {"BRIDGE_CALLERS__KEYS": json.dumps([{"sha256": CANARY}])},
        {"BRIDGE_CALLERS__KEYS": json.dumps({"key": CANARY})},
        {"BRIDGE_CALLERS__KEYS": json.dumps([{"key": CANARY, CANARY: 1}])},
        {"BRIDGE_CALLERS__KEYS": "[" + CANARY},
        {"BRIDGE_CALLERS__LISTEN": CANARY},
        {"BRIDGE_CALLERS__OIDC__ISSUER": CANARY},
        {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": CANARY, "audience": CANARY}])},
        {"BRIDGE_NEGOTIATE__USER_ID": "{" + CANARY},
        {"BRIDGE_CORS__ORIGINS": CANARY},
        {"BRIDGE_TRUSTED_PROXIES": CANARY},
        {"BRIDGE_HUBS__CHAT__JOIN": json.dumps([{"claim": "x", CANARY: CANARY}])},
    ],
)
def test_nor_by_an_error_in_the_settings(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        create_app(load(gather(wrong, {})))
    assert CANARY not in repr(caught.value) + caught.value.detail
