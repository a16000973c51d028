"""The Helm chart, by Helm itself: what it renders, what it refuses, and the files that are made of it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator
from signalr_bridge.masked_settings import holds_secrets
from signalr_bridge.settings.names import named_sections, settings_below, settings_by_path, write_name

from tests.e2e.processes import ROOT
from tests.kubernetes import pages
from tests.kubernetes.helm import (
    CHART,
    NEWEST,
    OLDEST,
    HelmError,
    Resource,
    find_kind,
    render,
    run_helm,
    write_values,
)

EVERY_VALUE = Path(__file__).parent / "every_value.yaml"
SCHEMAS = Path(__file__).parent / "schemas"


def at(tree: Any, path: tuple[str, ...]) -> Any:
    """What stands in a tree of maps at this path. Raises ``KeyError`` where there is nothing."""
    for name in path:
        tree = tree[name]
    return tree


@pytest.fixture(scope="module")
def every_value() -> list[Resource]:
    return render("--values", str(EVERY_VALUE))


def test_what_is_made_of_the_schema_and_of_the_chart_is_up_to_date() -> None:
    """values.yaml, the table of the page, deploy/kustomize and the alerts: ``make chart`` writes them."""
    page = pages.PAGE.read_text("utf-8")
    assert pages.VALUES.read_text("utf-8") == pages.write_values()
    assert pages.BLOCK.search(page) is not None
    assert page == pages.write_page(page)
    assert pages.COPY_OF_ALERTS.read_text("utf-8") == pages.ALERTS.read_text("utf-8")
    files = {file.name: file.read_text("utf-8") for file in pages.KUSTOMIZE.iterdir()}
    assert files == pages.write_kustomize()


def test_kustomize_has_each_resource_that_the_chart_renders() -> None:
    """Only what says that Helm is at work is left out."""
    named = yaml.safe_load((pages.KUSTOMIZE / "kustomization.yaml").read_text("utf-8"))["resources"]
    found = [yaml.safe_load((pages.KUSTOMIZE / name).read_text("utf-8")) for name in named]
    rendered = json.loads(json.dumps(render(), sort_keys=True))
    for labels in labels_below(rendered):
        for name in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            labels.pop(name, None)
    assert len(found) == len(rendered) > 3
    assert {one["kind"]: one for one in found} == {one["kind"]: one for one in rendered}


def labels_below(tree: Any) -> Iterator[dict[str, str]]:
    if isinstance(tree, list):
        for one in tree:
            yield from labels_below(one)
    elif isinstance(tree, dict):
        if "labels" in tree:
            yield tree["labels"]
        for one in tree.values():
            yield from labels_below(one)


def test_helm_has_nothing_to_say_against_the_chart() -> None:
    for values in ((), ("--values", str(EVERY_VALUE))):
        assert "0 chart(s) failed" in run_helm("lint", "--strict", "--kube-version", OLDEST, str(CHART), *values)


def test_every_value_says_what_it_is_and_takes_nothing_unknown() -> None:
    def check(node: Any, path: str) -> None:
        if node.get("type") == "object":
            assert "additionalProperties" in node, path
        for name, below in node.get("properties", {}).items():
            check(below, f"{path}.{name}")
        if "items" in node:
            check(node["items"], f"{path}[]")

    schema = pages.read_schema()
    Draft7Validator.check_schema(schema)
    check(schema, "")
    for path, node in pages.leaves(schema):
        assert node["description"].endswith("."), path
        Draft7Validator(node).validate(node["default"])
        for example in node.get("examples", ()):
            Draft7Validator(node).validate(example)


def test_the_file_of_every_value_leaves_none_as_it_is() -> None:
    written = yaml.safe_load(EVERY_VALUE.read_text("utf-8"))
    same = [path for path, node in pages.leaves(pages.read_schema()) if at(written, path) == node["default"]]
    assert same == []


def test_kubernetes_takes_what_is_rendered(every_value: list[Resource], tmp_path: Path) -> None:
    """With every value in the newest version. In the oldest one, the defaults with all that can be enabled."""
    parts = ("autoscaling", "networkPolicy", "ingress", "metrics", "callers.ownListener", "serviceMonitor")
    settings = ("secrets.values.A=a", "podDisruptionBudget.maxUnavailable=25%", "settingsFile=x")
    enabled = (part if "." in part else f"{part}.enabled" for part in parts)
    other = render("--set", ",".join([*settings, *(f"{one}=true" for one in enabled)]))
    for version, resources in ((NEWEST, every_value), (OLDEST, other)):
        for resource in resources:
            validate(resource, version)
    kinds = {one["kind"].lower() for one in [*every_value, *other]}
    assert kinds == {file.stem for file in (CHART / "templates").glob("*.yaml")}


def validate(resource: Resource, version: str) -> None:
    """Raises what the library raises, where a schema refuses it."""
    own = SCHEMAS / f"{resource['kind'].lower()}.json"
    if own.exists():
        Draft7Validator(json.loads(own.read_text("utf-8"))).validate(resource)
    else:
        assert kubernetes_validate.validate(resource, version, strict=True) == version


def test_every_value_is_at_its_place(every_value: list[Resource]) -> None:
    """Each text and number of the file stands somewhere in what is rendered, but for what others overrule."""
    written = yaml.safe_load(EVERY_VALUE.read_text("utf-8"))
    text = json.dumps(every_value)
    overruled = {"replicas", "image.tag", "global", "podDisruptionBudget.maxUnavailable", "exposed.upstream"}
    overruled |= {"serviceAccount.annotations", "workloadIdentity.clientId", "workloadIdentity.tenantId"}
    for path, node in pages.leaves(pages.read_schema()):
        if ".".join(path) in overruled or node["type"] == "boolean":
            continue
        for value in scalars(at(written, path)):
            if ".".join(path) not in {"stop.functionsSeconds", "topologySpread.nodes", "secrets.as"}:
                assert json.dumps(str(value)).strip('"') in text, path


def scalars(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        for one in tree.values():
            yield from scalars(one)
    elif isinstance(tree, list):
        for one in tree:
            yield from scalars(one)
    elif not isinstance(tree, bool):
        yield tree


def test_the_pod_can_do_nothing_and_has_time_to_stop() -> None:
    pod = find_kind(render("--set", "stop.drainSeconds=30,stop.graceSeconds=40"), "Deployment")["spec"]["template"][
        "spec"
    ]
    container = pod["containers"][0]
    assert pod["terminationGracePeriodSeconds"] == 30 + 40 + 10 + 5
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    free = render("--set", "podSecurity.runAsUser=null,podSecurity.runAsGroup=null,podSecurity.fsGroup=null")
    chosen = find_kind(free, "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert set(chosen) == {"runAsNonRoot", "seccompProfile"}


def test_what_is_public_leads_to_clients_and_the_service_alone(tmp_path: Path) -> None:
    """Ingress and HTTPRoute say the same. The listeners of callers and of metrics are never behind a public Service."""
    values: dict[str, Any] = {
        "exposed": {"hubs": ["chat"]},
        "ingress": {"enabled": True},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
        "service": {"type": "LoadBalancer"},
        "callers": {"ownListener": True},
        "metrics": {"enabled": True},
        "networkPolicy": {"enabled": True},
    }
    resources = render("--values", write_values(tmp_path / "values.yaml", values))
    (rule,) = find_kind(resources, "Ingress")["spec"]["rules"]
    (route,) = find_kind(resources, "HTTPRoute")["spec"]["rules"]
    assert [one["path"] for one in rule["http"]["paths"]] == ["/hubs/chat/negotiate", "/upstream"]
    assert {one["pathType"] for one in rule["http"]["paths"]} == {"Exact"}
    assert [one["path"] for one in route["matches"]] == [
        {"type": "Exact", "value": "/hubs/chat/negotiate"},
        {"type": "Exact", "value": "/upstream"},
    ]
    services = {one["metadata"]["name"]: one["spec"] for one in resources if one["kind"] == "Service"}
    public, internal = services["signalr-bridge"], services["signalr-bridge-internal"]
    assert (public["type"], [one["name"] for one in public["ports"]]) == ("LoadBalancer", ["http"])
    assert (internal["type"], [one["name"] for one in internal["ports"]]) == ("ClusterIP", ["callers", "metrics"])
    allowed = {
        one["ports"][0]["port"]: one.get("from") for one in find_kind(resources, "NetworkPolicy")["spec"]["ingress"]
    }
    near: list[dict[str, Any]] = [{"podSelector": {}}]
    assert allowed == {"http": None, "callers": near, "metrics": near}


def test_a_service_monitor_finds_the_metrics(tmp_path: Path) -> None:
    """Its labels are those of one Service, which has its port."""
    resources = render("--set", "metrics.enabled=true,serviceMonitor.enabled=true")
    monitor = find_kind(resources, "ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    (service,) = [s for s in resources if s["kind"] == "Service" and wanted <= s["metadata"]["labels"].items()]
    assert [one["name"] for one in service["spec"]["ports"]] == [one["port"] for one in monitor["endpoints"]]


def test_alerts_become_a_rule_of_the_operator() -> None:
    rule = find_kind(render("--set", "prometheusRule.enabled=true"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(pages.ALERTS.read_text("utf-8"))


def test_an_identity_takes_the_place_of_keys() -> None:
    client = "11111111-2222-3333-4444-555555555555"
    resources = render("--set", f"workloadIdentity.enabled=true,workloadIdentity.clientId={client}")
    account = find_kind(resources, "ServiceAccount")["metadata"]
    pod = find_kind(resources, "Deployment")["spec"]["template"]
    assert account["annotations"] == {"azure.workload.identity/client-id": client}
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert pod["spec"]["serviceAccountName"] == account["name"]


def test_a_changed_secret_or_setting_starts_new_pods() -> None:
    def checksums(*values: str) -> Any:
        pod = find_kind(render(*(part for value in values for part in ("--set", value))), "Deployment")["spec"][
            "template"
        ]
        return pod["metadata"].get("annotations", {})

    first = checksums("secrets.values.A=x", "settingsFile=docs = true")
    assert set(first) == {"checksum/secrets", "checksum/settings"}
    assert checksums("secrets.values.A=x", "settingsFile=docs = true") == first
    second = checksums("secrets.values.A=y", "settingsFile=docs = false")
    assert all(second[name] != first[name] for name in first)
    assert checksums() == {}


REFUSED = [
    ({"image.tag": "a", "replica": "3"}, "additional properties 'replica' not allowed"),
    (
        {"terminationGracePeriodSeconds": "34"},
        "terminationGracePeriodSeconds: 34 are too few: stop (drainSeconds, graceSeconds, functionsSeconds) takes 35. "
        "Write 35 or more, or null.",
    ),
    ({"metrics.enabled": "true", "metrics.port": "8080"}, "two listeners have the same one: give each its own."),
    (
        {"settings.Bridge_Port": "8080"},
        "settings, extraEnv: Bridge_Port is set by the chart: write the value port instead.",
    ),
    ({"extraEnv[0].name": "BRIDGE_METRICS"}, "is set by the chart: write the value metrics instead."),
    (
        {"settings.BRIDGE_CALLERS__KEYS": "0123456789abcdef"},
        "settings.BRIDGE_CALLERS__KEYS: is a secret: put it into a Secret (secrets.existing, or secrets.values).",
    ),
    ({"settings.AzureSignalRConnectionString": "Endpoint=https://a;AccessKey=0123456789"}, "is a secret: put it"),
    ({"settings.BRIDGE_STATE__URL": "rediss://:0123456789@redis:6380"}, "settings.BRIDGE_STATE__URL: is a secret"),
    ({"settingsFile": 'secrets = ["whsec_0123456789"]'}, "settingsFile: holds a secret, and a ConfigMap is none"),
    ({"serviceMonitor.enabled": "true"}, "there is nothing to read: write metrics.enabled=true, too."),
    ({"httpRoute.enabled": "true"}, "httpRoute.parentRefs: is empty: name the gateway"),
    ({"ingress.enabled": "true", "exposed.upstream": "false"}, "exposed: nothing is let through: name hubs"),
    ({"autoscaling.enabled": "true", "autoscaling.maxReplicas": "1"}, "maxReplicas is less than minReplicas"),
    ({"autoscaling.enabled": "true", "autoscaling.cpuUtilization": "0"}, "there is nothing to scale by"),
    ({"workloadIdentity.enabled": "true"}, "workloadIdentity.clientId: is missing: write the client id"),
]


def test_the_schema_names_each_value_that_is_wrong(tmp_path: Path) -> None:
    values = {
        "replica": 3,
        "image": {"name": "x", "digest": "latest"},
        "replicas": "many",
        "secrets": {"as": "file", "values": {"BRIDGE_CALLERS__KEYS": 12345}},
        "settings": {"BRIDGE-DOCS": True},
        "exposed": {"paths": [{"path": "api"}]},
        "port": 80,
    }
    with pytest.raises(HelmError) as refused:
        render("--values", write_values(tmp_path / "values.yaml", values))
    told = {line.strip(" -") for line in str(refused.value).splitlines() if "- at '" in line}
    assert told == {
        "at '': additional properties 'replica' not allowed",
        "at '/exposed/paths/0/path': 'api' does not match pattern '^/'",
        "at '/image': validation failed",
        "at '/image': additional properties 'name' not allowed",
        "at '/image/digest': 'latest' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
        "at '/port': minimum: got 80, want 1,024",
        "at '/replicas': got string, want integer",
        "at '/secrets': validation failed",
        "at '/secrets/as': value must be one of 'files', 'environment'",
        "at '/secrets/values/BRIDGE_CALLERS__KEYS': got number, want string",
        "at '/settings': additional properties 'BRIDGE-DOCS' not allowed",
    }


@pytest.mark.parametrize(("values", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_wrong_value_is_named_and_its_secret_is_not(values: dict[str, str], words: str) -> None:
    with pytest.raises(HelmError) as refused:
        render(*(part for name, value in values.items() for part in ("--set", f"{name}={value}")))
    assert words in str(refused.value)
    assert "0123456789" not in str(refused.value)


def test_settings_that_are_secrets_are_told_by_their_names() -> None:
    """As the product tells them: by the types of its fields."""
    checks = (CHART / "templates" / "_checks.tpl").read_text("utf-8")
    found = re.search(r'regexMatch "(.*?keys.*?)" \.', checks)
    assert found is not None
    named = [
        ((section, "x", *path), field)
        for section in named_sections()
        for path, field in settings_below(section).items()
    ]
    settings = [(write_name(path), field) for path, field in [*settings_by_path().items(), *named]]
    secret = {name for name, field in settings if holds_secrets(field.annotation)}
    by_name = {name for name, _ in settings if re.search(found[1], name)}
    # A URL or a connection string is told by what stands in it.
    assert secret - by_name <= {"BRIDGE_APP_CONFIGURATION_CONNECTION_STRING"}
    assert by_name - secret == {"BRIDGE_ALLOW_EMULATOR_KEY"}


def test_the_values_that_the_page_shows_are_taken(tmp_path: Path) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", pages.PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    known = pages.read_schema()["properties"].keys()
    shown = [one for one in map(yaml.safe_load, blocks) if one.keys() <= known]
    assert len(shown) == 3
    for one in shown:
        assert render("--values", write_values(tmp_path / "values.yaml", one))


NOTES = """
kind: Notes
text: |
{{ tpl (.Files.Get "NOTES.txt") . | indent 2 }}
"""


def test_helm_says_how_to_go_on(tmp_path: Path) -> None:
    """Helm renders notes only where it finds a cluster. Here they are a resource, in a copy of the chart."""
    copy = shutil.copytree(CHART, tmp_path / "chart")
    (copy / "templates" / "NOTES.txt").rename(copy / "NOTES.txt")
    (copy / "templates" / "notes.yaml").write_text(NOTES)

    def notes(*values: str) -> str:
        told = run_helm(
            "template", "x", str(copy), "--namespace", "chat", "--show-only", "templates/notes.yaml", *values
        )
        text: str = yaml.safe_load(told)["text"]
        return text

    text = notes()
    assert "create secret generic x-signalr-bridge" in text
    assert "Backends send to http://x-signalr-bridge.chat:80, with a key" in text
    text = notes("--values", str(EVERY_VALUE), "--set", "exposed.upstream=true")
    assert "create secret" not in text
    assert "Backends send to http://realtime-internal.chat:18081, with a key" in text
    assert "  /hubs/chat/negotiate\n" in text
    assert "  /api/orders and below\n" in text
    assert "https://<public name>/upstream" in text
