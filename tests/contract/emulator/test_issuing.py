"""The emulator and identities: which Entra tokens it takes, what it issues to whom, and which keys it then believes."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import jwt
import pytest
import trustme
from signalr_bridge.emulator import Emulator, Role
from signalr_bridge.protocol.issued_key import AUDIENCE
from websockets.asyncio.client import connect

from tests.azure.issuer import Issuer
from tests.azure.standin import running
from tests.contract.emulator.parties import HANDSHAKE, KEY, address, bearer, token
from tests.unit.upstream.issued import TENANT, encoded, handmade, public_text
from tests.unit.upstream.issued import token as signed

PATHS = ["/api/v1/auth/accessKey", "/api/auth/accessKey"]
GENERATE = "/api/hubs/chat/:generateToken"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running(Issuer(trustme.CA())) as one:
        yield one


@pytest.fixture
def role() -> Role:
    return "owner"


@pytest.fixture
async def emulator(issuer: Issuer, role: Role) -> AsyncIterator[Emulator]:
    told: dict[str, Any] = {"entra_issuer": issuer.discovery, "entra_role": role}
    async with Emulator(0, **told, entra_certificates=issuer.certificates) as emulator:
        yield emulator


@pytest.fixture
async def http(emulator: Emulator, issuer: Issuer) -> AsyncIterator[httpx.AsyncClient]:
    """Calls with a good Entra token."""
    headers = bearer(issuer.issue(AUDIENCE, "somebody"))
    async with httpx.AsyncClient(base_url=emulator.url, headers=headers, trust_env=False) as client:
        yield client


def claims(issuer: Issuer, **more: Any) -> dict[str, Any]:
    said = {"aud": AUDIENCE, "iss": f"{issuer.url}/{TENANT}/v2.0", "exp": int(time.time()) + 600, **more}
    return {name: value for name, value in said.items() if value is not None}


def by_key(key: str, key_id: str | None) -> str:
    said = {"exp": int(time.time()) + 60, "aud": "x"}
    return jwt.encode(said, key, "HS256", headers={} if key_id is None else {"kid": key_id})


async def negotiates(http: httpx.AsyncClient, text: str) -> bool:
    answer = await http.post("/client/negotiate", params={"hub": "chat"}, headers=bearer(text))
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_an_owner_gets_a_key_that_signs_for_clients(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {"AccessKey", "KeyId"}
    assert await negotiates(http, by_key(found["AccessKey"], found["KeyId"]))
    assert not await negotiates(http, by_key(found["AccessKey"], None))
    assert not await negotiates(http, by_key(found["AccessKey"], "another"))
    assert not await negotiates(http, by_key(KEY, found["KeyId"]))
    assert await negotiates(http, by_key(KEY, None))


async def test_an_owner_calls_the_rest_api(http: httpx.AsyncClient) -> None:
    assert (await http.post("/api/hubs/chat/:send", json={"target": "x"})).status_code == 202
    assert (await http.head("/api/hubs/chat/users/ann")).status_code == 404


@pytest.mark.parametrize("role", ["rest-owner", "reader"])
async def test_others_get_no_keys(http: httpx.AsyncClient, role: Role) -> None:
    assert (await http.get(PATHS[0])).status_code == 403
    generated = 200 if role == "rest-owner" else 403
    sent = 202 if role == "rest-owner" else 403
    assert (await http.post(GENERATE)).status_code == generated
    assert (await http.post("/api/hubs/chat/:send", json={"target": "x"})).status_code == sent
    assert (await http.head("/api/hubs/chat/users/ann")).status_code == 404


@pytest.mark.parametrize("role", ["rest-owner"])
async def test_a_client_connects_with_a_generated_token(
    emulator: Emulator, http: httpx.AsyncClient, role: Role
) -> None:
    answer = await http.post(GENERATE, params={"userId": "an, n", "minutesToExpire": 5})
    text = answer.json()["token"]
    said = jwt.decode(text, KEY, ["HS256"], options={"verify_aud": False})
    assert (said["asrs.s.uid"], said["exp"] - said["iat"]) == ("an, n", 300)
    async with connect(address(emulator, "hub=chat"), additional_headers=bearer(text), proxy=None) as socket:
        await socket.send(HANDSHAKE)
        assert await socket.recv() == "{}\x1e"
        assert (await http.head("/api/hubs/chat/users/an%2C%20n")).status_code == 200


@pytest.mark.parametrize("query", ["minutesToExpire=0", "minutesToExpire=x", "minutesToExpire=-1", "userId=%FF"])
async def test_a_token_that_cannot_be_made(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.post(f"{GENERATE}?{query}")).status_code == 400


async def test_an_access_key_gets_no_key(http: httpx.AsyncClient) -> None:
    assert (await http.get(PATHS[0], headers=bearer(token()))).status_code == 403
    assert (await http.get(PATHS[0], headers={"Authorization": ""})).status_code == 401
    assert (await http.post(PATHS[0])).status_code in {404, 405}


async def test_no_bad_token_opens(http: httpx.AsyncClient, issuer: Issuer) -> None:
    now = int(time.time())
    header = {"alg": "HS256", "kid": "first", "typ": "JWT"}
    bad = {
        "audience": signed(claims(issuer, aud="https://management.azure.com")),
        "no audience": signed(claims(issuer, aud=None)),
        "issuer": signed(claims(issuer, iss="https://sts.windows.net/other/")),
        "no issuer": signed(claims(issuer, iss=None)),
        "expired": signed(claims(issuer, exp=now - 400)),
        "no end": signed(claims(issuer, exp=None)),
        "not yet": signed(claims(issuer, nbf=now + 400)),
        "foreign key": signed(claims(issuer), name="foreign"),
        "foreign key under a known name": signed(claims(issuer), name="foreign", header={"kid": "first"}),
        "no key id": handmade({"alg": "RS256"}, claims(issuer), b"x"),
        "other algorithm": signed(claims(issuer), algorithm="RS512"),
        "the public key as secret": handmade(header, claims(issuer), public_text("first")),
        "none": handmade({"alg": "none", "kid": "first"}, claims(issuer)),
        "no token": "a.b.c",
        "not even that": encoded(b"{}"),
    }
    for path in (*PATHS, GENERATE, "/api/hubs/chat/:send"):
        method = "GET" if path in PATHS else "POST"
        got = {what: (await http.request(method, path, headers=bearer(text))).status_code for what, text in bad.items()}
        assert {what: status for what, status in got.items() if status != 401} == {}, path


async def test_an_entra_token_is_no_client_token(http: httpx.AsyncClient, issuer: Issuer) -> None:
    assert not await negotiates(http, issuer.issue(AUDIENCE, "somebody"))


async def test_without_an_issuer_nobody_has_an_identity(issuer: Issuer) -> None:
    async with Emulator(0) as emulator, httpx.AsyncClient(base_url=emulator.url, trust_env=False) as http:
        headers = bearer(issuer.issue(AUDIENCE, "somebody"))
        assert (await http.get(PATHS[0], headers=headers)).status_code == 401
        assert (await http.post("/api/hubs/chat/:send", json={"target": "x"}, headers=headers)).status_code == 401


async def test_an_issuer_that_is_gone_is_a_refusal(issuer: Issuer) -> None:
    headers = bearer(issuer.issue(AUDIENCE, "somebody"))
    async with (
        Emulator(0, entra_issuer="https://127.0.0.1:1/x") as emulator,
        httpx.AsyncClient(base_url=emulator.url, trust_env=False) as http,
    ):
        assert (await http.get(PATHS[0], headers=headers)).status_code == 401
