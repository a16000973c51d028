"""What a start says of bindings that could never work, or that believe what it must not."""

import json
from typing import Any

import pytest

from tests.contract.bridge.running import build
from tests.contract.functions.invoking import HTTP, TIMER, describe, info, is_refused, out, trigger
from tests.unit.web.issuing import AUDIENCE, ISSUER

NOWHERE = "http://127.0.0.1:1"
JWT = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": ISSUER, "audience": AUDIENCE}])}
WRITTEN = {"BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"}
PLATFORM = {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"}
UNVERIFIED = {"BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true"}
OTHER = {"BRIDGE_HUBS__CHAT__CONNECTION": "Other", "Other": f"Endpoint={NOWHERE};AccessKey={'k' * 32};Version=1.0;"}
USER = "negotiate.info.userId (negotiate/function.json): "
ID_TOKEN = "negotiate.info.idToken (negotiate/function.json): "


SET_PLATFORM = "set BRIDGE_NEGOTIATE__PLATFORM_IDENTITY=true where such a platform signs users in"
SET_WRITTEN = "reads what clients can write: set BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT=true to allow it."
OWN = "BRIDGE_HUBS__{}__NEGOTIATE__{}"
SIGNED_IN = info(userId="{headers.x-ms-client-principal-id}")
CONNECTION = "negotiate.messages.connectionStringSetting (negotiate/function.json): "
HUB = "negotiate.messages.hubName (negotiate/function.json): "


def own(hub: str, name: str) -> dict[str, str]:
    """A hub with rules of its own, which turn one off that holds for all hubs."""
    return {OWN.format(hub, name): "false"}


@pytest.mark.parametrize(
    ("settings", "bindings", "said"),
    [
        ({}, [HTTP, SIGNED_IN], USER + "{headers.x-ms-client-principal-id} is a header that App Service"),
        ({}, [HTTP, SIGNED_IN], SET_PLATFORM),
        (WRITTEN, [HTTP, info(userId="{Headers.X-MS-Client-Principal-Name}")], SET_PLATFORM),
        (WRITTEN, [HTTP, out(hubName="{headers.x-ms-token-aad-access-token}")], SET_PLATFORM),
        (PLATFORM | own("CHAT", "PLATFORM_IDENTITY"), [HTTP, SIGNED_IN], OWN.format("CHAT", "PLATFORM_IDENTITY=true")),
        (
            PLATFORM | own("B", "PLATFORM_IDENTITY"),
            [HTTP, SIGNED_IN, out(hubName="b")],
            OWN.format("B", "PLATFORM_IDENTITY=true"),
        ),
        (
            PLATFORM | own("B", "PLATFORM_IDENTITY"),
            [HTTP, SIGNED_IN, out(hubName="{room}")],
            OWN.format("B", "PLATFORM_IDENTITY=true"),
        ),
        ({}, [HTTP, info(userId="{query.user}")], USER + "{query.user} " + SET_WRITTEN),
        (PLATFORM, [HTTP, info(userId="{headers.x-user}")], USER + "{headers.x-user} " + SET_WRITTEN),
        (PLATFORM, [HTTP, info(userId="{room}")], SET_WRITTEN),
        (PLATFORM, [HTTP, info(userId="{user.name}")], SET_WRITTEN),
        (PLATFORM, [HTTP, info("signalRNegotiation", userId="{headers.authorization}")], SET_WRITTEN),
        ({}, [HTTP, info(hubName="{room}")], SET_WRITTEN),
        ({}, [trigger("who"), info(userId="{who}")], SET_WRITTEN),
        (
            WRITTEN | own("CHAT", "TRUST_CLIENT_INPUT"),
            [HTTP, info(userId="{query.u}")],
            OWN.format("CHAT", "TRUST_CLIENT_INPUT=true"),
        ),
        (
            WRITTEN,
            [HTTP, info(userId="{claims.sub}")],
            USER + "{claims.sub} reads a verified claim, and no claim is verified: set BRIDGE_NEGOTIATE__JWT",
        ),
        (
            {},
            [HTTP, info(idToken="{headers.authorization}")],
            ID_TOKEN + "the id token is verified by the issuers in BRIDGE_NEGOTIATE__JWT: set them, or "
            "BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED=true.",
        ),
        (
            UNVERIFIED,
            [HTTP, info(idToken="{headers.authorization}")],
            ID_TOKEN + "the id token is unverified, and clients can write it: set "
            "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT=true to allow it.",
        ),
        (JWT, [HTTP, info(hubName="{claims.tenant}")], "{claims.tenant} names a user, and no hub"),
        (JWT, [HTTP, out(hubName="{claims.tenant}")], "{claims.tenant} names a user, and no hub"),
        (UNVERIFIED, [HTTP, info(idToken="{headers.x-ms-token-aad-id-token}")], SET_PLATFORM),
        ({}, [HTTP, info(claimTypeList=["role", "asrs.s.uid"])], "a claim's type is empty, or one that the service"),
        (
            {},
            [TIMER, out(hubName="{room}")],
            HUB + "{room} is nothing that this trigger brings: write %Name% with an app setting",
        ),
        (WRITTEN, [TIMER, info(userId="{headers.x}")], "{headers.x} is nothing that this trigger brings"),
        (PLATFORM, [TIMER, info(userId="{claims.sub}")], "{claims.sub} is nothing that this trigger brings"),
        (
            {},
            [trigger("user", "text"), out(hubName="{room}")],
            HUB + "{room} is none of the trigger's arguments: write one of its parameterNames (here: text, user).",
        ),
        ({}, [trigger(), out(hubName="{message}")], "{message} is none of the trigger's arguments"),
        ({}, [HTTP, out(hubName="a{b")], HUB + "a brace is not closed, or not opened: an expression is {name}."),
        ({}, [HTTP, out(hubName="{a b}")], "{a b} is no expression of the host: write {headers.x}, {query.x}"),
        ({}, [HTTP, info(userId="{rand-guid:Q}")], "{rand-guid:Q} has a format that is not known here: write N, D"),
        ({}, [HTTP, info(userId="{datetime:gg}")], "{datetime:gg} has a format that is not known here: write such"),
        ({}, [HTTP, info(userId="%Absent%")], USER + "%Absent%"),
        ({}, [HTTP, info(hubName="")], "negotiate.info.hubName (negotiate/function.json): the binding names no hub"),
        ({}, [HTTP, out(hubName="1")], HUB + "A hub name is 1 to 128 letters"),
        (
            {},
            [HTTP, out(connectionStringSetting="Other")],
            CONNECTION + "the settings know another connection: set BRIDGE_HUBS__CHAT__CONNECTION=Other.",
        ),
        (
            OTHER,
            [HTTP, info(connectionStringSetting="Other"), out()],
            CONNECTION + "it is 'AzureSignalRConnectionString', and 'Other' in 'negotiate': a hub has one connection",
        ),
        (
            {},
            [HTTP, out(connectionStringSetting="Endpoint=https://x;AccessKey=canary")],
            CONNECTION + "this is the name of a setting, and no connection string: write the name.",
        ),
    ],
)
def test_what_a_start_refuses(settings: dict[str, str], bindings: list[dict[str, Any]], said: str) -> None:
    refusal = is_refused(build(NOWHERE, **settings), describe(*bindings))
    assert refusal is not None
    assert said in refusal
    assert refusal.startswith("negotiate.")
    assert "\n" not in refusal
    assert "canary" not in refusal


@pytest.mark.parametrize(
    ("settings", "bindings"),
    [
        (
            PLATFORM,
            [HTTP, SIGNED_IN | {"idToken": "{headers.x-ms-token-aad-id-token}"}],
        ),
        (WRITTEN, [HTTP, info(userId="{room}-{query.a}-{b.c}-{headers.x}")]),
        (JWT, [HTTP, info(userId="{claims.sub}", idToken="{headers.authorization}")]),
        ({}, [HTTP, out(hubName="{room}"), {"type": "http", "direction": "out", "name": "$return"}]),
        ({}, [trigger("Room"), out(hubName="{room.Name}")]),
        ({}, [trigger(), info("signalREndpoints")]),
        ({}, [TIMER, out(hubName="%Hub%", connectionStringSetting="azuresignalrconnectionstring")]),
        (OTHER, [trigger() | {"connectionStringSetting": "Other"}, out(connectionStringSetting="OTHER")]),
        (OTHER, [HTTP, out()]),
        ({}, [HTTP, {"type": "queue", "direction": "out", "name": "q", "queueName": "{absent"}]),
    ],
)
def test_what_a_start_takes(settings: dict[str, str], bindings: list[dict[str, Any]]) -> None:
    assert is_refused(build(NOWHERE, **settings), describe(*bindings), Hub="chat") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hubName": ""}, "hubName (negotiate/function.json): A hub name is 1 to 128 letters"),
        ({"hubName": "*"}, "hubName (negotiate/function.json): A hub name is 1 to 128 letters"),
        ({"hubName": "{hub}"}, "hubName (negotiate/function.json): A hub name is 1 to 128 letters"),
        ({"category": "*"}, "category (negotiate/function.json): it is not one: write connections or messages."),
        ({"category": "connections"}, "event (negotiate/function.json): connections have no such event"),
        ({"event": ""}, "event (negotiate/function.json): it is the name of one method that clients call: write it."),
        ({"event": "*"}, "event (negotiate/function.json): it is the name of one method that clients call: write it."),
        ({"parameterNames": ["a", "A"]}, "parameterNames (negotiate/function.json): the names differ in any case"),
        ({"parameterNames": [" "]}, "parameterNames (negotiate/function.json): the names differ in any case"),
    ],
)
def test_triggers_that_name_no_event(given: dict[str, Any], said: str) -> None:
    assert "negotiate.invocation." + said in (is_refused(build(NOWHERE), describe(trigger("a") | given)) or "")


def test_an_event_has_one_function() -> None:
    first, second = describe(trigger(), name="first"), describe(trigger() | {"event": "SEND"}, name="second")
    other = describe(trigger() | {"category": "Connections", "event": "Connected"}, name="other")
    assert is_refused(build(NOWHERE), first, other) is None
    refusal = is_refused(build(NOWHERE), first, other, second) or ""
    assert refusal.startswith("second.invocation.event (second/function.json): 'first' answers the same event")


def test_a_hub_has_one_connection_in_all_functions() -> None:
    first = describe(HTTP, info(connectionStringSetting="Other"), name="first")
    second = describe(TIMER, out(), name="second")
    assert "second.messages.connectionStringSetting" in (is_refused(build(NOWHERE, **OTHER), first, second) or "")


def test_a_function_that_does_not_run_here_is_not_judged() -> None:
    queue = {"type": "queueTrigger", "direction": "in", "name": "q"}
    assert is_refused(build(NOWHERE), describe(queue, out(hubName="%Absent%", connectionStringSetting="Other"))) is None
