"""``token --check``: whose a token is, and why it would be refused. Issuers are stand-ins over TLS."""

import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from signalr_bridge.__main__ import cli
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import Settings
from signalr_bridge.token_check import TokenReport, check_token

from tests.azure.issuer import Issuer, run_issuer
from tests.unit.settings.given import connection, loaded
from tests.unit.upstream.issued import APPLICATION, OTHER_APPLICATION, TENANT, token

KEY, OTHER = "the-first-access-key-of-the-service", "the-second-access-key-of-the-service"
CALLER = "a-key-of-a-backend"
CLIENT_AUDIENCE = "https://contoso.service.signalr.net/client/?hub=chat"


@dataclass
class World:
    issuer: Issuer
    settings: Settings

    def token(self, **said: Any) -> str:
        now = time.time()
        version = {"iss": f"{self.issuer.url}/{TENANT}/v2.0", "azp": APPLICATION, "ver": "2.0"}
        return token(version=said.pop("version", version), now=said.pop("now", now), **said)

    async def check(self, text: str) -> TokenReport:
        report = await check_token(self.settings, text)
        lines = "\n".join(report.write())
        hidden = [KEY, OTHER, CALLER, *[one for one in text.split(".") if len(one) > 20]]
        assert [one for one in hidden if one in lines + repr(report)] == [], "nothing of the token is said"
        return report


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("token") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with run_issuer(authority) as issuer, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        named = f"{issuer.url}/{TENANT}/v2.0"
        keys = f'[{{"name": "shop", "key": "{CALLER}", "hubs": ["chat"], "rights": ["send"]}}]'
        settings = loaded(
            {
                "AzureSignalRConnectionString": connection(key=KEY),
                "Azure__SignalR__Endpoints__uk": connection("uk", OTHER),
                "BRIDGE_ENDPOINTS__UK__UPSTREAM_APP_ID": APPLICATION,
                "BRIDGE_CALLERS__KEYS": keys,
                "BRIDGE_CALLERS__OIDC__ISSUER": named,
                "BRIDGE_CALLERS__OIDC__AUDIENCE": "api://callers",
                "BRIDGE_CALLERS__OIDC__ROLES": '{"Sender": {"rights": ["send"], "hubs": ["chat", "news"]}}',
                "BRIDGE_UPSTREAM__ENTRA__TENANT": TENANT,
                "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": "api://upstream",
                "BRIDGE_UPSTREAM__ENTRA__APP_IDS": APPLICATION,
                "BRIDGE_HUBS__NEWS__NEGOTIATE__JWT": f'[{{"issuer": "{named}", "audience": "api://clients"}}]',
                "AZURE_AUTHORITY_HOST": issuer.url,
            }
        )
        yield World(issuer, settings)


def signed(key: str = KEY, **claims: Any) -> str:
    """A token as the SDKs sign them, by another library."""
    now = int(time.time())
    said = {"nbf": now, "iat": now, "exp": now + 3600, "aud": CLIENT_AUDIENCE} | claims
    return jwt.encode({name: one for name, one in said.items() if one is not None}, key, algorithm="HS256")


def names(report: TokenReport) -> dict[str, str]:
    return dict(report.facts)


async def test_a_client_s_token(world: World) -> None:
    report = await world.check(f"Bearer {signed(**{'asrs.s.uid': 'ada'})}\n")
    assert (report.whose, report.refusal) == ("a client's token", None)
    facts = names(report)
    assert (facts["hub"], facts["user"]) == ("chat", "ada")
    assert facts["endpoint"] == "default, https://contoso.service.signalr.net"
    assert facts["valid until"].endswith(("(in 59 minutes)", "(in 1 hour)"))
    assert [*report.write()][-1] == "good"


HOUR = 3600


@pytest.mark.parametrize(
    ("text", "whose", "refusal"),
    [
        (signed(exp=time.time() - 2 * HOUR), "a client's token", "the token has expired."),
        (signed(nbf=time.time() + HOUR), "a client's token", "the token is not valid yet."),
        (signed(exp=None), "a client's token", "exp is missing."),
        (signed(OTHER), "a client's token", "no key of its endpoint has signed it"),
        (signed(aud="https://else.service.signalr.net/client/?hub=chat"), "a client's token", "no endpoint"),
        (signed(more="x" * 4096), "a client's token", "more than 4096 characters"),
        (signed(OTHER, aud="https://uk.service.signalr.net/api/hubs/chat/:send"), "a server's token", None),
        (signed(aud="https://contoso.service.signalr.net/server/?hub=chat"), "a server's token", None),
        (signed(aud="https://uk.service.signalr.net/api/v1/hubs/chat"), "a server's token", "no key of its endpoint"),
        (signed(aud="somebody"), "nobody's", "no address of a SignalR instance"),
        (signed(aud=None), "nobody's", "no address of a SignalR instance"),
        ("an-unknown-key", "nobody's", "it is not the key of a caller, and no JSON Web Token either"),
        ("a.b.c", "nobody's", "no JSON Web Token either"),
        ("", "nobody's", "no JSON Web Token either"),
        (CALLER, "a caller's key", None),
        (token(version={"iss": "https://else.example"}), "nobody's", "its issuer is none of the settings'."),
    ],
)
async def test_whose_it_is_and_why_it_is_refused(world: World, text: str, whose: str, refusal: str | None) -> None:
    report = await world.check(text)
    assert report.whose.startswith(whose)
    assert (report.refusal is None) if refusal is None else (refusal in (report.refusal or ""))


async def test_what_a_caller_s_key_may(world: World) -> None:
    assert names(await world.check(CALLER)) == {"caller": "shop", "rights": "send for chat"}


async def test_tokens_of_an_issuer(world: World) -> None:
    """One issuer may stand for callers, for the service and for clients: the audience tells."""
    caller = await world.check(world.token(aud="api://callers", roles=["Sender"]))
    assert (caller.whose, caller.refusal, names(caller)["rights"]) == ("a caller's token", None, "send for chat, news")
    service = await world.check(world.token(aud="api://upstream"))
    assert (service.whose, service.refusal) == ("the service's token", None)
    assert names(service)["endpoint"] == "uk, https://uk.service.signalr.net"
    assert names(service)["application"] == APPLICATION
    client = await world.check(world.token(aud="api://clients", sub="ada"))
    assert (client.whose, client.refusal) == ("a client's own token, for negotiate", None)
    assert (names(client)["hub"], names(client)["user"]) == ("news", "ada")


async def test_why_tokens_of_an_issuer_are_refused(world: World) -> None:
    other = {"iss": f"{world.issuer.url}/{TENANT}/v2.0", "azp": OTHER_APPLICATION}
    cases = (
        ({"aud": "api://callers"}, "a caller's token", "the token has no role that the settings map."),
        ({"aud": "api://callers", "now": time.time() - 9 * HOUR}, "a caller's token", "the token has expired."),
        ({"aud": "api://callers", "name": "unknown"}, "a caller's token", "the issuer publishes no such key"),
        ({"aud": "api://upstream", "version": other}, "the service's token", "that of another application."),
        ({"aud": "api://else"}, "a caller's token", "the token is for another audience."),
    )
    for said, whose, refusal in cases:
        report = await world.check(world.token(**said))
        assert report.whose == whose
        assert refusal in (report.refusal or "")


@pytest.mark.usefixtures("own_logging")
def test_at_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """From standard input, so that it stands in no history."""
    monkeypatch.setenv("AzureSignalRConnectionString", connection(key=KEY))
    for text, code, last in (
        (signed(), 0, "good"),
        (signed(OTHER), 1, "refused: no key of its endpoint has signed it"),
    ):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{text}\n"))
        with pytest.raises(SystemExit) as end:
            cli(["token", "--check", "-"], standalone_mode=False)
        said = capsys.readouterr().out
        assert end.value.code == code
        assert said.startswith("a client's token\nhub: chat\n")
        assert said.splitlines()[-1].startswith(last)
    for arguments in (["token"], ["token", "--hub", "chat", "--check", "x"]):
        with pytest.raises(SettingsError, match="either --hub"):
            cli(arguments, standalone_mode=False)
