"""A client that negotiates with its old service token: it is as good as none, whatever became of the key meanwhile."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from signalr_bridge.runtime import Runtime

from tests.contract.bridge.running import AUTH, SERVICE, bridge
from tests.contract.bridge.test_negotiate import OPEN, as_caller, claims_of, problem_of
from tests.contract.bridge.test_running_changes import CALLER, NEW, OLD, Running, running, string

JWTS = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}])}
TO_CHAT = "/hubs/chat/negotiate"
DAY = 86_400
DEFAULT, SECOND = "AzureSignalRConnectionString", "Azure__SignalR__Endpoints__b"
DEAD = "http://localhost:1"


def made(key: str, **more: Any) -> str:
    claims = {"asrs.s.uid": "ann", "role": "admin", "aud": "http://127.0.0.1/client/?hub=chat", "exp": 1} | more
    return jwt.encode(claims, key, "HS256", {"kid": "a-hash-of-the-key"})


async def mint(bridge: Running) -> dict[str, str]:
    """A token of each endpoint, by the endpoint's name."""
    answer = await bridge.http.post("/hubs/chat/negotiate/endpoints", headers={"X-API-Key": CALLER})
    return {one["name"]: one["connectionInfo"]["accessToken"] for one in answer.json()["endpoints"]}


async def come_back(bridge: Running, tokens: dict[str, str]) -> dict[str, int]:
    return {
        name: (await bridge.http.post(TO_CHAT, headers={"Authorization": f"Bearer {token}"})).status_code
        for name, token in tokens.items()
    }


async def test_tokens_of_a_rotated_key_and_of_a_removed_endpoint_count_for_a_day(tmp_path: Path) -> None:
    now = [time.time()]
    given = {
        DEFAULT: string(DEAD, OLD),
        f"{SECOND}__secondary": string("https://b.example", OLD) + "ClientEndpoint=https://front.example;",
        **OPEN,
        **JWTS,
    }
    async with running(tmp_path, given, Runtime(wall_clock=lambda: now[0])) as bridge:
        old = await mint(bridge)
        assert old.keys() == {"default", "b"}
        assert await come_back(bridge, old) == {"default": 200, "b": 200}
        bridge.write({DEFAULT: string(DEAD, NEW), f"{SECOND}__secondary": ""})
        await bridge.read_again()
        now[0] += DAY - 1
        assert await come_back(bridge, old) == {"default": 200, "b": 200}
        audience = "http://localhost/client/?hub=chat"
        foreign, news = (made(key, aud=audience.replace("chat", hub)) for key, hub in (("k" * 32, "chat"), (OLD, "n")))
        assert await come_back(bridge, {"foreign": foreign, "another hub's": news}) == {
            "foreign": 401,
            "another hub's": 401,
        }
        now[0] += 2
        assert await come_back(bridge, old) == {"default": 401, "b": 401}, "nothing is kept for ever"
        assert await come_back(bridge, await mint(bridge)) == {"default": 200}


async def test_an_expired_token_that_another_program_made_counts_as_well() -> None:
    async with bridge(**OPEN, **JWTS) as running:
        for token in (made(SERVICE), (await as_caller(running, {"userId": "ann"})).json()["accessToken"]):
            answer = await running.http.post(TO_CHAT, headers={"Authorization": f"Bearer {token}"})
            assert claims_of(answer).keys() == {"nbf", "exp", "iat", "aud"}, "it names nobody and grants nothing"
        too_long = made(SERVICE, role="x" * 5000)
        answer = await running.http.post(TO_CHAT, headers={"Authorization": f"Bearer {too_long}"})
        assert problem_of(answer) == (401, "unauthenticated"), "the service would take none of such a length"


@pytest.mark.parametrize("place", ["{query.access_token}", "{headers.authorization}"])
async def test_an_old_token_is_no_id_token_either(place: str) -> None:
    rules = {
        "BRIDGE_NEGOTIATE__ID_TOKEN": place,
        "BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true",
        "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
        "BRIDGE_NEGOTIATE__CLAIM_TYPES": "role",
    }
    async with bridge(**OPEN, **rules) as running:

        async def bring(token: str) -> Any:
            if place.startswith("{query"):
                return await running.http.post(TO_CHAT, params={"a": "b", "Access_Token": token})
            return await running.http.post(TO_CHAT, headers={"Authorization": f"Bearer {token}"})

        assert problem_of(await bring(made(SERVICE))) == (401, "unauthenticated"), "as without any"
        assert claims_of(await bring(made("k" * 32)))["role"] == "admin", "nobody checks it, as the setting says"
        assert claims_of(await bring(jwt.encode({"role": "admin"}, "", "none")))["role"] == "admin"
        assert problem_of(await bring("nonsense")) == (401, "unauthenticated")


async def test_a_callers_blank_body_is_judged_the_same_way() -> None:
    async with bridge(**OPEN, **JWTS) as running:
        headers = AUTH | {"Authorization": f"Bearer {made(SERVICE)}"}
        assert claims_of(await running.http.post(TO_CHAT, headers=headers))
