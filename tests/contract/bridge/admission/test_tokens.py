"""Clients with tokens of a real issuer: good ones name them, bad ones get one and the same answer."""

import json
import logging
import time
from typing import Any

import httpx
import jwt
import pytest

from tests.contract.bridge.admission.openid import KEYS, WELL_KNOWN, OpenId
from tests.contract.bridge.running import AUTH, SERVICE, Bridge, bridge
from tests.unit.web.bad_tokens import bad_tokens
from tests.unit.web.issuing import AUDIENCE, said, signed

PATH = "/hubs/chat/negotiate?negotiateVersion=1"


def settings(issuer: OpenId, **more: Any) -> dict[str, str]:
    rule = {"issuer": issuer.url, "audience": AUDIENCE, "required": {"roles": "chatter"}, **more}
    return {"BRIDGE_NEGOTIATE__JWT": json.dumps([rule]), "BRIDGE_NEGOTIATE__HUBS": "chat"}


def good(issuer: OpenId, **more: Any) -> dict[str, Any]:
    return said(time.time(), **{"iss": issuer.url, "roles": ["chatter"], **more})


async def ask(running: Bridge, token: str, path: str = PATH, **headers: str) -> httpx.Response:
    given = [(b"Authorization", f"Bearer {token}".encode()), *((k.encode(), v.encode()) for k, v in headers.items())]
    return await running.http.post(path, headers=given)


def client_claims(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    token = answer.json()["accessToken"]
    claims: dict[str, Any] = jwt.decode(token, SERVICE, algorithms=["HS256"], options={"verify_aud": False})
    return claims


@pytest.mark.parametrize(
    ("name", "algorithm"), [("rsa", "RS256"), ("rsa", "PS256"), ("p256", "ES256"), ("ed", "EdDSA")]
)
async def test_a_good_token(issuer: OpenId, name: str, algorithm: str) -> None:
    async with bridge(BRIDGE_NEGOTIATE__CLAIM_TYPES="roles", **settings(issuer)) as running:
        claims = client_claims(await ask(running, signed(good(issuer), name, algorithm)))
        assert (claims["asrs.s.uid"], claims["roles"]) == ("ann", "chatter")
        assert issuer.asked == [WELL_KNOWN, KEYS]


BAD = bad_tokens()


async def test_bad_tokens_get_one_answer_and_each_a_reason_of_its_own(
    issuer: OpenId, caplog: pytest.LogCaptureFixture
) -> None:
    table = bad_tokens(time.time(), issuer.url)
    assert len(table) >= 40
    answers = set()
    async with bridge(**settings(issuer)) as running:
        client_claims(await ask(running, signed(good(issuer))))
        caplog.set_level(logging.INFO, "signalr_bridge")
        for what, (token, reason) in table.items():
            caplog.clear()
            answer = await ask(running, token)
            told = [one.reason for one in caplog.records if one.msg == "client refused"]  # type: ignore[attr-defined]
            assert told == [reason], what
            problem = answer.json()
            assert problem.pop("instance") == f"urn:request:{answer.headers['x-request-id']}"
            answers.add((answer.status_code, answer.headers["www-authenticate"], json.dumps(problem)))
            assert not token or token not in caplog.text
        assert len(answers) == 1, "one uniform answer"
        ((status, challenge, _),) = answers
        assert status == 401
        assert challenge


async def test_the_issuer_s_keys_change(issuer: OpenId) -> None:
    async with bridge(**settings(issuer)) as running:
        client_claims(await ask(running, signed(good(issuer))))
        issuer.publish("rsa-next")
        client_claims(await ask(running, signed(good(issuer))))
        assert (await ask(running, signed(good(issuer), "rsa-next"))).status_code == 401, "asked a moment ago"
        clock = running.app.state.parts.clients.rules_of("chat").issuers._keys.of(issuer.url)
        clock._next_fetch_at -= 60  # a minute later
        client_claims(await ask(running, signed(good(issuer), "rsa-next")))
        assert (await ask(running, signed(good(issuer)))).status_code == 401, "withdrawn"


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        (WELL_KNOWN, b"", 500),
        (WELL_KNOWN, b"nonsense", 200),
        (WELL_KNOWN, {"issuer": "https://evil.example", "jwks_uri": "https://localhost:1/keys"}, 200),
        (KEYS, {"keys": []}, 200),
        (KEYS, {"keys": [{"kid": "rsa", "kty": "oct", "k": "c2VjcmV0"}]}, 200),
    ],
)
async def test_an_issuer_that_cannot_be_asked_opens_nothing(
    issuer: OpenId, path: str, document: Any, status: int
) -> None:
    issuer.say(path, document, status)
    async with bridge(**settings(issuer)) as running:
        assert (await ask(running, signed(good(issuer)))).status_code == 401


async def test_the_document_of_another_issuer(issuer: OpenId) -> None:
    issuer.say(WELL_KNOWN, {"issuer": issuer.url + "/", "jwks_uri": issuer.url + KEYS})
    async with bridge(**settings(issuer)) as running:
        assert (await ask(running, signed(good(issuer)))).status_code == 401


async def test_several_issuers_and_a_hub_of_its_own(issuer: OpenId) -> None:
    other = {"issuer": "https://127.0.0.1:1", "audience": "x"}
    mine = {"issuer": issuer.url, "audience": [AUDIENCE, "y"], "user_claim": "oid"}
    given = {
        "BRIDGE_NEGOTIATE__JWT": json.dumps([other]),
        "BRIDGE_HUBS__CHAT__NEGOTIATE__JWT": json.dumps([other, mine]),
        "BRIDGE_NEGOTIATE__HUBS": "news",
        "BRIDGE_NEGOTIATE__LIFETIME_SECONDS": "77",
    }
    async with bridge(**given) as running:
        claims = client_claims(await ask(running, signed(good(issuer, oid="o-7"))))
        assert (claims["asrs.s.uid"], claims["exp"] - claims["iat"]) == ("o-7", 77), "the rest is as for all hubs"
        assert (await ask(running, signed(good(issuer)), "/hubs/news/negotiate")).status_code == 401


async def test_a_template_over_verified_claims(issuer: OpenId) -> None:
    async with bridge(BRIDGE_NEGOTIATE__USER_ID="{claims.tid}/{claims.oid}", **settings(issuer)) as running:
        claims = client_claims(await ask(running, signed(good(issuer, oid="o", tid="t"))))
        assert claims["asrs.s.uid"] == "t/o"
        assert (await ask(running, signed(good(issuer, oid="o")))).status_code == 401


# --- callers with tokens

ROLES = {"Bridge.Send": {"rights": ["send"], "hubs": ["chat"]}, "Bridge.All": {}}


def for_callers(issuer: OpenId) -> dict[str, str]:
    return {
        "BRIDGE_CALLERS__OIDC__ISSUER": issuer.url,
        "BRIDGE_CALLERS__OIDC__AUDIENCE": "api://bridge",
        "BRIDGE_CALLERS__OIDC__ROLES": json.dumps(ROLES),
    }


async def test_a_backend_with_a_token(issuer: OpenId, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge")
    async with bridge(**for_callers(issuer)) as running:
        sender = signed(good(issuer, aud="api://bridge", roles=["Bridge.Send"], azp="batch"))
        everything = signed(good(issuer, aud="api://bridge", roles=["Bridge.All"]), "p256", "ES256")

        async def status(token: str, path: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return (await running.http.post(path, json={"target": "t"}, headers=headers)).status_code

        assert await status(sender, "/hubs/chat/send") == 202
        assert [one.caller for one in caplog.records if one.msg == "request"] == ["oidc:batch"]  # type: ignore[attr-defined]
        assert await status(sender, "/hubs/news/send") == 403
        assert await status(sender, "/hubs/chat/groups") == 403
        assert await status(everything, "/hubs/news/send") == 202
        for wrong in (
            good(issuer, aud="api://bridge", roles=["other"]),
            good(issuer, aud="api://bridge", roles=None),
            good(issuer, aud=AUDIENCE, roles=["Bridge.All"]),
            good(issuer, aud="api://bridge", roles=["Bridge.All"], iss=issuer.url + "/"),
            good(issuer, aud="api://bridge", roles=["Bridge.All"], exp=int(time.time()) - 61),
        ):
            assert await status(signed(wrong), "/hubs/chat/send") == 401
        assert await status(signed(good(issuer), "rsa-foreign", header={"kid": "rsa"}), "/hubs/chat/send") == 401


async def test_of_key_and_token_the_key_alone_is_judged(issuer: OpenId) -> None:
    async with bridge(**for_callers(issuer)) as running:
        token = signed(good(issuer, aud="api://bridge", roles=["Bridge.All"]))
        for headers, status in (
            (AUTH | {"Authorization": "Bearer nonsense"}, 202),
            ({"X-API-Key": "x" * 20, "Authorization": f"Bearer {token}"}, 401),
        ):
            answer = await running.http.post("/hubs/chat/send", json={"target": "t"}, headers=headers)
            assert answer.status_code == status


async def test_on_negotiate_the_role_tells_callers_from_clients(issuer: OpenId) -> None:
    """The same issuer and audience for both."""
    rule = {"issuer": issuer.url, "audience": "api://bridge"}
    own = for_callers(issuer) | {"BRIDGE_NEGOTIATE__JWT": json.dumps([rule]), "BRIDGE_NEGOTIATE__HUBS": "chat"}
    async with bridge(**own) as running:

        async def negotiate(body: Any, **claims: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {signed(good(issuer, aud='api://bridge', **claims))}"}
            return await running.http.post(PATH, json=body, headers=headers)

        assert client_claims(await negotiate({"userId": "bob"}, roles=["Bridge.All"]))["asrs.s.uid"] == "bob"
        assert client_claims(await negotiate({}, roles=["chatter"]))["asrs.s.uid"] == "ann"
        assert (await negotiate({"userId": "bob"}, roles=["chatter"])).status_code == 401, "a client says for nobody"
        assert (await negotiate({"userId": "bob"}, roles=["Bridge.Send"])).status_code == 403, "no right to negotiate"
        # A blank body is a client's call, whoever sends it.
        assert client_claims(await negotiate({}, roles=["Bridge.All"]))["asrs.s.uid"] == "ann"
