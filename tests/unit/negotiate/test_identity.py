"""The platform's headers, and claims on their way into a client's token."""

import json
from base64 import b64encode
from typing import Any

import pytest
from signalr_bridge.errors import BadToken, InvalidItem
from signalr_bridge.negotiate.identity import ClientIdentity, claim_texts, copy_claims, name_by_principal, read_platform
from signalr_bridge.negotiate.negotiator import ClientToken
from signalr_bridge.negotiate.request import read_request


def principal(*claims: Any) -> str:
    document = {"auth_typ": "aad", "claims": list(claims), "name_typ": "name", "role_typ": "roles"}
    return b64encode(json.dumps(document).encode()).decode()


def test_who_has_signed_in() -> None:
    roles = [{"typ": "roles", "val": "a"}, {"typ": "roles", "val": "b"}]
    headers = {"x-ms-client-principal-id": ["ann"], "x-ms-client-principal": [principal(*roles)]}
    assert read_platform(headers) == ClientIdentity("ann", {"roles": ["a", "b"]})
    assert read_platform({"x-ms-client-principal-id": ["ann"]}) == ClientIdentity("ann", {})


def test_nobody_has_signed_in() -> None:
    assert read_platform({}) is None
    assert read_platform({"x-ms-client-principal-name": ["ann"]}) is None
    assert read_platform({"x-ms-client-principal": [principal()]}) is None


# As Microsoft's page "Accessing user information in Azure Static Web Apps" shows it.
STATIC = {
    "identityProvider": "github",
    "userId": "d75b260a64504067bfc5b2905e3b8182",
    "userDetails": "username",
    "userRoles": ["anonymous", "authenticated"],
    "claims": [{"typ": "name", "val": "Azure Static Web Apps"}],
}


def static(**members: Any) -> dict[str, list[str]]:
    document = {name: one for name, one in (STATIC | members).items() if one is not ...}
    return {"x-ms-client-principal": [b64encode(json.dumps(document).encode()).decode()]}


def test_who_has_signed_in_at_a_static_web_app() -> None:
    """It sends the principal alone."""
    roles = {"roles": ["anonymous", "authenticated"]}
    user = "d75b260a64504067bfc5b2905e3b8182"
    assert read_platform(static()) == ClientIdentity(user, {"name": ["Azure Static Web Apps"], **roles})
    assert read_platform(static(claims=...)) == ClientIdentity(user, roles)
    assert read_platform(static(userRoles=None, claims=[])) == ClientIdentity(user, {})
    assert read_platform(static(userId=None)) is None
    assert read_platform(static(userId="")) is None
    assert read_platform(static() | {"x-ms-client-principal-id": ["ann"]}) == read_platform(static(userId="ann"))


def test_the_headers_that_a_static_web_app_leaves_out() -> None:
    named = name_by_principal(static() | {"x": ["y"]})
    assert {name: named[name] for name in named if name != "x-ms-client-principal"} == {
        "x-ms-client-principal-id": ["d75b260a64504067bfc5b2905e3b8182"],
        "x-ms-client-principal-name": ["username"],
        "x-ms-client-principal-idp": ["github"],
        "x": ["y"],
    }
    for headers in ({}, {"x-ms-client-principal": ["!"]}, static() | {"x-ms-client-principal-id": ["ann"]}):
        assert name_by_principal(headers) == headers
    assert "x-ms-client-principal-id" not in name_by_principal(static(userId=7))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ms-client-principal": ["!"]},
        static(userId=7),
        static(userId=["ann"]),
        static(userRoles="admin"),
        static(userRoles=[["admin"]]),
        static(claims=None),
        {"x-ms-client-principal": [*static()["x-ms-client-principal"], *static()["x-ms-client-principal"]]},
        {"x-ms-client-principal-id": [""]},
        {"x-ms-client-principal-id": ["ann", "eve"]},
        *(
            {"x-ms-client-principal-id": ["ann"], "x-ms-client-principal": given}
            for given in (
                ["!"],
                ["é"],
                [b64encode(b"[]").decode()],
                [b64encode(b'{"claims":{}}').decode()],
                [principal("x")],
                [principal({"typ": "roles"})],
                [principal({"typ": "roles", "val": ["a"]})],
                [principal(), principal()],
            )
        ),
    ],
)
def test_headers_that_the_platform_would_not_write(headers: dict[str, list[str]]) -> None:
    with pytest.raises(BadToken):
        read_platform(headers)


def test_claims_are_copied_by_type() -> None:
    claims = {"role": ["a", "b"], "Role": "c", "age": 7, "ok": True, "address": {"city": "x"}, "none": None, "sub": "s"}
    assert copy_claims(claims, ["role", "age", "ok", "address", "none", "absent"]) == {
        "role": ("a", "b"),
        "age": (7,),
        "ok": (True,),
        "address": ('{"city":"x"}',),
    }
    assert copy_claims(claims, []) == {}


@pytest.mark.parametrize("value", ["Bob, bridge.claims: e30", "a\nb", "a\x00", ["a", "bridge.claims"], {"x": "a\nb"}])
def test_a_claim_that_would_forge_others(value: Any) -> None:
    if isinstance(value, dict):
        assert copy_claims({"x": value}, ["x"]) == {"x": ('{"x":"a\\nb"}',)}, "JSON escapes it"
        return
    with pytest.raises(BadToken):
        copy_claims({"x": value}, ["x"])
    assert copy_claims({"x": value}, ["y"]) == {}, "what is not copied does not matter"


def test_callers_claims_are_judged_alike() -> None:
    with pytest.raises(InvalidItem):
        read_request(b'{"claims":{"x":"Bob, bridge.claims: e30"}}', ClientToken())


def test_claims_for_a_template() -> None:
    claims: dict[str, Any] = {"a": "x", "b": [1, True, None], "c": {}, "d": None}
    assert claim_texts(claims) == {"a": ["x"], "b": ["1", "true"], "c": ["{}"], "d": []}
