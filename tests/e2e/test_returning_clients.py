"""Microsoft's JavaScript client that comes back by itself, and the one that talks too much, at real processes."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import jwt
import pytest

from tests.e2e.node_client import CallFailed, NodeClients
from tests.e2e.processes import API_KEY, EMULATOR_KEY, Machine, eventually, run_apart

MODULE = "tests.e2e.returning_handlers"
JWTS = json.dumps([{"issuer": "https://localhost:1", "audience": "x"}])
SETTINGS = {
    "BRIDGE_HANDLERS": f"{MODULE}:mixed,{MODULE}:platform,{MODULE}:club",
    "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
    "BRIDGE_HUBS__MIXED__NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_HUBS__MIXED__NEGOTIATE__JWT": JWTS,
    "BRIDGE_HUBS__PLATFORM__NEGOTIATE__PLATFORM_IDENTITY": "true",
    "BRIDGE_HUBS__PLATFORM__NEGOTIATE__JWT": JWTS,
    "BRIDGE_HUBS__CLUB__NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_HUBS__CLUB__NEGOTIATE__USER_ID": "{query.user}",
    "BRIDGE_HUBS__CLUB__NEGOTIATE__ID_TOKEN": "{query.id_token}",
    "BRIDGE_HUBS__CLUB__NEGOTIATE__ID_TOKEN_UNVERIFIED": "true",
    "BRIDGE_HUBS__CLUB__NEGOTIATE__CLAIM_TYPES": "role",
    "BRIDGE_LIMITS__CLIENT_MESSAGES_PER_SECOND": "4",
}
NO_CLAIMS = jwt.encode({}, "k" * 32)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with run_apart(SETTINGS) as running:
        yield running


def at_club(user: str, id_token: str = NO_CLAIMS) -> str:
    return f"/hubs/club/negotiate?user={user}&id_token={id_token}&negotiateVersion=1"


def statuses(machine: Machine, path: str) -> list[int]:
    """Of the requests of this path, from the log."""
    lines = [json.loads(one) for one in machine.bridge.lines if one.startswith("{")]
    return [one["status"] for one in lines if one.get("path") == path]


@pytest.mark.parametrize(
    ("hub", "headers", "user"), [("mixed", {}, None), ("platform", {"x-ms-client-principal-id": "pat"}, "pat")]
)
def test_a_client_reconnects_with_its_old_token(
    machine: Machine, node: NodeClients, hub: str, headers: dict[str, str], user: str | None
) -> None:
    client = node.client().start(f"{machine.url}/hubs/{hub}", reconnect=True, headers=headers)
    with machine.http() as http:
        assert http.delete(f"/hubs/{hub}/connections/{client.connection_id}").status_code == 204
    client.event("reconnecting")
    assert client.event("reconnected")["connectionId"] not in {None, client.connection_id}
    assert client.invoke("who") == user
    client.stop()
    path = f"/hubs/{hub}/negotiate"
    assert eventually(lambda: found if len(found := statuses(machine, path)) >= 2 else None, path) == [200, 200]


def test_a_refused_client_waits_as_long_as_it_would_after_any_failure(machine: Machine, node: NodeClients) -> None:
    url = f"{machine.url}{at_club('banned')}".replace("/negotiate", "")
    client = node.client()
    with suppress(CallFailed):  # the end may come while the client still starts
        client.start(url.replace("&negotiateVersion=1", ""), reconnect=True)
    path = "/hubs/club/negotiate"
    seen = eventually(lambda: found if len(found := statuses(machine, path)) >= 6 else None, "its negotiations")
    assert seen == [200] + [403] * (len(seen) - 1)
    with machine.http() as http, httpx.Client(base_url=machine.url, trust_env=False) as others:
        refused = others.post(at_club("banned"))
        assert (refused.status_code, refused.json()["detail"]) == (403, "You are banned.")
        assert 1 <= int(refused.headers["retry-after"]) <= 5
        admitted = [
            others.post(at_club("ann")),
            others.post(at_club("banned") + "&room=7"),
            others.post(at_club("banned"), headers={"Cookie": "session=2"}),
            http.post(at_club("banned")),
        ]
    assert [one.status_code for one in admitted] == [200] * len(admitted)
    client.stop()


def test_a_handler_that_fails_lets_the_client_in(machine: Machine, node: NodeClients) -> None:
    url = f"{machine.url}/hubs/club?user=unlucky&id_token={NO_CLAIMS}"
    client = node.client().start(url)
    machine.bridge.wait_for_line("a handler that fails lets the client in")
    assert client.invoke("told")["exact"] is True
    client.stop()


def test_who_talks_too_much_is_told_and_its_neighbours_notice_nothing(machine: Machine, node: NodeClients) -> None:
    url = f"{machine.url}/hubs/club?id_token={NO_CLAIMS}&user="
    for protocol in ("json", "messagepack"):
        loud = node.client().start(f"{url}loud", protocol=protocol)
        quiet = node.client().start(f"{url}quiet", protocol=protocol)
        errors = loud.flood("note", 60)
        assert quiet.invoke("note") is None
        assert quiet.message() == ("noted", [])
        told = [one for one in errors if one is not None]
        assert {one for one in told if "you may send 4 messages per second" in one} == set(told)
        assert 4 <= errors.count(None) < 40
        loud.stop()
        quiet.stop()
    machine.bridge.wait_for_line("messages over the limit")


def test_an_id_token_that_nobody_checks_is_taken_as_it_is(machine: Machine) -> None:
    with httpx.Client(base_url=machine.url, trust_env=False) as http:
        for token in (jwt.encode({"role": "editor"}, "k" * 32), jwt.encode({"role": "editor"}, "", "none")):
            answer = http.post(at_club("ann", token))
            assert answer.status_code == 200, answer.text
            found = jwt.decode(answer.json()["accessToken"], EMULATOR_KEY, ["HS256"], options={"verify_aud": False})
            assert found["role"] == "editor"


def test_claims_outside_ascii_stand_in_no_header_and_controls_in_no_claim(machine: Machine, node: NodeClients) -> None:
    claims: dict[str, Any] = {"city": "Köln", "größe": "1", "team": ["red", "grün"], "role": "editor"}
    with machine.http() as http:
        answers = [
            http.post("/hubs/club/negotiate", json={"userId": user, "claims": claims})
            for user in ("zoë", "zoë", "jürgen")
        ]
        refused = [
            http.post("/hubs/club/negotiate", json=body).json()["code"]
            for body in ({"claims": {"a": "x\x85y"}}, {"claims": {"a\x9f": "x"}}, {"userId": "x\x80y"})
        ]
        issued = http.post("/hubs/club/negotiate", json={"userId": "zoe", "claims": claims}).json()
    assert refused == ["invalid-name"] * 3
    token = answers[-1].json()["accessToken"]
    found = jwt.decode(token, EMULATOR_KEY, ["HS256"], options={"verify_aud": False})
    assert (found["role"], {"city", "größe", "team"} & found.keys()) == ("editor", set())
    machine.bridge.wait_for_line("user id outside ASCII")
    client = node.client().start(issued["url"], token=issued["accessToken"])
    texts = {name: value if isinstance(value, list) else [value] for name, value in claims.items()}
    assert client.invoke("told") == {"claims": texts, "exact": True, "is ASCII": True}
    client.stop()
    (warning,) = [one for one in machine.bridge.lines if "user id outside ASCII" in one]
    assert "zoë" not in warning
    assert API_KEY not in machine.bridge.output
