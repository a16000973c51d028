"""The Bicep templates: they parse, `check` takes what they give the container, and Azure knows their properties."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from signalr_bridge.__main__ import cli
from signalr_bridge.settings.names import settings_by_path, write_name

from tests.bicep.parameters_table import GUIDE, table_lines, written
from tests.bicep.resource_types import VECTOR, read_properties
from tests.bicep.templates import FOLDER, TENANT, evaluate, open_scope, read_template, render
from tests.e2e.processes import clean_environment
from tests.shape.tree import ROOT

CODE = "canarycode0123456789"
CALLER = "canarykey0123456789"
KEYS = [f"{'p' * 44},{'s' * 44}", f"{'q' * 44},{'t' * 44}"]
BRIDGE_CLIENT = "11111111-1111-1111-1111-111111111111"
INSTANCE_CLIENT = "22222222-2222-2222-2222-222222222222"
INSTANCES = [
    {"name": "east", "location": "eastus", "type": "Primary", "sku": "Premium_P1", "capacity": 2},
    {"name": "west_2", "location": "westus", "type": "Secondary"},
]
RESOURCES = {
    "identity": {
        "id": "/i/bridge",
        "properties": {"clientId": BRIDGE_CLIENT, "principalId": "principal-of-the-bridge"},
    },
    "instanceIdentity": {"id": "/i/signalr", "properties": {"clientId": INSTANCE_CLIENT, "principalId": "principal"}},
    "environment": {"id": "/e", "properties": {"defaultDomain": "example.azurecontainerapps.io"}},
    "vault": {"id": "/v", "properties": {"vaultUri": "https://bridge.vault.azure.net/"}},
    "configuration": {"id": "/c", "properties": {"endpoint": "https://bridge.azconfig.io"}},
    "registry": {"id": "/r", "properties": {"loginServer": "contoso.azurecr.io"}},
    "instance": {"id": "/n"},
    "sentCode": {"id": "/s"},
    "logs": {"properties": {"customerId": "c"}, "listKeys": {"primarySharedKey": "k"}},
    "signalr": [
        {"outputs": {"hostName": f"{one}.service.signalr.net", "keys": KEYS[index]}} for index, one in enumerate("ab")
    ],
}
PLAIN: dict[str, Any] = {"image": "signalr-bridge:1", "upstreamCode": CODE, "callerKeys": CALLER}
EVERYTHING: dict[str, Any] = {
    **PLAIN,
    "registryName": "contoso",
    "instances": INSTANCES,
    "hubs": ["chat", "orders"],
    "origins": ["https://app.contoso.com", "https://*.contoso.com"],
    "upstreamAudience": "api://bridge",
    "withKeyVault": True,
    "withAppConfiguration": True,
    "settings": {
        "BRIDGE_NEGOTIATE__ANONYMOUS": True,
        "BRIDGE_NEGOTIATE__JWT": [{"issuer": "https://login.contoso.com/", "audience": "chat"}],
        "BRIDGE_LIMITS__IN_FLIGHT": 500,
    },
}
NOT_YET_COMPILED = {
    # How a Container App scales by its CPU.
    "Microsoft.App/containerApps@2025-01-01": {
        "properties.template.scale.rules.custom",
        "properties.template.scale.rules.custom.metadata",
        "properties.template.scale.rules.custom.metadata.type",
        "properties.template.scale.rules.custom.metadata.value",
        "properties.template.scale.rules.custom.type",
    },
    # The code and the keys of callers in the vault.
    "Microsoft.KeyVault/vaults/secrets@2023-07-01": {"name", "parent", "properties", "properties.value"},
}
"""What templates that the Bicep compiler has taken do not have: Microsoft's reference alone names it."""


def render_app(given: dict[str, Any]) -> dict[str, Any]:
    """The Container App that `main.bicep` asks for."""
    parameters = render_module("bridge", given)
    app: dict[str, Any] = render("bridge.bicep", parameters)["app"]["properties"]
    return app


def render_module(name: str, given: dict[str, Any]) -> Any:
    """The parameters of a module of `main.bicep`: of each, where it is in a loop."""
    config = read_template("main.bicep")["modules"][name]["config"]
    value = evaluate(config, open_scope("main.bicep", {**RESOURCES, **given}))
    return [one["params"] for one in value] if isinstance(value, list) else value["params"]


def render_instance(parameters: dict[str, Any]) -> dict[str, Any]:
    return render("signalr.bicep", {**parameters, "instance": RESOURCES["instance"]})


def read_environment(app: dict[str, Any]) -> dict[str, str]:
    """The environment of the container: each secret that it names is there, and none that it does not name."""
    secrets = {one["name"]: one["value"] for one in app["configuration"]["secrets"]}
    entries = app["template"]["containers"][0]["env"]
    named = {one["secretRef"] for one in entries if "secretRef" in one}
    assert named == set(secrets)
    found = {one["name"]: one["value"] if "value" in one else secrets[one["secretRef"]] for one in entries}
    assert len(found) == len(entries)
    return found


def run_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: dict[str, str]) -> Any:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        cli(["check", "--json"], standalone_mode=False)
    report = json.loads(capsys.readouterr().out)
    assert (end.value.code, report["findings"]) == (0, [])
    return report


@pytest.mark.usefixtures("own_logging")
def test_the_bridge_knows_each_setting_of_the_container(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = read_environment(render_app(PLAIN))
    report = run_check(monkeypatch, capsys, environment)
    assert [(one["name"], one["type"], one["credential"]) for one in report["endpoints"]] == [
        ("primary", "Primary", f"managed identity client {BRIDGE_CLIENT}")
    ]
    shown = {one["name"] for one in report["settings"]}
    assert {"BRIDGE_UPSTREAM__CODE", "BRIDGE_CALLERS__KEYS", "BRIDGE_UPSTREAM__KEYS", "AZURE_CLIENT_ID"} <= shown
    plain = [one["value"] for one in render_app(PLAIN)["template"]["containers"][0]["env"] if "value" in one]
    assert not {CODE, CALLER, KEYS[0]} & set(plain)


@pytest.mark.usefixtures("own_logging")
def test_and_so_it_does_with_every_parameter_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stores are not asked here: what is in the vault stands in the environment under its setting's name."""
    app = render_app(EVERYTHING)
    environment = read_environment(app)
    known = {write_name(path) for path in settings_by_path()}
    stores = {"BRIDGE_KEY_VAULT_URL", "BRIDGE_APP_CONFIGURATION_ENDPOINT"}
    assert stores <= known
    assert stores <= set(environment)
    vault = {
        one["name"].replace("--", "__").replace("-", "_"): one["properties"]["value"]
        for one in render("main.bicep", {**RESOURCES, **EVERYTHING}).values()
        if one.get("parent") == RESOURCES["vault"] and one["name"] != "upstream-code"
    }
    assert vault == {"BRIDGE_UPSTREAM__CODE": CODE, "BRIDGE_CALLERS__KEYS": CALLER}
    assert not set(vault) & set(environment), "what the environment says hides what the vault says"
    report = run_check(monkeypatch, capsys, {k: v for k, v in environment.items() if k not in stores} | vault)
    assert [(one["name"], one["type"]) for one in report["endpoints"]] == [("east", "Primary"), ("west_2", "Secondary")]
    values = {one["name"]: one["value"] for one in report["settings"]}
    assert values["BRIDGE_UPSTREAM__ENTRA__TENANT"] == TENANT
    assert values["BRIDGE_UPSTREAM__ENTRA__APP_IDS"] == f'["{INSTANCE_CLIENT}"]'
    assert environment["BRIDGE_UPSTREAM__KEYS"] == ",".join(KEYS)


def test_instances_call_the_bridge_where_it_is_with_the_code_that_it_takes() -> None:
    (plain,) = (render_instance(one)["instance"]["properties"] for one in render_module("signalr", PLAIN))
    assert {one["flag"]: one["value"] for one in plain["features"]}["ServiceMode"] == "Serverless"
    assert plain["cors"] == {"allowedOrigins": ["*"]}
    (template,) = plain["upstream"]["templates"]
    assert template["urlTemplate"] == f"https://bridge.example.azurecontainerapps.io/upstream?code={CODE}"
    assert template["auth"] == {"type": "None"}
    first, second = (render_instance(one) for one in render_module("signalr", EVERYTHING))
    (template,) = first["instance"]["properties"]["upstream"]["templates"]
    reference = "{@Microsoft.KeyVault(SecretUri=https://bridge.vault.azure.net/secrets/upstream-code)}"
    assert template["urlTemplate"].endswith(f"/upstream?code={reference}")
    assert template["auth"] == {"type": "ManagedIdentity", "managedIdentity": {"resource": "api://bridge"}}
    assert (first["instance"]["sku"], second["instance"]["sku"]) == (
        {"name": "Premium_P1", "capacity": 2},
        {"name": "Standard_S1", "capacity": 1},
    )
    role = first["mayUse"]["properties"]
    assert role["principalId"] == "principal-of-the-bridge"
    assert role["roleDefinitionId"].endswith("/7e4f1700-ea5a-4f59-8f37-079cfe29dce3")


def test_the_container_is_stopped_as_the_bridge_wants_and_asked_where_it_answers() -> None:
    template = render_app(PLAIN)["template"]
    defaults = {write_name(path): field.default for path, field in settings_by_path().items()}
    stop = defaults["BRIDGE_LIMITS__DRAIN_SECONDS"] + defaults["BRIDGE_LIMITS__GRACE_SECONDS"]
    assert template["terminationGracePeriodSeconds"] >= stop + 15
    (container,) = template["containers"]
    asked = {one["type"]: (one["httpGet"]["path"], one["httpGet"]["port"]) for one in container["probes"]}
    port = defaults["BRIDGE_PORT"]
    assert asked == {
        "Startup": ("/health/live", port),
        "Liveness": ("/health/live", port),
        "Readiness": ("/health/ready", port),
    }
    assert render_app(PLAIN)["configuration"]["ingress"]["targetPort"] == port
    assert [next(iter(one.keys() - {"name"})) for one in template["scale"]["rules"]] == ["http", "custom"]
    for cores in ("0.25", "0.5", "1", "2"):
        resources = render_app({**PLAIN, "cores": cores})["template"]["containers"][0]["resources"]
        assert resources["memory"] == f"{2 * resources['cpu']:g}Gi"


def test_modules_are_given_what_they_take() -> None:
    main = read_template("main.bicep")
    for module in main["modules"].values():
        takes = read_template(module["detail"]["path"])["parameters"]
        config = module["config"].get("config", module["config"])
        required = {name for name, one in takes.items() if one["default"] is None}
        assert required <= set(config["params"]) <= set(takes)
    for name in ("main.bicep", "signalr.bicep", "bridge.bicep"):
        tree = read_template(name)
        described = tree["parameters"] | tree["outputs"]
        assert [k for k, one in described.items() if "description" not in {d["type"] for d in one["decorators"]}] == []


def test_types_and_properties_are_those_of_templates_that_compile() -> None:
    """The vector is made of templates that Bicep 0.49.2 has taken. What goes beyond them is named above."""
    known = json.loads(VECTOR.read_text("utf-8"))
    ours = read_properties(FOLDER)
    assert len(ours) >= 9
    beyond = {name: set(paths) - set(known.get(name, ())) for name, paths in ours.items()}
    assert {name: paths for name, paths in beyond.items() if paths} == NOT_YET_COMPILED


def test_the_guide_has_every_parameter() -> None:
    guide = GUIDE.read_text("utf-8")
    assert guide == written(guide), "run: python -m tests.bicep.parameters_table"
    assert len(table_lines()) == len(read_template("main.bicep")["parameters"]) + 2


def test_azd_finds_the_template_and_gives_it_what_it_takes() -> None:
    project = yaml.safe_load((FOLDER.parent / "azure.yaml").read_text("utf-8"))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", project["name"])
    infra = project["infra"]
    template = FOLDER.parent / infra["path"] / f"{infra['module']}.bicep"
    assert template == FOLDER / "main.bicep"
    given = json.loads(template.with_suffix(".parameters.json").read_text("utf-8"))["parameters"]
    parameters = read_template("main.bicep")["parameters"]
    assert set(given) <= set(parameters)
    assert not any("secure" in {d["type"] for d in parameters[name]["decorators"]} for name in given)
    # What is required and not in the file, azd makes up: a password of the length that the bridge wants.
    made = {name for name, one in parameters.items() if one["default"] is None} - set(given)
    assert made == {"upstreamCode", "callerKeys"}
    source = template.read_text("utf-8")
    for name in made:
        assert re.search(rf"azd: \{{ type: 'generate', config: \{{ length: 40, .*\nparam {name} ", source)


@pytest.mark.parametrize("registry", ["contoso", ""])
def test_azd_builds_the_image_where_a_registry_is_named(tmp_path: Path, registry: str) -> None:
    project = yaml.safe_load((FOLDER.parent / "azure.yaml").read_text("utf-8"))
    for program in ("make", "az"):
        (tmp_path / program).write_text('#!/bin/sh\necho "${0##*/}" "$@"\n')
        (tmp_path / program).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BRIDGE_IMAGE": "contoso.azurecr.io/a/b:1", "BRIDGE_REGISTRY": registry}
    hook = project["hooks"]["preprovision"]["posix"]
    done = subprocess.run([hook["shell"], "-c", hook["run"]], env=env, capture_output=True, text=True, check=True)
    build = "az acr build --registry contoso --image a/b:1 --target production .."
    assert done.stdout.splitlines() == (["make -C .. static", build] if registry else [])
    assert re.search("^FROM .* AS production$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)


def test_the_guide_gives_parameters_that_there_are() -> None:
    command = re.search(r"^az deployment group create (?:.*\\\n)*.*", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert command is not None
    words = shlex.split(command[0].replace("\\\n", " "))
    given = {word.partition("=")[0]: word.partition("=")[2] for word in words[words.index("--parameters") + 1 :]}
    parameters = read_template("main.bicep")["parameters"]
    assert {name for name, one in parameters.items() if one["default"] is None} <= set(given) <= set(parameters)
    settings = json.loads(given["settings"])
    assert set(settings) <= {write_name(path) for path in settings_by_path()}
    assert (ROOT / words[words.index("--template-file") + 1]) == FOLDER / "main.bicep"
