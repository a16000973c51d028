"""A client that ``connected`` has refused: the same negotiate is a 403 for a while, and any other is judged as ever."""

import asyncio
import json
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.runtime import Runtime

from tests.contract.bridge import refusing
from tests.contract.bridge.running import AUTH
from tests.contract.bridge.test_negotiate import problem_of
from tests.contract.bridge.test_running_changes import OLD, Running, running, string
from tests.contract.upstream.backend import Backend, Call, answer

MODULE = "tests.contract.bridge.refusing"
NAMED = {
    "BRIDGE_HANDLERS": f"{MODULE}:chat,{MODULE}:news",
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
    "BRIDGE_TRUSTED_PROXIES": "127.0.0.0/8",
    "BRIDGE_HUBS__CHAT__NEGOTIATE__USER_ID": "{query.user}",
}
ANONYMOUS = {name: text for name, text in NAMED.items() if "USER_ID" not in name}


@dataclass
class Negotiations:
    bridge: Running
    ahead: list[float]
    given: dict[str, str] = field(default_factory=lambda: {"user": "ann", "negotiateVersion": "1"})

    async def negotiate(
        self, headers: Mapping[str, str] = {}, *, hub: str = "chat", body: bytes = b"", query: Mapping[str, str] = {}
    ) -> httpx.Response:
        params = self.given | dict(query)
        return await self.bridge.http.post(f"/hubs/{hub}/negotiate", params=params, content=body, headers=headers)

    async def connect(self, negotiated: httpx.Response, do: str = "refuse", hub: str = "chat") -> int:
        """The service tells of the client that brings this token: the status of the answer."""
        claims = claims_of(negotiated)
        line = ", ".join(f"{name}: {value}" for name, value in claims.items())
        headers = {
            "X-ASRS-Hub": hub,
            "X-ASRS-Category": "connections",
            "X-ASRS-Event": "connected",
            "X-ASRS-Connection-Id": "c1",
            "X-ASRS-User-Id": claims.get("asrs.s.uid", ""),
            "X-ASRS-User-Claims": line,
            "X-ASRS-Client-Query": f"?hub={hub}&do={do}",
            "X-ASRS-Signature": sign("c1", OLD),
            "Content-Type": "application/json",
        }
        return (await self.bridge.http.post("/upstream", headers=headers)).status_code


def claims_of(negotiated: httpx.Response) -> dict[str, Any]:
    assert negotiated.status_code == 200, negotiated.text
    claims: dict[str, Any] = jwt.decode(negotiated.json()["accessToken"], options={"verify_signature": False})
    return claims


def carried(negotiated: httpx.Response) -> Any:
    text = claims_of(negotiated).get("bridge.claims", "e30")
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@asynccontextmanager
async def refusing_hub(folder: Path, **settings: str) -> AsyncIterator[Negotiations]:
    ahead = [0.0]
    runtime = Runtime(clock=lambda: time.monotonic() + ahead[0])
    given = {"AzureSignalRConnectionString": string("http://localhost:1", OLD), **settings}
    async with running(folder, given, runtime) as bridge:
        yield Negotiations(bridge, ahead)


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    refusing.SEEN.clear()
    yield
    refusing.SEEN.clear()


async def test_the_same_negotiate_is_refused_with_the_text_and_no_other(tmp_path: Path) -> None:
    async with refusing_hub(tmp_path, **NAMED) as at:
        mine = {"Cookie": "session=1", "X-Forwarded-For": "203.0.113.7"}
        first = await at.negotiate(mine)
        assert await at.connect(first) == 403
        for again in (mine, mine | {"Authorization": f"Bearer {first.json()['accessToken']}", "User-Agent": "x"}):
            refused = await at.negotiate(again, query={"access_token": "x", "_": "5", "id": "7"})
            assert problem_of(refused) == (403, "forbidden")
            assert refused.json()["detail"] == "You are banned."
            assert 1 <= int(refused.headers["retry-after"]) <= 5
        with_a_body = mine | AUTH | {"Content-Type": "application/json"}
        others = [
            at.negotiate(mine, query={"user": "bob"}),
            at.negotiate(mine, query={"room": "7"}),
            at.negotiate(mine | {"Cookie": "session=2"}),
            at.negotiate(mine | {"X-Forwarded-For": "203.0.113.8"}),
            at.negotiate(mine, hub="news"),
            at.negotiate(mine | AUTH),
            at.negotiate(with_a_body, body=b'{"userId":"ann"}'),
        ]
        assert [(await one).status_code for one in others] == [200] * len(others)
        assert [(await at.negotiate(mine)).status_code for _ in range(2)] == [403, 403], "the others changed nothing"
        at.ahead[0] += 5.1
        assert await at.connect(await at.negotiate(mine)) == 403
        at.ahead[0] += 9
        assert (await at.negotiate(mine)).status_code == 403, "the second time counts twice as long"
        at.ahead[0] += 1.1
        assert await at.connect(await at.negotiate(mine), do="") == 200


async def test_clients_without_user_are_told_apart_by_their_claims(tmp_path: Path) -> None:
    """A handler may refuse one tenant, and those of another behind the same address have nothing to do with it."""
    rules = {
        "BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x-id}",
        "BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true",
        "BRIDGE_NEGOTIATE__CLAIM_TYPES": "tenant",
    }
    one, other = ({"X-Id": jwt.encode({"tenant": name}, "k" * 32)} for name in ("one", "other"))
    async with refusing_hub(tmp_path, **ANONYMOUS, **rules) as at:
        assert await at.connect(await at.negotiate(one)) == 403
        assert [(await at.negotiate(each)).status_code for each in (one, other)] == [403, 200]


async def test_nobody_but_the_bridge_sees_the_mark(tmp_path: Path) -> None:
    async with refusing_hub(tmp_path, **NAMED) as at:
        marked = await at.negotiate()
        assert carried(marked).keys() == {"bridge.mark"}
        assert await at.connect(marked, do="") == 200
        assert (refusing.SEEN[-1].claims, refusing.SEEN[-1].claims_exact) == ({}, True)
        assert carried(await at.negotiate(hub="news")) == {}, "no handler could refuse it"
        assert carried(await at.negotiate(AUTH)) == {}, "all clients of a backend have its address"
        assert await at.connect(await at.negotiate(AUTH)) == 403
        assert (await at.negotiate()).status_code == 200, "this refused nobody who came by himself"


async def test_a_token_without_room_for_the_mark_goes_without(tmp_path: Path) -> None:
    rules = {
        "BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x-id}",
        "BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true",
        "BRIDGE_NEGOTIATE__CLAIM_TYPES": "role",
    }
    has_mark: list[bool] = []
    problem: tuple[int, str] | None = None
    async with refusing_hub(tmp_path, **NAMED, **rules) as at:
        for length in range(1000, 2000, 8):
            found = await at.negotiate({"X-Id": jwt.encode({"role": "x" * length}, "k" * 32)})
            if found.status_code != 200:
                problem = problem_of(found)
                break
            has_mark.append("bridge.mark" in carried(found))
    assert problem == (400, "token-too-long")
    assert set(has_mark[-7:]) == {True, False}, "what fitted before still fits"
    assert has_mark == sorted(has_mark, reverse=True)


async def test_a_failure_or_a_hub_without_lossless_claims_holds_nobody_up(tmp_path: Path) -> None:
    async with refusing_hub(tmp_path, **NAMED) as at:
        assert await at.connect(await at.negotiate(), do="fail") == 500
        assert (await at.negotiate()).status_code == 200
    async with refusing_hub(tmp_path, **NAMED, BRIDGE_NEGOTIATE__LOSSLESS_CLAIMS="false") as at:
        assert await at.connect(await at.negotiate()) == 403
        assert (await at.negotiate()).status_code == 200


async def test_an_anonymous_client_does_not_shut_out_others_behind_its_address(tmp_path: Path) -> None:
    async with refusing_hub(tmp_path, **ANONYMOUS) as at:
        assert await at.connect(await at.negotiate()) == 403
        assert (await at.negotiate()).status_code == 403
        at.ahead[0] += 5.1
        assert await at.connect(await at.negotiate(), do="") == 200, "this one is let in"
        refused = await at.negotiate()
        old = {"Authorization": f"Bearer {refused.json()['accessToken']}"}
        assert await at.connect(refused) == 403
        assert (await at.negotiate()).status_code == 200, "so that one shuts out nobody"
        held_up = await at.negotiate(old)
        assert (held_up.status_code, held_up.headers["retry-after"]) == (403, "5"), "but itself"
        at.ahead[0] += 5
        assert await at.connect(await at.negotiate(old)) == 403
        assert (await at.negotiate(old)).headers["retry-after"] == "10"


async def test_a_negotiate_handler_is_asked_first_and_names_the_user(tmp_path: Path) -> None:
    handlers = {"BRIDGE_HANDLERS": f"{MODULE}:chat,tests.contract.bridge.admitting:chat"}
    async with refusing_hub(tmp_path, **handlers) as at:
        assert await at.connect(await at.negotiate(query={"do": "ann"})) == 403
        refused = await at.negotiate(query={"do": "ann"})
        assert (problem_of(refused), refused.json()["detail"]) == ((403, "forbidden"), "You are banned.")


async def test_a_refusal_that_a_backend_says_late_counts_as_well(tmp_path: Path) -> None:
    refuses = answer(403, b'{"detail":"Not here."}', "Content-Type: application/problem+json")

    answered = threading.Event()

    def script(call: Call, output: BufferedIOBase) -> None:
        (refuses if answered.is_set() else answer(503))(call, output)

    with Backend(script) as backend:
        forward = {"URL": backend.url, "UNSIGNED": "true", "TIMEOUT_SECONDS": "0.1", "HUB": "chat"}
        settings = {name: text for name, text in NAMED.items() if "HANDLERS" not in name}
        settings |= {f"BRIDGE_FORWARD__A__{name}": text for name, text in forward.items()}
        async with refusing_hub(tmp_path, **settings) as at:
            assert await at.connect(await at.negotiate()) == 200, "the service has its answer"
            answered.set()
            refused = await at.negotiate()
            for _ in range(200):
                if refused.status_code == 200:
                    await asyncio.sleep(0.05)
                    refused = await at.negotiate()
    assert (problem_of(refused), refused.json()["detail"]) == ((403, "forbidden"), "Not here.")
