"""`azure`: a real shell runs the lines that it prints, and `az` gets what sets the instances up."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from signalr_bridge.__main__ import cli
from signalr_bridge.errors import SettingsError

from tests.e2e.processes import ROOT, clean_environment

CODE = "canary-code-0123456789"
KEY = "canarykeycanarykeycanarykeycanarykeycanaryke"
CLIENT = "11111111-1111-1111-1111-111111111111"
APP = "33333333-3333-3333-3333-333333333333"
TENANT = "22222222-2222-2222-2222-222222222222"
ENDPOINTS = "Azure__SignalR__Endpoints__"
EAST = {
    f"{ENDPOINTS}east__serviceUri": "https://contoso-east.service.signalr.net",
    f"{ENDPOINTS}east__credential": "managedidentity",
}
GROUP = ["--resource-group", "our group"]
TEMPLATE = ["category-pattern=*", "event-pattern=*"]

# An `az` that writes down each call, and answers a query with what it was asked for.
AZ = r"""#!/bin/sh
for one in "$@"; do printf '%s\0' "$one" >> "$CALLS"; done
printf '\n' >> "$CALLS"
case "$*" in *--query*) echo "answer-$1-$2" ;; esac
"""

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Command":
    return Command(monkeypatch, capsys)


class Command:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def print(self, given: Mapping[str, str]) -> str:
        """What the command prints. A shell and shlex can read it, and no secret is in it."""
        for name in set(os.environ) - set(clean_environment()):
            self._monkeypatch.delenv(name)
        with self._monkeypatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            cli(["azure"], standalone_mode=False)
        script = self._capsys.readouterr().out
        assert "canary" not in script
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
        for line in script.splitlines():
            shlex.split(line, comments=True)
        return script


def run(script: str, folder: Path, **variables: str) -> tuple[int, str, list[list[str]]]:
    """How the shell ended, what it said, and what `az` was called with."""
    (folder / "az").write_text(AZ)
    (folder / "az").chmod(0o755)
    calls = folder / "calls"
    calls.write_text("")
    env = clean_environment() | {"PATH": f"{folder}:/usr/bin:/bin", "CALLS": str(calls), **variables}
    done = subprocess.run(["sh", "-eu"], input=script, env=env, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, [line.split("\0")[:-1] for line in calls.read_text().splitlines()]


def test_an_instance_with_a_key_gets_its_mode_upstream_and_origins(command: Command, tmp_path: Path) -> None:
    script = command.print(
        {
            "AzureSignalRConnectionString": f"Endpoint=https://contoso.service.signalr.net;AccessKey={KEY};Version=1.0;",
            "BRIDGE_UPSTREAM__CODE": CODE,
            "BRIDGE_CORS__ORIGINS": "https://app.contoso.com,https://b.contoso.com:8443",
            "BRIDGE_HUBS__SHOP__CORS__ORIGINS": "https://shop.contoso.com",
        }
    )
    needed = {"RESOURCE_GROUP": "our group", "BRIDGE_PUBLIC_URL": "https://bridge.contoso.com"}
    code, said, calls = run(script, tmp_path, **needed)
    assert (code != 0, calls) == (True, [])
    assert "BRIDGE_UPSTREAM__CODE: set it to the code" in said
    code, said, calls = run(script, tmp_path, **needed, BRIDGE_UPSTREAM__CODE=CODE)
    assert (code, said) == (0, "")
    instance = ["--name", "contoso", *GROUP]
    url = f"url-template=https://bridge.contoso.com/upstream?code={CODE}"
    origins = ["https://app.contoso.com", "https://b.contoso.com:8443", "https://shop.contoso.com"]
    assert calls == [
        ["signalr", "update", *instance, "--service-mode", "Serverless"],
        ["signalr", "upstream", "update", *instance, "--template", url, "hub-pattern=*", *TEMPLATE],
        ["signalr", "cors", "update", *instance, "--allowed-origins", *origins],
    ]


def test_identities_get_the_role_and_send_tokens(command: Command, tmp_path: Path) -> None:
    script = command.print(
        EAST
        | {
            f"{ENDPOINTS}east__clientId": CLIENT,
            f"{ENDPOINTS}west__serviceUri": "https://realtime.contoso.com",
            f"{ENDPOINTS}west__type": "secondary",
            "BRIDGE_PUBLIC_URL": "https://bridge.contoso.com/",
            "BRIDGE_ROOT_PATH": "/realtime",
            "BRIDGE_HUBS__ADMIN__UPSTREAM__CODE": f"{CODE}&more",
            "BRIDGE_UPSTREAM__ENTRA__TENANT": TENANT,
            "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": "api://$(touch hacked)'",
            "BRIDGE_UPSTREAM__ENTRA__APP_IDS": APP,
        }
    )
    code, said, calls = run(
        script,
        tmp_path,
        RESOURCE_GROUP="our group",
        UPSTREAM_CODE_HUBS__ADMIN__UPSTREAM="encoded",
        SIGNALR_NAME_REALTIME_CONTOSO_COM="rt",
        BRIDGE_PRINCIPAL_ID="principal",
    )
    assert (code, said) == (0, "")
    east, west = (["--name", name, *GROUP] for name in ("contoso-east", "rt"))
    url = "url-template=https://bridge.contoso.com/realtime/upstream"
    auth = json.dumps(
        {"type": "ManagedIdentity", "managedIdentity": {"resource": "api://$(touch hacked)'"}}, separators=(",", ":")
    )
    tokens = [f"properties.upstream.templates[{index}].auth={auth}" for index in (0, 1)]
    resource = ["--resource-type", "Microsoft.SignalRService/SignalR", "--api-version", "2024-03-01"]
    role = ["role", "assignment", "create", "--role", "SignalR Service Owner"]
    scope = ["--scope", "answer-signalr-show"]
    found = ["identity", "list", "--query", f"[?clientId=='{APP}'].id", "--output", "tsv"]
    whose = ["--assignee-principal-type", "ServicePrincipal", "--assignee-object-id", "principal"]
    for instance, assignee in ((east, ["--assignee", CLIENT]), (west, whose)):
        mode, upstream, look, identity, token, show, assignment = calls[:7]
        del calls[:7]
        assert mode == ["signalr", "update", *instance, "--service-mode", "Serverless"]
        admin = ["--template", f"{url}?code=encoded", "hub-pattern=admin", *TEMPLATE]
        every = ["--template", url, "hub-pattern=*", *TEMPLATE]
        assert upstream == ["signalr", "upstream", "update", *instance, *admin, *every]
        assert look == found
        assert identity == ["signalr", "identity", "assign", *instance, "--identity", "answer-identity-list"]
        assert token == ["resource", "update", *instance, *resource, "--set", *tokens]
        assert show == ["signalr", "show", *instance, "--query", "id", "--output", "tsv"]
        assert assignment == [*role, *assignee, *scope]
    assert calls == []
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("given", "assignee"),
    [
        ({f"{ENDPOINTS}east__managedIdentityObjectId": CLIENT}, f"--assignee-object-id {CLIENT} --scope"),
        (
            {f"{ENDPOINTS}east__managedIdentityResourceId": "/subscriptions/s/resourceGroups/our group/x"},
            "--ids '/subscriptions/s/resourceGroups/our group/x' --query principalId",
        ),
        ({f"{ENDPOINTS}east__credential": "", "AZURE_CLIENT_ID": CLIENT}, f"--assignee {CLIENT} --scope"),
        ({}, '--assignee-object-id "$BRIDGE_PRINCIPAL_ID" --scope'),
    ],
    ids=["object id", "resource id", "the default one's client id", "the system's"],
)
def test_who_gets_the_role(command: Command, given: dict[str, str], assignee: str) -> None:
    script = command.print(EAST | given)
    assert assignee in script
    assert script.count("az role assignment create") == 1


def test_each_connection_gets_the_hubs_that_use_it(command: Command) -> None:
    """And names that are no names of variables, several codes and several applications are asked for."""
    string = f"Endpoint=https://{{}}.service.signalr.net;AccessKey={KEY};Version=1.0;"
    script = command.print(
        {
            "AzureSignalRConnectionString": string.format("one"),
            "Two": string.format("two"),
            "Local": f"Endpoint=http://localhost:8888;AccessKey={KEY};Version=1.0;",
            "BRIDGE_HUBS__A__CONNECTION": "Two",
            "BRIDGE_HUBS__B`C__CONNECTION": "Two",
            "BRIDGE_HUBS__D,E__CONNECTION": "Two",
            "BRIDGE_HUBS__F__CONNECTION": "Local",
            "BRIDGE_HUBS__B`C__UPSTREAM__CODE": f"{CODE},{CODE}2",
            "BRIDGE_UPSTREAM__CODE": f"{CODE},{CODE}2",
            "BRIDGE_UPSTREAM__ENTRA__TENANT": TENANT,
            "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": "api://bridge",
            "BRIDGE_UPSTREAM__ENTRA__APP_IDS": "*",
            "BRIDGE_CORS__ORIGINS": "https://*.contoso.com",
        }
    )
    lines = [line for line in script.splitlines() if line.startswith("az signalr upstream update")]
    patterns = [[word for word in shlex.split(line) if word.startswith("hub-pattern=")] for line in lines]
    assert patterns == [["hub-pattern=*"], ["hub-pattern=a,b`c"]]
    assert 'code=\'"$UPSTREAM_CODE_UPSTREAM"' in script
    assert 'IDENTITY="$UPSTREAM_IDENTITY_ID"' in script
    assert "# No upstream pattern can name the hub d,e, because of its comma." in script
    assert "# It is no instance in Azure, so there is nothing to set up." in script
    assert "# CORS stays as it is: an instance takes no patterns, such as https://*.contoso.com." in script
    assert "role assignment" not in script


def test_what_is_wrong_is_said_in_a_line(command: Command) -> None:
    for wrong in ("http://bridge", "https://bridge/path", "https://$(x)", "bridge"):
        with pytest.raises(SettingsError, match=r"BRIDGE_PUBLIC_URL \(environment\): write https://host"):
            command.print(EAST | {"BRIDGE_PUBLIC_URL": wrong})
    with pytest.raises(SettingsError, match="No endpoint: set AzureSignalRConnectionString"):
        command.print({})
    script = command.print({f"{ENDPOINTS}a\ntouch x\n__serviceUri": "https://contoso.service.signalr.net"})
    assert "# https://contoso.service.signalr.net: endpoint a?touch x?" in script


def test_the_guide_shows_what_is_printed(command: Command) -> None:
    guide = (ROOT / "docs/azure.md").read_text("utf-8")
    shown = re.search(r"^```text\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert shown is not None
    script = command.print(
        {
            "AzureSignalRConnectionString": f"Endpoint=https://contoso.service.signalr.net;AccessKey={KEY};Version=1.0;",
            "BRIDGE_PUBLIC_URL": "https://bridge.contoso.com",
            "BRIDGE_UPSTREAM__CODE": CODE,
            "BRIDGE_CORS__ORIGINS": "https://app.contoso.com",
        }
    )
    assert script.endswith(shown[1])
