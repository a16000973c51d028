"""Input bindings of functions: where a client connects, as whom, and with which claims."""

import json
from base64 import b64encode
from typing import Any

import jwt
import pytest
from signalr_bridge.errors import InvalidName, Unauthenticated
from signalr_bridge.functions.invocation import FunctionFailed, HttpCall
from signalr_bridge.web.callers import CHALLENGE
from signalr_bridge.web.document import BridgeApp

from tests.contract.bridge.running import SERVICE, build
from tests.contract.functions.invoking import HTTP, call, describe, info, invoke, out, trigger
from tests.unit.upstream.fakes import context
from tests.unit.web.issuing import AUDIENCE, ISSUER, said, signed
from tests.unit.web.test_signed_token import issuers

NOWHERE = "http://127.0.0.1:1"
PLATFORM = {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"}
WRITTEN = {"BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"}
JWT = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": ISSUER, "audience": AUDIENCE}])}
UNVERIFIED = {"BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true"}
GOOD = signed(said(roles=["a", "b"], oid="o-1"))
FORGED = jwt.encode({"sub": "eve", "roles": ["admin"]}, "anything" * 8, "HS256")


def principal(**members: Any) -> list[str]:
    return [b64encode(json.dumps(members).encode()).decode()]


# As Microsoft's page "Accessing user information in Azure Static Web Apps" shows it.
STATIC = principal(
    identityProvider="github",
    userId="d75b260a64504067bfc5b2905e3b8182",
    userDetails="username",
    userRoles=["anonymous", "authenticated"],
    claims=[{"typ": "name", "val": "Azure Static Web Apps"}],
)


def read(info: object, hub: str = "chat") -> dict[str, Any]:
    assert isinstance(info, dict)
    assert info.keys() == {"url", "accessToken"}
    assert info["url"] == f"{NOWHERE}/client/?hub={hub}"
    audience = f"http://127.0.0.1/client/?hub={hub}"
    claims: dict[str, Any] = jwt.decode(info["accessToken"], SERVICE, ["HS256"], audience=audience)
    return claims


async def negotiate(
    app: BridgeApp, started: HttpCall | None = None, *, given: dict[str, Any] | None = None, **properties: Any
) -> dict[str, Any]:
    called = await invoke(app, describe(HTTP, info(**properties)), started or call(), issuers=issuers(), **given or {})
    return read(called.inputs["info"])


async def test_the_connection_info_of_a_client_without_a_name() -> None:
    said = await negotiate(build(NOWHERE))
    assert "asrs.s.uid" not in said
    assert said["exp"] - said["iat"] == 3600


async def test_the_rules_of_the_hub_count() -> None:
    own = {"BRIDGE_HUBS__CHAT__NEGOTIATE__LIFETIME_SECONDS": "60", "BRIDGE_HUBS__CHAT__NEGOTIATE__CLOSE_ON_EXPIRY": "1"}
    own |= {"BRIDGE_HUBS__CHAT__NEGOTIATE__LOSSLESS_CLAIMS": "false"}
    said = await negotiate(build(NOWHERE, **own))
    assert (said["exp"] - said["iat"], said["asrs.s.coae"]) == (60, "true")
    assert "bridge.claims" not in said


@pytest.mark.parametrize(
    ("settings", "expression", "started", "user"),
    [
        (PLATFORM, "{headers.x-ms-client-principal-id}", call(headers={"x-ms-client-principal-id": ["ann"]}), "ann"),
        (PLATFORM, "{Headers.X-MS-CLIENT-PRINCIPAL-NAME}", call(headers={"x-ms-client-principal-name": ["A"]}), "A"),
        (
            PLATFORM,
            "{headers.x-ms-client-principal-idp}:{headers.x-ms-client-principal-name}",
            call(headers={"x-ms-client-principal": STATIC}),
            "github:username",
        ),
        (
            PLATFORM,
            "{headers.x-ms-client-principal-id}",
            call(headers={"x-ms-client-principal": STATIC}),
            "d75b260a64504067bfc5b2905e3b8182",
        ),
        (
            PLATFORM,
            "{claims.ROLES}",
            call(headers={"x-ms-client-principal": principal(userId="u", userRoles=["r"])}),
            "r",
        ),
        (JWT, "{claims.OID}", call(authorization=[f"Bearer {GOOD}"]), "o-1"),
        (WRITTEN, "{query.user}", call(query={"User": ["bob"]}), "bob"),
        (WRITTEN, "{room}", call(route={"room": "blue"}), "blue"),
        (WRITTEN, "{user.name}", call(body=b'{"user": {"Name": "eve"}}'), "eve"),
        (WRITTEN, "{headers.x-user}", call(headers={"x-user": ["cy"]}), "cy"),
        ({}, "%User%", call(), "set"),
        ({}, "{sys.methodname}", call(), "negotiate"),
    ],
)
async def test_who_is_named(settings: dict[str, str], expression: str, started: HttpCall, user: str) -> None:
    said = await negotiate(build(NOWHERE, **settings), started, given={"User": "set"}, userId=expression)
    assert said["asrs.s.uid"] == user


@pytest.mark.parametrize(
    ("settings", "expression", "started"),
    [
        (PLATFORM, "{headers.x-ms-client-principal-id}", call()),
        (PLATFORM, "{headers.x-ms-client-principal-id}", call(headers={"x-ms-client-principal-id": [""]})),
        (PLATFORM, "{headers.x-ms-client-principal-id}", call(headers={"x-ms-client-principal-id": ["a", "b"]})),
        (PLATFORM, "{headers.x-ms-client-principal-id}", call(headers={"x-ms-client-principal": ["!"]})),
        (PLATFORM, "{headers.x-ms-client-principal-id}", call(headers={"x-ms-client-principal": principal(userId="")})),
        (PLATFORM, "{claims.roles}", call(headers={"x-ms-client-principal": STATIC})),
        (JWT, "{claims.sub}", call()),
        (JWT, "{claims.sub}", call(authorization=[f"Bearer {FORGED}"])),
        (JWT, "{claims.sub}", call(headers={"x-ms-client-principal": STATIC})),
        (WRITTEN, "{query.user}", call(query={"user": ["a", "b"]})),
        (WRITTEN, "{user}", call(body=b'{"user": null}')),
    ],
)
async def test_nobody_is_admitted_without_a_name(
    settings: dict[str, str], expression: str, started: HttpCall, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "signalr_bridge.functions")
    with pytest.raises(Unauthenticated) as caught:
        await negotiate(build(NOWHERE, **settings), started, userId=expression)
    assert caught.value.headers == CHALLENGE
    assert [(one.message, getattr(one, "function", None)) for one in caplog.records] == [
        ("client refused", "negotiate")
    ]


@pytest.mark.parametrize("user", [".", " a", "a\nb", "x, bridge.claims: e30", "y" * 1025])
async def test_a_name_that_no_client_may_have(user: str) -> None:
    with pytest.raises(InvalidName):
        await negotiate(build(NOWHERE, **WRITTEN), call(query={"u": [user]}), userId="{query.u}")


TOKEN = "x-ms-token-aad-id-token"


@pytest.mark.parametrize(
    ("settings", "expression", "started", "roles"),
    [
        (PLATFORM, f"{{headers.{TOKEN}}}", call(headers={TOKEN: [FORGED]}), "admin"),  # the platform's word counts
        (JWT, "{headers.authorization}", call(authorization=[f"Bearer {GOOD}"]), ["a", "b"]),
        (JWT, "{query.token}", call(query={"token": [GOOD]}), ["a", "b"]),
        (UNVERIFIED | WRITTEN, "{headers.Authorization}", call(authorization=[f"Bearer {FORGED}"]), "admin"),
    ],
)
async def test_claims_of_an_id_token(settings: dict[str, str], expression: str, started: HttpCall, roles: Any) -> None:
    said = await negotiate(build(NOWHERE, **settings), started, idToken=expression, claimTypeList=["roles"])
    assert said["roles"] == roles
    assert "oid" not in said
    assert "asrs.s.uid" not in said


@pytest.mark.parametrize(
    "started",
    [call(), call(authorization=[f"Bearer {FORGED}"]), call(authorization=["Bearer x"]), call(headers={TOKEN: [GOOD]})],
)
async def test_an_id_token_that_is_not_there_or_not_good(started: HttpCall) -> None:
    with pytest.raises(Unauthenticated):
        await negotiate(build(NOWHERE, **JWT), started, idToken="{headers.authorization}", claimTypeList=["roles"])


async def test_every_endpoint_and_its_connection_info() -> None:
    app = build(NOWHERE, "http://127.0.0.1:2", "http://127.0.0.1:3", **PLATFORM)
    function = describe(
        HTTP,
        info("signalRNegotiation", userId="{headers.x-ms-client-principal-id}"),
        info("signalREndpoints", name="all") | {"name": "all"},
    )
    called = await invoke(app, function, call(headers={"x-ms-client-principal-id": ["ann"]}))
    found: Any = called.inputs["info"]
    alone = [{name: one[name] for name in one if name != "connectionInfo"} for one in found["endpoints"]]
    assert called.inputs["all"] == alone
    assert [(one["name"], one["endpointType"], one["endpoint"]) for one in alone] == [
        ("default", "Primary", NOWHERE),
        ("b", "Primary", "http://127.0.0.1:2"),
        ("c", "Secondary", "http://127.0.0.1:3"),
    ]
    assert read(found["endpoints"][0]["connectionInfo"])["asrs.s.uid"] == "ann"
    assert all(isinstance(one["online"], bool) and one["connectionInfo"]["accessToken"] for one in found["endpoints"])


async def test_the_platform_is_believed_only_where_all_hubs_of_a_function_believe_it() -> None:
    settings = JWT | {"BRIDGE_HUBS__CHAT__NEGOTIATE__PLATFORM_IDENTITY": "true"}
    started, user = call(headers={"x-ms-client-principal": STATIC}), info(userId="{claims.name}")
    app = build(NOWHERE, **settings)
    called = await invoke(app, describe(HTTP, user), started)
    assert read(called.inputs["info"])["asrs.s.uid"] == "Azure Static Web Apps"
    with pytest.raises(Unauthenticated):
        await invoke(app, describe(HTTP, user, out(hubName="other")), started)


async def test_an_event_that_shows_no_name_fails() -> None:
    function = describe(trigger("who"), info(userId="{who}"))
    with pytest.raises(FunctionFailed, match=r"^Function 'negotiate', binding 'info': nobody is admitted") as caught:
        await invoke(build(NOWHERE, **WRITTEN), function, context(arguments=[None]), named={"who": None})
    assert "None" not in str(caught.value)


async def test_what_a_call_holds_is_not_shown() -> None:
    function = describe(HTTP, info(userId="{headers.x-ms-client-principal-id}"))
    called = await invoke(build(NOWHERE, **PLATFORM), function, call(headers={"x-ms-client-principal-id": ["canary"]}))
    assert read(called.inputs["info"])["asrs.s.uid"] == "canary"
    assert "canary" not in repr(called)
    assert "accessToken" not in repr(called)
