"""Every kind of identity through Microsoft's client: each sees the messages for its user and its groups, no others."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
import trustme

from tests.contract.bridge.admission.openid import OpenId, run_openid
from tests.e2e.node_client import CallFailed, NodeClient, NodeClients
from tests.e2e.processes import Machine, eventually, run_apart
from tests.unit.web.issuing import AUDIENCE, said, signed

JOIN = json.dumps([{"claim": "role", "group": "role:{value}"}])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def issuer(authority: trustme.CA) -> Iterator[OpenId]:
    with run_openid(authority) as running:
        yield running


@pytest.fixture(scope="module")
def machine(authority: trustme.CA, issuer: OpenId, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    file = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    settings = {
        "SSL_CERT_FILE": str(file),
        "BRIDGE_NEGOTIATE__CLAIM_TYPES": "role,name",
        "BRIDGE_HUBS__CHAT__JOIN": JOIN,
        "BRIDGE_HUBS__CHAT__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS__CHAT__NEGOTIATE__JWT": json.dumps([{"issuer": issuer.url, "audience": AUDIENCE}]),
        "BRIDGE_HUBS__CHAT__NEGOTIATE__PLATFORM_IDENTITY": "true",
        "BRIDGE_HUBS__LOBBY__JOIN": JOIN,
        "BRIDGE_HUBS__LOBBY__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS__LOBBY__NEGOTIATE__USER_ID": "guest-{query.name}",
        "BRIDGE_HUBS__LOBBY__NEGOTIATE__TRUST_CLIENT_INPUT": "true",
        "BRIDGE_HUBS__BRIEF__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS__BRIEF__NEGOTIATE__LIFETIME_SECONDS": "2",
        "BRIDGE_HUBS__BRIEF__NEGOTIATE__CLOSE_ON_EXPIRY": "true",
        "BRIDGE_HUBS__SHUT__NEGOTIATE__ANONYMOUS": "false",
    }
    with run_apart(settings) as running:
        yield running


def token(issuer: OpenId, **more: Any) -> str:
    return signed(said(time.time(), iss=issuer.url, **more))


def principal(**claims: str) -> dict[str, str]:
    """What the platform adds to the request of somebody who has signed in."""
    listed = [{"typ": name, "val": value} for name, value in claims.items()]
    text = b64encode(json.dumps({"auth_typ": "aad", "claims": listed}).encode()).decode()
    return {"x-ms-client-principal-id": "pat", "x-ms-client-principal": text}


def negotiate(machine: Machine, hub: str, **wish: Any) -> dict[str, str]:
    with machine.http() as http:
        answer = http.post(f"/hubs/{hub}/negotiate", json=wish)
        assert answer.status_code == 200, answer.text
        given: dict[str, str] = answer.json()
        return given


def send(machine: Machine, hub: str, text: str, **destination: str) -> None:
    target = "barrier" if text == "barrier" else "newMessage"
    with machine.http() as http:
        answer = http.post(f"/hubs/{hub}/send", json={"target": target, "arguments": [text], **destination})
        assert answer.status_code == 202, answer.text


def members(machine: Machine, hub: str, group: str) -> int:
    with machine.http() as http:
        answer = http.get(f"/hubs/{hub}/groups/{group}/connections")
        return len(answer.json()["value"]) if answer.status_code == 200 else 0


def has_two(machine: Machine, group: str) -> bool | None:
    return members(machine, "chat", group) == 2 or None


def heard(client: NodeClient) -> list[str]:
    """Everything up to the barrier."""
    texts = []
    while (said := client.message())[0] != "barrier":
        texts.append(said[1][0])
    return texts


def test_each_client_sees_its_own(machine: Machine, issuer: OpenId, node: NodeClients) -> None:
    chat, lobby = f"{machine.url}/hubs/chat", f"{machine.url}/hubs/lobby"
    anonymous = node.client().start(chat)
    # The name would forge a role if claims were read from the service's header line.
    ann = node.client().start(chat, token=token(issuer, role=["admin", "editor"], name="Ann, role: root"))
    pat = node.client().start(chat, headers=principal(role="editor"))
    for_cora = negotiate(machine, "chat", userId="cora", claims={"role": "admin"})
    cora = node.client().start(for_cora["url"], token=for_cora["accessToken"])
    tina = node.client().start(f"{lobby}?name=tina")
    for role in ("admin", "editor"):
        eventually(partial(has_two, machine, f"role:{role}"), f"two members of role:{role}")

    send(machine, "chat", "all")
    for user in ("ann", "pat", "cora", "guest-tina"):
        send(machine, "chat", f"user {user}", userId=user)
        send(machine, "lobby", f"lobby user {user}", userId=user)
    for role in ("admin", "editor"):
        send(machine, "chat", role, groupName=f"role:{role}")
    for hub in ("chat", "lobby"):
        send(machine, hub, "barrier")

    assert {
        "anonymous": heard(anonymous),
        "ann": heard(ann),
        "pat": heard(pat),
        "cora": heard(cora),
        "tina": heard(tina),
    } == {
        "anonymous": ["all"],
        "ann": ["all", "user ann", "admin", "editor"],
        "pat": ["all", "user pat", "editor"],
        "cora": ["all", "user cora", "admin"],
        "tina": ["lobby user guest-tina"],
    }
    assert members(machine, "chat", "role:root") == 0
    for client in (anonymous, ann, pat, cora, tina):
        client.stop()


def test_who_is_refused(machine: Machine, issuer: OpenId, node: NodeClients) -> None:
    bad = token(issuer, exp=int(time.time()) - 100)
    for hub, more in (
        ("chat", {"token": bad}),
        ("chat", {"token": "nonsense"}),
        ("lobby", {}),
        ("shut", {}),
        ("shut", {"headers": principal()}),
        ("shut", {"token": token(issuer)}),
        ("internal", {}),
    ):
        with pytest.raises(CallFailed, match=r"Status code '40[13]'"):
            node.client().start(f"{machine.url}/hubs/{hub}", **more)


def test_closed_on_expiry_when_asked(machine: Machine, node: NodeClients) -> None:
    def wished(**wish: Any) -> NodeClient:
        given = negotiate(machine, "chat", lifetimeSeconds=2, **wish)
        return node.client().start(given["url"], token=given["accessToken"])

    kept, closed = wished(), wished(closeOnExpiry=True)
    brief = node.client().start(f"{machine.url}/hubs/brief")
    closed.event("closed")
    brief.event("closed")
    send(machine, "chat", "barrier")
    assert heard(kept) == [], "whose token has expired, too, but nobody asked to close it"
    kept.stop()


def test_every_endpoint_with_a_token_of_its_own(machine: Machine, node: NodeClients) -> None:
    with machine.http() as http:
        (one,) = http.post("/hubs/chat/negotiate/endpoints", json={"userId": "dora"}).json()["endpoints"]
    assert (one["name"], one["endpointType"], one["online"]) == ("default", "Primary", True)
    dora = node.client().start(one["connectionInfo"]["url"], token=one["connectionInfo"]["accessToken"])
    send(machine, "chat", "for dora", userId="dora")
    send(machine, "chat", "barrier")
    assert heard(dora) == ["for dora"]
    dora.stop()


def test_secrets_and_tokens_stay_out_of_the_log(machine: Machine, issuer: OpenId) -> None:
    secret = token(issuer, exp=1, name="canary-of-a-name")
    headers = {"Authorization": f"Bearer {secret}"}
    answer = httpx.post(f"{machine.url}/hubs/chat/negotiate?canary-of-a-query", headers=headers, trust_env=False)
    assert answer.status_code == 401
    machine.bridge.wait_for_line('"reason":"the token has expired"')
    for word in (secret, "canary", *machine.headers.values()):
        assert word not in machine.bridge.output
        assert word not in answer.text
