"""The REST operations over real connections: spec 1.2 to 1.6, 2.4, 2.5 and 7.3."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from signalr_bridge.emulator import Emulator

from tests.contract.emulator.parties import OTHER_KEY, Peer, bearer, join, token, wait_until_gone

HUB = "/api/hubs/chat"
CODE = "x-ms-error-code"


async def send(rest: httpx.AsyncClient, path: str, argument: str, query: str = "api-version=2022-06-01") -> None:
    response = await rest.post(f"{HUB}{path}?{query}", json={"Target": "t", "Arguments": [argument]})
    assert (response.status_code, response.content) == (202, b"")


async def heard(peer: Peer) -> str:
    message = await peer.receive()
    assert set(message) == {"type", "target", "arguments"}
    argument: str = message["arguments"][0]
    return argument


# --- sends


async def test_a_message_reaches_whom_it_is_for(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    user = {"asrs.s.uid": "a/b ü"}
    async with join(emulator, **user) as one, join(emulator) as other, join(emulator, "elsewhere") as stranger:
        await rest.put(f"{HUB}/groups/x%2Fy/connections/{other.id}")
        for path, argument in [
            ("/:send", "all"),
            (f"/users/{quote('a/b ü', safe='')}/:send", "user"),
            ("/groups/x%2Fy/:send", "group"),
            (f"/connections/{other.id}/:send", "connection"),
            ("", "old all"),
            (f"/users/{quote('a/b ü', safe='')}", "old user"),
        ]:
            await send(rest, path, argument)
        await rest.post("/api/v1/hubs/CHAT", json={"target": "t", "arguments": ["v1"]})
        await rest.post("/api/hubs/elsewhere/:send", json={"target": "t", "arguments": ["stranger"]})
        assert [await heard(one) for _ in range(5)] == ["all", "user", "old all", "old user", "v1"]
        assert [await heard(other) for _ in range(5)] == ["all", "group", "connection", "old all", "v1"]
        assert await heard(stranger) == "stranger"


async def test_excluded_connections_hear_nothing(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as one, join(emulator) as two, join(emulator) as three:
        await send(rest, "/:send", "secret", f"excluded={one.id}&api-version=x&Excluded={two.id}")
        await send(rest, "/:send", "open")
        assert await heard(one) == await heard(two) == "open"
        assert await heard(three) == "secret"


@pytest.mark.parametrize("path", ["/:send", "/users/u/:send", "/groups/g/:send", "/connections/c/:send"])
async def test_a_message_to_nobody_is_accepted(rest: httpx.AsyncClient, path: str) -> None:
    await send(rest, path, "hello?")


async def test_a_chunked_body_in_the_sdks_spelling(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"Target":"Hello","Argu'
        yield b'ments":[{"b":1,"A":"2020-01-01T00:00:00.100Z"},[],null]}'

    async with join(emulator) as peer:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        assert (await rest.post(f"{HUB}/:send", content=pieces(), headers=headers)).status_code == 202
        raw = await peer.receive_raw()
        wanted = '{"type":1,"target":"Hello","arguments":[{"b":1,"A":"2020-01-01T00:00:00.100Z"},[],null]}'
        assert raw == wanted + "\x1e"


async def test_the_application_is_part_of_the_hubs_name(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator, "app_chat") as peer:
        await send(rest, "/:send", "hi", "application=App&api-version=2022-06-01")
        assert await heard(peer) == "hi"


# --- refusals


@pytest.mark.parametrize("text", ["x", token(OTHER_KEY), token(lifetime=-3600)])
@pytest.mark.parametrize(("method", "path"), [("POST", "/:send"), ("HEAD", "/users/u"), ("POST", "/hub$/:send")])
async def test_without_a_good_token_nothing_happens(rest: httpx.AsyncClient, text: str, method: str, path: str) -> None:
    response = await rest.request(method, HUB + path, headers=bearer(text))
    if path == "/hub$/:send":
        assert response.status_code == 404
        return
    assert (response.status_code, response.content) == (401, b"")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_rest_token_in_the_query_is_refused(rest: httpx.AsyncClient) -> None:
    response = await rest.head(f"{HUB}/users/u?access_token={token()}", headers={"Authorization": ""})
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/api/hubs/1chat/:send", "A hub name is"),
        ("/api/hubs/chat/groups/%20/:send", "The group name is empty"),
        ("/api/hubs/chat/groups/" + "g" * 1025 + "/:send", "The group name is longer"),
        ("/api/hubs/chat/groups/%ff/:send", "percent-encoded UTF-8"),
        ("/api/hubs/chat/:send?application=1", "Invalid value of 'application'"),
        ("/api/hubs/chat/:send?excluded=%ff", "percent-encoded UTF-8"),
    ],
)
async def test_bad_names_are_refused(rest: httpx.AsyncClient, path: str, detail: str) -> None:
    response = await rest.post(path, json={"target": "t"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json; charset=utf-8"
    ((message,),) = response.json()["errors"].values()
    assert detail in message


async def test_bad_ttls_are_refused(rest: httpx.AsyncClient) -> None:
    for ttl in ("x", "-1", "1.5", str(2**31)):
        assert (await rest.put(f"{HUB}/users/u/groups/g?ttl={ttl}")).status_code == 400


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"", "application/json", 400),
        (b"", None, 400),
        (b"null", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"target":"t"}', None, 415),
        (b'{"target":"t"}', "text/plain", 415),
        (b'{"target":"t"}', "application/json-patch", 415),
        (b'{"target":"t"}', "Application/JSON;charset=utf-8", 202),
        (b'{"target":"' + b"t" * 1024 * 1024 + b'"}', "application/json", 413),
    ],
)
async def test_bodies(rest: httpx.AsyncClient, content: bytes, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    assert (await rest.post(f"{HUB}/:send", content=content, headers=headers)).status_code == status


async def test_paths_and_methods_that_are_not_there(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/api/hubs/chat/nonsense/x")).status_code == 404
    response = await rest.patch(f"{HUB}/users/u")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert CODE not in (await rest.get("/nowhere")).headers


# --- who is there


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/connections/c", "Warning.Connection.NotExisted"),
        ("/users/u", "Warning.User.NotExisted"),
        ("/groups/g", "Warning.Group.NotExisted"),
        ("/users/u/groups/g", "Info.User.NotInGroup"),
        ("/groups/g/users/u", "Info.User.NotInGroup"),
    ],
)
async def test_who_is_not_there_is_404_with_a_code(rest: httpx.AsyncClient, path: str, code: str) -> None:
    for prefix in (HUB, "/api/v1/hubs/chat"):
        for method in ("GET", "HEAD"):
            response = await rest.request(method, prefix + path)
            assert (response.status_code, response.headers[CODE]) == (404, code)
            assert bool(response.content) is (method == "GET")


async def test_who_is_there_is_200(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator, **{"asrs.s.uid": "u"}) as peer:
        await rest.put(f"{HUB}/users/u/groups/g")
        for path in (f"/connections/{peer.id}", "/users/u", "/groups/g", "/users/u/groups/g", "/groups/g/users/u"):
            for method in ("GET", "HEAD"):
                assert (await rest.request(method, HUB + path)).status_code == 200


# --- groups


async def test_connections_in_groups(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as peer:
        for path in (f"/groups/g/connections/{peer.id}", f"/connections/{peer.id}/groups/g"):
            assert (await rest.put(HUB + path)).status_code == 200
            assert (await rest.head(f"{HUB}/groups/g")).status_code == 200
            assert (await rest.delete(HUB + path)).status_code == 200
            assert (await rest.head(f"{HUB}/groups/g")).status_code == 404
            assert (await rest.delete(HUB + path)).status_code == 200, "not a member"
        await rest.put(f"{HUB}/groups/g/connections/{peer.id}")
        for _ in range(2):
            assert (await rest.delete(f"{HUB}/connections/{peer.id}/groups")).status_code == 200
        assert (await rest.head(f"{HUB}/groups/g")).status_code == 404


async def test_an_unknown_connection_cannot_join(rest: httpx.AsyncClient) -> None:
    response = await rest.put(f"{HUB}/groups/g/connections/nobody")
    assert (response.status_code, response.headers[CODE]) == (404, "Error.Connection.NotExisted")


async def test_users_in_groups(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    assert (await rest.put(f"{HUB}/users/u/groups/g?ttl=60")).status_code == 200
    async with join(emulator, **{"asrs.s.uid": "u"}) as peer:
        await send(rest, "/groups/g/:send", "joined on connecting")
        assert await heard(peer) == "joined on connecting"
        assert (await rest.delete(f"{HUB}/groups/g/users/u")).status_code == 204
        assert (await rest.head(f"{HUB}/groups/g")).status_code == 404
        assert (await rest.put(f"{HUB}/users/u/groups/now?ttl=0")).status_code == 200
        assert (await rest.head(f"{HUB}/groups/now")).status_code == 200
        assert (await rest.head(f"{HUB}/users/u/groups/now")).status_code == 404
        for _ in range(2):
            assert (await rest.delete(f"{HUB}/users/u/groups")).status_code == 204
        assert (await rest.head(f"{HUB}/groups/now")).status_code == 404


# --- closing


async def test_closing_a_connection(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as peer:
        assert (await rest.delete(f"{HUB}/connections/{peer.id}?reason=b%20ye")).status_code == 200
        assert await peer.receive_raw() == '{"type":7,"error":"b ye","allowReconnect":true}\x1e'
        assert await peer.closed() == 1000
    response = await wait_until_gone(rest, "DELETE", f"{HUB}/connections/{peer.id}")
    assert response.headers[CODE] == "Warning.Connection.NotExisted"


@pytest.mark.parametrize("path", ["", "/users/u", "/groups/g"])
async def test_closing_many_but_the_excluded(emulator: Emulator, rest: httpx.AsyncClient, path: str) -> None:
    claims = {"asrs.s.uid": "u"}
    async with join(emulator, **claims) as one, join(emulator, **claims) as kept:
        await rest.put(f"{HUB}/users/u/groups/g")
        response = await rest.post(f"{HUB}{path}/:closeConnections?excluded={kept.id}")
        assert (response.status_code, response.content) == (204, b"")
        assert await one.receive_raw() == '{"type":7,"allowReconnect":true}\x1e'
        assert await one.closed() == 1000
        await send(rest, "/:send", "still here")
        assert await heard(kept) == "still here"


# --- health and browsers


@pytest.mark.parametrize("path", ["/api/health", "/api/v1/health"])
async def test_health_needs_no_token(rest: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = await rest.request(method, path + "?api-version=2024-12-01", headers={"Authorization": ""})
        assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("path", ["/client/negotiate?hub=chat", HUB + "/:send"])
async def test_a_preflight_needs_no_token(rest: httpx.AsyncClient, path: str) -> None:
    headers = {
        "Authorization": "",
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-requested-with,x-signalr-user-agent",
    }
    response = await rest.options(path, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert response.headers["access-control-allow-credentials"] == "true"
    allowed = response.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("authorization", "x-requested-with", "x-signalr-user-agent"))
    assert "POST" in response.headers["access-control-allow-methods"]


async def test_every_answer_names_the_origin(rest: httpx.AsyncClient) -> None:
    origin = "http://localhost:3000"
    for token_header in ({}, {"Authorization": ""}):
        response = await rest.post("/client/negotiate?hub=chat", headers={"Origin": origin} | token_header)
        assert response.headers["access-control-allow-origin"] == origin
        assert response.headers["access-control-allow-credentials"] == "true"
