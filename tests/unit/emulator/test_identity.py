"""What a token's claims make of a client, and which audiences a strict emulator takes."""

from typing import Any

import pytest
from signalr_bridge.emulator.identity import fits_audience, read_identity
from starlette.requests import Request

NAME_ID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
IDENTITY = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"nameid": "n", "asrs.s.uid": "u", "sub": "s"}, "u"),
        ({"nameid": "n", "asrs.s.uid": ""}, ""),
        ({"nameid": "n", "sub": "s"}, "n"),
        ({"sub": "s", "nameid": "n"}, "s"),
        ({"sub": ["first", "second"]}, "first"),
        ({"sub": 7}, "7"),
        ({"name": "x"}, None),
    ],
)
def test_the_user_is_the_service_claim_or_the_first_name_identifier(claims: dict[str, Any], user: str | None) -> None:
    assert read_identity(claims).user_id == user


def test_claims_keep_their_order_and_lists_repeat_the_type() -> None:
    claims = {"asrs.s.uid": "u", "role": ["a", "b"], "level": 3, "vip": True, "nothing": None, "exp": 5, "aud": "x"}
    line = f"asrs.s.uid: u, {ROLE}: a, {ROLE}: b, level: 3, vip: true, nothing: , exp: 5, aud: x"
    assert read_identity(claims).claims_line == line


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("nameid", NAME_ID),
        ("sub", NAME_ID),
        ("role", ROLE),
        ("roles", ROLE),
        ("email", IDENTITY + "emailaddress"),
        ("unique_name", IDENTITY + "name"),
        ("given_name", IDENTITY + "givenname"),
        ("family_name", IDENTITY + "surname"),
        ("iat", "iat"),
        ("asrs.u.sub", "asrs.u.sub"),
    ],
)
def test_types_are_renamed_like_the_reference_emulator_does(short: str, long: str) -> None:
    assert read_identity({short: "v"}).claims_line == f"{long}: v"
    assert read_identity({short: "v"}, long_names=False).claims_line == f"{short}: v"


@pytest.mark.parametrize(
    ("claims", "end"),
    [
        ({"asrs.s.coae": "true", "asrs.s.aeo": 50, "exp": 60}, 50.0),
        ({"asrs.s.coae": True, "asrs.s.aeo": "50"}, 50.0),
        ({"asrs.s.coae": "true", "exp": 60}, 60.0),
        ({"asrs.s.coae": "true", "asrs.s.aeo": "soon"}, None),
        ({"asrs.s.coae": "false", "asrs.s.aeo": 50}, None),
        ({"asrs.s.aeo": 50, "exp": 60}, None),
    ],
)
def test_a_connection_ends_with_its_authentication_if_asked_to(claims: dict[str, Any], end: float | None) -> None:
    assert read_identity(claims).close_at == end


def request(path: str, query: str = "", host: str = "localhost:8888") -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", host.encode())],
        }
    )


@pytest.mark.parametrize(
    "audience",
    [
        "http://localhost/api/hubs/chat/groups/a%2Fb/:send",
        "http://localhost:8888/api/hubs/chat/groups/a%2Fb/:send",
        "http://localhost/api/hubs/chat/groups/a%2Fb/:send/",
        "http://localhost/api/hubs/chat/groups/a%2Fb/:send?api-version=2022-06-01",
        ["http://elsewhere/", "http://localhost/api/hubs/chat/groups/a%2Fb/:send"],
    ],
)
def test_every_audience_that_an_sdk_writes_for_rest_fits(audience: object) -> None:
    assert fits_audience(audience, request("/api/hubs/chat/groups/a%2Fb/:send", "api-version=2022-06-01"))


@pytest.mark.parametrize(
    "audience", ["http://elsewhere/api/hubs/chat/:send", "http://localhost/api/hubs/chat", "", None, 5, "http://[x", []]
)
def test_other_audiences_do_not_fit(audience: object) -> None:
    assert not fits_audience(audience, request("/api/hubs/chat/:send"))


@pytest.mark.parametrize("path", ["/client", "/client/", "/client/negotiate"])
@pytest.mark.parametrize("audience", ["http://localhost/client/?hub=chat", "http://localhost:8888/client?hub=CHAT"])
def test_a_clients_audience_fits_with_its_hub(path: str, audience: str) -> None:
    assert fits_audience(audience, request(path, "hub=Chat&id=1"))
    assert not fits_audience(audience, request(path, "hub=other"))
