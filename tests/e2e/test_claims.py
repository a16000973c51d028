"""Claims from a backend's negotiate through the service to a handler: exactly as given, and never forged."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from signalr_bridge.protocol.access_token import sign_token
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, write_lossless

from tests.e2e.node_client import NodeClients
from tests.e2e.processes import EMULATOR_KEY, NAMED_CLIENTS, Machine, run_apart

HANDLERS = {"BRIDGE_HANDLERS": "tests.e2e.reporting_handlers:reporting", **NAMED_CLIENTS}
CLAIMS: dict[str, Any] = {
    "role": ["admin", "editor", "admin"],
    "name": "Bob, role: root",
    "city": "Köln, Straße 5: hinten",
    "emoji": "\U0001f600, \u2028: 你好",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role": "long",
    "sub": "somebody else",
    "exp": "never",
    "empty": "",
    "blank": "  two  blanks  ",
    "level": 7,
    "share": 0.5,
    "paid": True,
}
TEXTS = {
    **{name: value if isinstance(value, list) else [value] for name, value in CLAIMS.items()},
    **{"level": ["7"], "share": ["0.5"], "paid": ["true"]},
}
FORGERY = f"Bob, role: root, {LOSSLESS_CLAIM}: {write_lossless({'role': ['root']})}"


@pytest.fixture(scope="module")
def exact() -> Iterator[Machine]:
    with run_apart(HANDLERS) as machine:
        yield machine


@pytest.fixture(scope="module")
def plain() -> Iterator[Machine]:
    """Tokens without the lossless claim."""
    with run_apart(HANDLERS | {"BRIDGE_NEGOTIATE__LOSSLESS_CLAIMS": "false"}) as machine:
        yield machine


def negotiate(machine: Machine, **body: Any) -> Any:
    with machine.http() as http:
        response = http.post("/hubs/reporting/negotiate", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def told(node: NodeClients, url: str, token: str | None = None) -> Any:
    client = node.client().start(url, token=token)
    said = client.invoke("claims")
    client.stop()
    return said


def reissued(token: str, **claims: str) -> str:
    """The token as somebody else with the same key would have made it."""
    payload = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return sign_token(payload | claims, EMULATOR_KEY)


def given(node: NodeClients, machine: Machine, **body: Any) -> Any:
    """What a handler is told of a client that a backend negotiated for."""
    info = negotiate(machine, **body)
    return told(node, info["url"], info["accessToken"])


def test_claims_arrive_exactly_as_they_were_given(node: NodeClients, exact: Machine) -> None:
    assert given(node, exact, userId="bob", claims=CLAIMS) == {"userId": "bob", "claims": TEXTS, "exact": True}


def test_without_claims_there_are_none(node: NodeClients, exact: Machine) -> None:
    assert given(node, exact, userId="bob") == {"userId": "bob", "claims": {}, "exact": True}


@pytest.mark.parametrize("user", ["Bob, role: root", "Zoë, 你: x", "a, http://x: y"])
def test_a_user_id_is_a_user_id_and_no_claim(node: NodeClients, exact: Machine, user: str) -> None:
    assert given(node, exact, userId=user, claims={"role": "reader"}) == {
        "userId": user,
        "claims": {"role": ["reader"]},
        "exact": True,
    }


def test_a_client_that_calls_itself_so_is_refused(exact: Machine) -> None:
    with exact.http() as http:
        http.headers.clear()
        answer = http.post("/hubs/reporting/negotiate", params={"userId": FORGERY})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-name")


def test_a_user_of_that_name_whose_token_was_made_elsewhere_gets_no_role(node: NodeClients, exact: Machine) -> None:
    info = negotiate(exact, userId="bob", claims={"role": "reader"})
    said = told(node, info["url"], reissued(info["accessToken"], **{"asrs.s.uid": FORGERY}))
    assert (said["claims"], said["exact"]) == ({}, False)


def test_a_claim_that_would_forge_is_refused_or_ignored(node: NodeClients, exact: Machine) -> None:
    with exact.http() as http:
        answer = http.post("/hubs/reporting/negotiate", json={"userId": "bob", "claims": {"name": FORGERY}})
    assert (answer.status_code, answer.json()["code"]) == (422, "reserved-claim")


def test_without_the_setting_no_claim_is_exact(node: NodeClients, plain: Machine) -> None:
    said = given(node, plain, userId="bob", claims={"role": ["admin", "editor"]})
    assert said["claims"]["role"] == ["admin", "editor"]
    assert not said["exact"]


@pytest.mark.parametrize("name", ["Bob", FORGERY])
def test_a_token_minted_elsewhere_is_not_exact_when_the_setting_says_so(
    node: NodeClients, plain: Machine, name: str
) -> None:
    info = negotiate(plain, userId="bob")
    said = told(node, info["url"], reissued(info["accessToken"], name=name))
    assert not said["exact"]
