"""Who may do what, for every route of the OpenAPI document: a route without a rule fails here, and is shut."""

import json
import re
from typing import Any

import httpx
import pytest
from signalr_bridge.web.callers import Right
from signalr_bridge.web.table import Audience

from tests.contract.bridge.running import Bridge, bridge, build

APP = build("http://localhost:1", BRIDGE_CONSOLE="true")
DOCUMENT = APP.openapi()
ROUTES = {
    operation["operationId"]: (method.upper(), path)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if operation["tags"] != ["upstream"]  # the service's: it has no rights, but proofs
}
RIGHTS = {route.operation: route.rights for route in APP.front.table.routes if route.rights}
FOR_ANYBODY = {"healthLive", "healthLiveHead", "healthReady", "healthReadyHead"}
JOIN = {"action": "add", "connectionId": "c", "groupName": "g"}
BODIES: dict[str, Any] = {
    "negotiate": {"userId": "ann"},
    "negotiateDefaultHub": {"userId": "ann"},
    "negotiateEndpoints": {"userId": "ann"},
    "changeGroups": JOIN,
    "sendOutputs": [],
}
ITEMS: dict[Right, Any] = {
    Right.SEND: {"target": "t"},
    Right.GROUPS: JOIN,
    Right.CONNECTIONS: {"action": "close", "userId": "u"},
}


def test_every_route_has_a_right_or_is_for_anybody() -> None:
    assert set(ROUTES) - FOR_ANYBODY == set(RIGHTS)
    documents = {"/openapi.json", "/docs", "/docs/oauth2-redirect"}
    page = {"/", "/page/{name}", "/static/{name}"}
    for route in APP.front.table.routes:
        is_public = route.operation in FOR_ANYBODY or route.template in documents | page
        assert (route.audience is Audience.ANYBODY) is is_public, route.template


def test_rights_are_those_of_the_contract() -> None:
    for name, (method, path) in ROUTES.items():
        if name in FOR_ANYBODY or name == "sendOutputs":
            continue
        (right,) = RIGHTS[name]
        if method in {"GET", "HEAD"}:
            assert right is Right.READ, name
        elif "negotiate" in path:
            assert right is Right.NEGOTIATE, name
        elif path.endswith(("/send", "/invoke")):
            assert right is Right.SEND, name
        elif "/groups" in path and not path.endswith("{groupName}/connections"):
            assert right is Right.GROUPS, name
        else:
            assert (method, right) == ("DELETE", Right.CONNECTIONS), name


def keys() -> str:
    limited = [{"key": key_of(right), "name": right, "hubs": ["Chat"], "rights": [right]} for right in Right]
    return json.dumps([*limited, {"key": "the-key-for-the-hub-chat", "hubs": ["chat"]}, "the-key-for-everything"])


def key_of(right: Right) -> str:
    return f"the-key-with-the-right-{right}"


async def ask(running: Bridge, name: str, hub: str, key: str, body: Any = None) -> httpx.Response:
    method, path = ROUTES[name]
    url = re.sub(r"\{\w+\}", "x", path.replace("{hub}", hub))
    given = body if body is not None else BODIES.get(name, {"target": "t"})
    content = json.dumps(given).encode() if method == "POST" else None
    headers = {"X-API-Key": key} | ({"Content-Type": "application/json"} if content else {})
    return await running.http.request(method, url, content=content, headers=headers)


CONCERN_A_HUB = sorted(set(RIGHTS) - {"watchEvents", "watchEventsHead", "listHubs", "listHubsHead"})


@pytest.mark.parametrize("right", Right)
async def test_a_key_opens_its_routes_of_its_hub_and_no_other(right: Right) -> None:
    settings = {"BRIDGE_CALLERS__KEYS": keys(), "BRIDGE_CONSOLE": "true", "BRIDGE_DEFAULT_HUB": "news"}
    async with bridge(**settings) as running:
        for name in CONCERN_A_HUB:
            for hub in ("chat", "CHAT", "news"):
                answer = await ask(running, name, hub, key_of(right))
                own = hub.lower() == "chat" and name != "negotiateDefaultHub"
                if right in RIGHTS[name] and own:
                    assert answer.status_code not in {401, 403}, (name, hub)
                else:
                    assert answer.status_code == 403, (name, hub)
                    if answer.request.method != "HEAD":
                        assert answer.json()["code"] == "forbidden"
        # What concerns all hubs is for nobody who has but one.
        for key in (key_of(right), "the-key-for-the-hub-chat"):
            assert (await ask(running, "watchEvents", "", key)).status_code == 403
    assert all("/hubs/chat" in one.target for one in running.seen)


async def test_a_key_without_rights_or_hubs_has_all() -> None:
    async with bridge(BRIDGE_CALLERS__KEYS=keys(), BRIDGE_DEFAULT_HUB="chat") as running:
        for name in CONCERN_A_HUB:
            for key, hubs in (("the-key-for-everything", ("chat", "news")), ("the-key-for-the-hub-chat", ("chat",))):
                for hub in hubs:
                    assert (await ask(running, name, hub, key)).status_code not in {401, 403}, (name, hub)


@pytest.mark.parametrize("right", ITEMS)
async def test_outputs_need_the_right_of_every_item(right: Right) -> None:
    async with bridge(BRIDGE_CALLERS__KEYS=keys()) as running:
        assert (await ask(running, "sendOutputs", "chat", key_of(right), [ITEMS[right]] * 2)).status_code == 202
        seen = len(running.seen)
        for other in ITEMS.keys() - {right}:
            answer = await ask(running, "sendOutputs", "chat", key_of(right), [ITEMS[right], ITEMS[other]])
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert len(running.seen) == seen, "nothing is sent"


WRONG: list[dict[str, str]] = [
    {},
    {"X-API-Key": "x" * 20},
    {"Authorization": "Bearer x"},
    {"Authorization": "Basic eDp5"},
]


@pytest.mark.parametrize("name", sorted(RIGHTS))
async def test_without_a_credential_nothing_is_said_about_hubs_or_bodies(name: str) -> None:
    async with bridge(BRIDGE_CONSOLE="true", BRIDGE_HUBS_ONLY="true", BRIDGE_NEGOTIATE__HUBS="chat") as running:
        for hub in ("chat", "unknown", "1", ""):
            for headers in (
                {},
                {"X-API-Key": "x" * 20},
                {"Authorization": "Bearer x"},
                {"Authorization": "Basic eDp5"},
            ):
                method, path = ROUTES[name]
                url = re.sub(r"\{\w+\}", "x", path.replace("{hub}", hub))
                content = b"not json" if method == "POST" else None
                answer = await running.http.request(method, url, content=content, headers=headers)
                assert (answer.status_code, answer.headers["x-problem-code"]) == (401, "unauthenticated"), (
                    hub,
                    headers,
                )
                assert answer.headers["www-authenticate"]
        assert running.seen == []


async def test_hubs_only() -> None:
    settings = {"BRIDGE_HUBS_ONLY": "true", "BRIDGE_HUBS__Own__STRATEGY": "weighted", "BRIDGE_NEGOTIATE__HUBS": "one"}
    async with bridge(BRIDGE_CALLERS__KEYS=keys(), **settings) as running:
        for hub in ("own", "ONE", "chat"):
            assert (await ask(running, "send", hub, "the-key-for-everything")).status_code == 202, hub
        for name in ("send", "negotiate"):
            answer = await ask(running, name, "unknown", "the-key-for-everything")
            assert (answer.status_code, answer.json()["code"]) == (404, "hub-not-found")
        assert (await ask(running, "send", "unknown", key_of(Right.SEND))).status_code == 403, (
            "not one's own comes first"
        )
