"""Microsoft's client gets its messages through endpoints that every kind of credential opens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from signalr_bridge.protocol.issued_key import AUDIENCE

from tests.azure.identity_endpoint import SECRET as HEADER_SECRET
from tests.azure.identity_endpoint import Identities, IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.azure.standin import running
from tests.e2e.identities import (
    CLIENT,
    CONNECTION,
    OBJECT,
    RESOURCE,
    SECRET,
    WORKLOAD,
    Azure,
    run_entra_emulator,
    run_identity_bridge,
)
from tests.e2e.node_client import NodeClients
from tests.e2e.processes import EMULATOR_KEY, Machine, Process, app_command, eventually, free_port
from tests.unit.upstream.issued import TENANT

KINDS = [
    "access key",
    "system-assigned",
    "client id",
    "resource id",
    "object id",
    "client secret",
    "certificate",
    "workload identity",
    "default",
    "AuthType=azure",
    f"AuthType=azure.msi;ClientId={CLIENT}",
    f"AuthType=azure.app;ClientId=secret-client;ClientSecret={SECRET};TenantId={TENANT}",
]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    folder: Path = tmp_path_factory.mktemp("azure")
    assigned = frozenset({("client_id", CLIENT), ("mi_res_id", RESOURCE), ("principal_id", OBJECT)})
    with (
        running(Issuer(trustme.CA())) as issuer,
        running(IdentityEndpoint(issuer, Identities(assigned=assigned))) as endpoint,
    ):
        made = Azure(issuer, endpoint, folder)
        made.write_files()
        yield made


@pytest.fixture(scope="module")
def emulator_port(azure: Azure) -> Iterator[int]:
    port = free_port()
    with run_entra_emulator(azure, port):
        yield port


def check_silence(azure: Azure, machine: Machine) -> None:
    """Nothing secret was said: not in logs at the chattiest level, not in answers."""
    headers = {"Authorization": f"Bearer {azure.issuer.issue(AUDIENCE, 'the tests')}"}
    url = f"http://localhost:{machine.emulator_port}/api/v1/auth/accessKey"
    issued = httpx.get(url, headers=headers, trust_env=False).json().get("AccessKey", "none was issued")
    said = [machine.bridge.output, *_answers(machine)]
    secrets = [SECRET, WORKLOAD, HEADER_SECRET, EMULATOR_KEY, issued, *azure.issuer.issued]
    assert [one for one in secrets if any(one in text for text in said)] == []
    assert "Traceback" not in machine.bridge.output


def _answers(machine: Machine) -> Iterator[str]:
    with machine.http() as http:
        for path in ("/hubs/chat/endpoints", "/health/ready", "/metrics", "/nowhere"):
            answer = http.get(path)
            yield f"{answer.headers} {answer.text}"
        for body in ({"target": "x"}, {"colour": 1}, {"userId": "ann", "lifetimeSeconds": 0}):
            for path in ("/hubs/chat/send", "/hubs/chat/negotiate"):
                answer = http.post(path, json=body)
                yield f"{answer.headers} {answer.text}"


def check_chat(node: NodeClients, machine: Machine) -> None:
    """A client connects by itself, and gets what a backend sends."""
    client = node.client().start(f"{machine.url}/hubs/chat?userId=ann")
    with machine.http() as http:
        sent = http.post("/hubs/chat/send", json={"target": "newMessage", "userId": "ann", "arguments": ["hello"]})
        assert sent.status_code == 202, sent.text
        assert client.message() == ("newMessage", ["hello"])
        assert http.get("/health/ready").status_code == 200
    client.stop()


JWTS = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}])}
"""With these a token that nobody knows is a 401."""


def check_return(node: NodeClients, machine: Machine) -> None:
    """A client that was closed comes back by itself, with its old token."""
    client = node.client().start(f"{machine.url}/hubs/chat?userId=bob", reconnect=True)
    with machine.http() as http:
        assert http.delete(f"/hubs/chat/connections/{client.connection_id}").status_code == 204
    client.event("reconnecting")
    assert client.event("reconnected")["connectionId"] not in {None, client.connection_id}
    client.stop()
    statuses = re.findall(r'"path": ?"/hubs/chat/negotiate", ?"status": ?(\d+)', machine.bridge.output)
    assert set(statuses) <= {"200"}


@pytest.mark.parametrize("kind", KINDS, ids=[kind.partition(";")[0] for kind in KINDS])
def test_a_client_gets_messages_through(node: NodeClients, azure: Azure, emulator_port: int, kind: str) -> None:
    with run_identity_bridge(azure, emulator_port, azure.settings(kind, emulator_port) | JWTS) as machine:
        check_chat(node, machine)
        if kind == "system-assigned":
            check_return(node, machine)
        check_silence(azure, machine)


def test_two_named_endpoints_of_different_kinds(node: NodeClients, azure: Azure, emulator_port: int) -> None:
    other_port = free_port()
    names = "Azure__SignalR__Endpoints__"
    settings = azure.settings("access key", emulator_port, f"{names}east")
    settings |= azure.settings("workload identity", other_port, f"{names}west")
    with run_entra_emulator(azure, other_port), run_identity_bridge(azure, emulator_port, settings) as machine:
        with machine.http() as http:
            clients = {}
            for name, port in (("east", emulator_port), ("west", other_port)):
                info = http.post("/hubs/chat/negotiate", json={"userId": name, "endpoint": name}).json()
                assert f":{port}/" in info["url"]
                clients[name] = node.client().start(info["url"], token=info["accessToken"])
            answer = http.post("/hubs/chat/send", json={"target": "newMessage", "arguments": [1]})
            assert answer.status_code == 202, answer.text
        for client in clients.values():
            assert client.message() == ("newMessage", [1])
            client.stop()
        check_silence(azure, machine)


def test_an_identity_that_may_not_sign_has_tokens_made(node: NodeClients, azure: Azure) -> None:
    port = free_port()
    with (
        run_entra_emulator(azure, port, role="rest-owner"),
        run_identity_bridge(azure, port, azure.settings("system-assigned", port) | JWTS) as machine,
    ):
        check_chat(node, machine)
        check_return(node, machine)
        with machine.http() as http:
            answer = http.post("/hubs/chat/negotiate", json={"userId": "ann", "claims": {"role": ["admin"]}})
            assert (answer.status_code, answer.json()["code"]) == (503, "credential-insufficient"), answer.text
            answer = http.post("/hubs/chat/negotiate", json={"userId": "ann", "closeOnExpiry": True})
            assert answer.json()["code"] == "credential-insufficient"


def run_command(azure: Azure, settings: dict[str, str], *arguments: str) -> tuple[int, list[str]]:
    """The exit code and the lines of a command with an identity's settings."""
    given = {"BRIDGE_CALLERS__KEYS": "a-key-of-the-end-to-end-tests"} | azure.environment | settings
    with Process(arguments[0], app_command(*arguments), given) as process:
        return process.wait(), process.lines


def test_check_probes_with_the_identity(azure: Azure, emulator_port: int) -> None:
    code, lines = run_command(azure, azure.settings("client id", emulator_port), "check", "--probe")
    assert code == 0, lines
    assert any("managed identity" in line for line in lines)
    assert any("takes the credential" in line for line in lines)
    settings = azure.settings("client id", emulator_port) | {f"{CONNECTION}__clientId": "somebody-else"}
    code, lines = run_command(azure, settings, "check", "--probe")
    assert code == 1
    assert any("no-credential: status 400" in line for line in lines), lines
    assert not any(secret in line for line in lines for secret in [HEADER_SECRET, *azure.issuer.issued])


def test_token_prints_one_that_the_service_takes(node: NodeClients, azure: Azure, emulator_port: int) -> None:
    settings = azure.settings("workload identity", emulator_port)
    code, lines = run_command(azure, settings, "token", "--hub", "chat", "--user", "ann", "--claim", "role=admin")
    assert (code, len(lines)) == (0, 2), lines
    node.client().start(lines[0], token=lines[1]).stop()


# --- starting


def start(azure: Azure, **settings: str) -> tuple[int, str]:
    """The exit code and the output of a bridge that is not supposed to start."""
    given = {"BRIDGE_CALLERS__KEYS": "a-key-of-the-end-to-end-tests", "BRIDGE_HOST": "127.0.0.1"}
    command = app_command("serve", "--port", str(free_port()))
    with Process("bridge", command, given | azure.environment | settings) as process:
        return process.wait(), process.output


PREFIX = "AzureSignalRConnectionString__"
URI = {f"{PREFIX}serviceUri": "https://x.service.signalr.net"}
ONE_APPLICATION = {f"{PREFIX}tenantId": TENANT, f"{PREFIX}clientId": "c"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {f"{PREFIX}credential": "managedidentity", f"{PREFIX}clientId": "a"}
            | {f"{PREFIX}managedIdentityResourceId": "b"},
            ["AzureSignalRConnectionString", "clientId", "managedIdentityResourceId"],
        ),
        ({f"{PREFIX}credential": "passport"}, [f"{PREFIX}credential"]),
        (
            ONE_APPLICATION | {f"{PREFIX}clientCertificate": "/nowhere/canary.pem"},
            ["AzureSignalRConnectionString", "clientCertificate"],
        ),
        ({f"{PREFIX}clientId": "c", f"{PREFIX}clientSecret": SECRET}, [f"{PREFIX}clientSecret", "tenantId"]),
        (
            {f"{PREFIX}credential": "workloadidentity", f"{PREFIX}clientId": "c"},
            ["AzureSignalRConnectionString", "tenantId", "tokenFilePath"],
        ),
    ],
    ids=["two ids", "unknown kind", "no certificate file", "no tenant", "workload without tenant"],
)
def test_settings_that_make_no_identity(azure: Azure, settings: dict[str, str], named: list[str]) -> None:
    code, output = start(azure, **URI, **settings)
    assert code == 1
    assert all(name in output for name in named), output
    assert SECRET not in output
    assert "Traceback" not in output


def test_a_certificate_file_that_holds_none(azure: Azure) -> None:
    empty = azure.folder / "empty.pem"
    empty.write_text("nothing")
    code, output = start(azure, **URI, **ONE_APPLICATION, **{f"{PREFIX}clientCertificate": str(empty)})
    assert code == 1
    assert "certificate" in output
    assert "Traceback" not in output


def test_the_connection_string_names_the_missing_certificate(azure: Azure) -> None:
    text = "Endpoint=https://x.service.signalr.net;AuthType=azure.app;ClientId=c;TenantId=t;ClientCert=/nowhere/c.pem"
    code, output = start(azure, AzureSignalRConnectionString=text)
    assert code == 1
    assert "AzureSignalRConnectionString" in output
    assert "ClientCert" in output


# --- an identity endpoint in refresh_failure


@pytest.mark.parametrize(("status", "headers"), [(401, {}), (403, {}), (429, {"Retry_After": "1"}), (500, {})], ids=str)
def test_a_refusing_identity_endpoint_is_named_and_recovers(
    node: NodeClients, azure: Azure, emulator_port: int, status: int, headers: dict[str, str]
) -> None:
    azure.endpoint.say(status, **headers)
    try:
        with run_identity_bridge(azure, emulator_port, azure.settings("system-assigned", emulator_port)) as machine:
            machine.bridge.wait_for_line(rf"no credential.*status {status}")
            with machine.http() as http:
                answer = http.get("/health/ready")
                assert answer.status_code == 503
                assert [(one["name"], one["lastError"]) for one in answer.json()["endpoints"]] == [
                    ("default", f"no-credential: status {status}")
                ]
                assert http.get("/health/live").status_code == 200
                azure.endpoint.said = None
                eventually(lambda: http.get("/health/ready").is_success or None, "readiness")
            check_chat(node, machine)
            check_silence(azure, machine)
    finally:
        azure.endpoint.said = None


def test_a_hanging_identity_endpoint_keeps_nobody_longer_than_the_deadline(
    node: NodeClients, azure: Azure, emulator_port: int
) -> None:
    azure.endpoint.open.clear()
    settings = azure.settings("system-assigned", emulator_port) | {"BRIDGE_LIMITS__DEADLINE_SECONDS": "1"}
    try:
        with run_identity_bridge(azure, emulator_port, settings) as machine:
            with httpx.Client(base_url=machine.url, headers=machine.headers, trust_env=False, timeout=5) as http:
                assert http.post("/hubs/chat/send", json={"target": "x"}).status_code >= 500
                assert http.post("/hubs/chat/negotiate", json={"userId": "ann"}).status_code == 503
            azure.endpoint.open.set()
            with machine.http() as http:
                eventually(lambda: http.get("/health/ready").is_success or None, "readiness")
            check_chat(node, machine)
    finally:
        azure.endpoint.open.set()
