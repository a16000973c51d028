"""Every endpoint for a caller's client, and the callers' blank bodies."""

from typing import Any

import jwt
import pytest
from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.errors import BridgeError

from tests.contract.bridge.running import AUTH, SERVICE, bridge, build, client

PATH = "/hubs/chat/negotiate/endpoints"
SERVICES = ("http://127.0.0.1:1", "http://localhost:2", "http://127.0.0.1:3")


async def test_every_endpoint_has_a_token_of_its_own() -> None:
    async with client(build(*SERVICES), **AUTH) as http:
        answer = await http.post("/hubs/Chat/negotiate/endpoints", json={"userId": "ann", "lifetimeSeconds": 60})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = answer.json()["endpoints"]
    assert [(one["name"], one["endpointType"], one["endpoint"], one["online"]) for one in found] == [
        ("default", "Primary", SERVICES[0], True),
        ("b", "Primary", SERVICES[1], True),
        ("c", "Secondary", SERVICES[2], True),
    ]
    for one, host in zip(found, ("127.0.0.1", "localhost", "127.0.0.1"), strict=True):
        info = one["connectionInfo"]
        assert info["url"] == f"{one['endpoint']}/client/?hub=chat"
        audience = f"http://{host}/client/?hub=chat"
        claims = jwt.decode(info["accessToken"], SERVICE, algorithms=["HS256"], audience=audience)
        assert (claims["asrs.s.uid"], claims["exp"] - claims["iat"]) == ("ann", 60)


@pytest.mark.parametrize("body", [b"", b"{}", b" "])
async def test_a_blank_body_is_a_token_for_nobody(body: bytes) -> None:
    async with client(build(*SERVICES), **AUTH) as http:
        (one, *_) = (await http.post(PATH, content=body)).json()["endpoints"]
    claims = jwt.decode(one["connectionInfo"]["accessToken"], options={"verify_signature": False})
    assert "asrs.s.uid" not in claims


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"endpoint": "b"}, 422, "invalid-item"),
        ({"userId": ""}, 422, "invalid-name"),
        ({"claims": {"nameid": "x"}}, 422, "reserved-claim"),
        ({"claims": {"x": "y" * 4000}}, 400, "token-too-long"),
        ([], 422, "invalid-item"),
    ],
)
async def test_a_wrong_request(body: Any, status: int, code: str) -> None:
    async with client(build(*SERVICES), **AUTH) as http:
        answer = await http.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_endpoint_without_a_token_is_there_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def fail_at_first(self: AccessKey, claims: dict[str, Any]) -> str:
        asked.append(self)
        if len(asked) == 1:
            raise BridgeError("canary")
        return "token"

    monkeypatch.setattr(AccessKey, "client_token", fail_at_first)
    async with client(build(*SERVICES), **AUTH) as http:
        answer = await http.post(PATH)
    assert [one["connectionInfo"] and one["connectionInfo"]["accessToken"] for one in answer.json()["endpoints"]] == [
        None,
        "token",
        "token",
    ]
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("settings", "body", "status"),
    [
        # A blank body is a client's call, whoever sends it: the hub's rules decide, and a key opens nothing.
        ({}, b"", 401),
        ({}, b"{}", 401),
        ({"BRIDGE_NEGOTIATE__ANONYMOUS": "true"}, b"", 403),
        ({"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "chat"}, b"", 200),
        # A caller that wants a token for nobody in particular says so.
        ({}, b'{"userId":null}', 200),
    ],
)
async def test_a_callers_blank_body(settings: dict[str, str], body: bytes, status: int) -> None:
    async with bridge(**settings) as running:
        headers = AUTH | {"Content-Type": "application/json"}
        answer = await running.http.post("/hubs/chat/negotiate", content=body, headers=headers)
        assert answer.status_code == status
