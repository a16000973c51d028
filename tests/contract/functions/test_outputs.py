"""Output bindings of functions: what is sent, to which hub, in which order, and when a function fails for it."""

import json
from typing import Any

import pytest
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, TriggerData

from tests.contract.bridge.running import AUTH, Bridge, bridge
from tests.contract.functions.invoking import HTTP, TIMER, Code, call, describe, invoke, out, trigger
from tests.unit.upstream.fakes import context

HI = {"target": "newMessage", "arguments": ["canary"]}
JOIN = {"userId": "u", "groupName": "g", "action": "add"}
EMPTY = {"BRIDGE_OUTPUT__EMPTY_MEANS_ALL": "true"}


def code(*values: Any, name: str = "messages") -> Code:
    texts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in values]
    return Code(lambda invocation: FunctionResult({name: texts[0]}))


def sent(running: Bridge, hub: str = "chat") -> list[str]:
    begin = f"/api/hubs/{hub}"
    assert all(one.target.startswith(begin) for one in running.seen)
    return [f"{one.method} {one.target.removeprefix(begin).partition('?')[0]}" for one in running.seen]


@pytest.mark.parametrize(
    ("given", "requests"),
    [
        (HI, ["POST /:send"]),
        ([HI, JOIN], ["POST /:send", "PUT /users/u/groups/g"]),
        (json.dumps([JOIN, HI]), ["PUT /users/u/groups/g", "POST /:send"]),
        ([json.dumps(HI)], ["POST /:send"]),
        ({"Target": "t", "ARGUMENTS": [], "more": 1, "userId": "u", "groupName": "g"}, ["POST /users/u/:send"]),
        (HI | {"connectionId": "c", "userId": "u"}, ["POST /connections/c/:send"]),
        (JOIN | {"action": 1}, ["DELETE /users/u/groups/g"]),
        (JOIN | {"action": "REMOVEALL"}, ["DELETE /users/u/groups"]),
        (HI | {"endpoints": [{"name": "Default", "endpointType": "Primary", "online": False}]}, ["POST /:send"]),
        (HI | {"endpoints": ["default"]}, ["POST /:send"]),
        (None, []),
        ([], []),
        ("", []),
    ],
)
async def test_what_is_sent(given: Any, requests: list[str]) -> None:
    async with bridge() as running:
        await invoke(running.app, describe(HTTP, out()), call(), code(given))
        assert sent(running) == requests
        assert all(b'"canary"' in one.body for one in running.seen if one.target.startswith("/api/hubs/chat/:send"))


@pytest.mark.parametrize(
    ("started", "hub", "begun", "named"),
    [
        (HTTP, "{room}", call(route={"room": "Blue"}), {}),
        (TIMER, "%Hub%", None, {}),
        (trigger("where"), "b{where}", context(arguments=["lue"]), {"where": "lue"}),
    ],
)
async def test_the_hub_is_that_of_the_binding(started: Any, hub: str, begun: Any, named: dict[str, Any]) -> None:
    async with bridge() as running:
        where: TriggerData = begun or call()
        function = describe(started, out("$return", hubName=hub))
        await invoke(running.app, function, where, code(HI, name="$RETURN"), named=named, Hub="BLUE")
        assert sent(running, "blue") == ["POST /:send"]


@pytest.mark.parametrize(
    "given",
    [
        *(5, True, [5], b"{", b'{"a":', "text", {"neither": 1}, HI | {"arguments": 5}, {"target": ""}, [HI, None]),
        *(HI | {"endpoints": ["absent"]}, HI | {"endpoints": []}, HI | {"userId": ""}, JOIN | {"action": 7}),
        *(b'{"target": "a", "target": "b"}', HI | {"connectionId": "", "userId": "u"}),
    ],
)
async def test_what_is_no_item_is_a_failure_and_nothing_is_sent(given: Any) -> None:
    async with bridge() as running:
        with pytest.raises(
            FunctionFailed, match=r"^Function 'negotiate', binding 'messages': what it holds is"
        ) as caught:
            await invoke(running.app, describe(HTTP, out()), call(), code(given))
        assert running.seen == []
        assert "canary" not in str(caught.value)


async def test_who_means_everybody_is_told_the_setting() -> None:
    async with bridge() as running:
        for given, told in ((HI | {"userId": ""}, True), (HI | {"arguments": 5}, False)):
            with pytest.raises(FunctionFailed) as caught:
                await invoke(running.app, describe(HTTP, out()), call(), code(given))
            assert ("set BRIDGE_OUTPUT__EMPTY_MEANS_ALL=true." in str(caught.value)) is told


async def test_the_first_item_that_fails_ends_them() -> None:
    async with bridge() as running:
        running.service.honest["/groups/"] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        failure = r"^Function 'negotiate', binding 'messages': item 1 was not delivered: rejected \("
        with pytest.raises(FunctionFailed, match=failure):
            await invoke(running.app, describe(HTTP, out()), call(), code([HI, JOIN, HI]))
        assert sent(running) == ["POST /:send", "PUT /users/u/groups/g"]


async def test_a_hub_that_there_cannot_be() -> None:
    async with bridge() as running:
        for route, why in (({"room": "1"}, "its hub is not one"), ({}, "its hub is not known")):
            with pytest.raises(FunctionFailed, match=why):
                await invoke(running.app, describe(HTTP, out(hubName="{room}")), call(route=route), code(HI))
        assert running.seen == []


@pytest.mark.parametrize(
    ("given", "requests"),
    [
        (HI | {"userId": ""}, ["POST /:send"]),
        (HI | {"userId": "", "groupName": "", "connectionId": ""}, ["POST /:send"]),
        (HI | {"connectionId": "", "userId": "u", "groupName": "g"}, ["POST /users/u/:send"]),
        (JOIN | {"connectionId": ""}, ["PUT /users/u/groups/g"]),
    ],
)
async def test_an_empty_destination_may_mean_everybody(given: Any, requests: list[str]) -> None:
    async with bridge(**EMPTY) as running:
        await invoke(running.app, describe(HTTP, out()), call(), code(given))
        assert sent(running) == requests


@pytest.mark.parametrize("given", [JOIN | {"groupName": ""}, JOIN | {"userId": ""}, {"action": "close", "userId": ""}])
async def test_only_messages_have_everybody_for_an_empty_destination(given: Any) -> None:
    async with bridge(**EMPTY) as running:
        with pytest.raises(FunctionFailed):
            await invoke(running.app, describe(HTTP, out()), call(), code(given))
        assert running.seen == []


@pytest.mark.parametrize("settings", [EMPTY, {}])
async def test_callers_over_http_may_send_so_too(settings: dict[str, str]) -> None:
    async with bridge(**settings) as running:
        for path, body in (
            ("send", HI | {"userId": ""}),
            ("send", [HI | {"groupName": ""}]),
            ("outputs", [HI | {"connectionId": ""}]),
        ):
            answer = await running.http.post(f"/hubs/chat/{path}", json=body, headers=AUTH)
            assert answer.status_code == (202 if settings else 422)
        assert sent(running) == (["POST /:send"] * 3 if settings else [])
