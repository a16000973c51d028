"""What a kubelet makes of the rendered Deployment: the command, its variables, and the files of its volumes."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kubernetes.helm import Resource, find_kind

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


@dataclass(frozen=True)
class Pod:
    """The container of the bridge, ready to be started on this machine.

    Args:
        args: The arguments of signalr-bridge.
        env: Its variables. A path below a volume is that of a folder on this machine.
        ports: Its ports by their names.
        probes: The port and the path of each probe.
        spec: The pod as it was rendered.
    """

    args: tuple[str, ...]
    env: Mapping[str, str]
    ports: Mapping[str, int]
    probes: Mapping[str, tuple[int, str]]
    spec: Mapping[str, Any]


def start_pod(resources: list[Resource], folder: Path, others: Mapping[str, Mapping[str, str]] | None = None) -> Pod:
    """Write the volumes below ``folder``, and say what runs.

    Args:
        resources: What the chart has rendered.
        folder: An empty folder.
        others: Secrets and ConfigMaps of the cluster that the chart did not make, by their names.
    """
    spec = find_kind(resources, "Deployment")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    data = dict(_data_of(resources)) | dict(others or {})
    mounted = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", ())}
    for volume in spec.get("volumes", ()):
        for name, text in _files_of(volume, data):
            file = folder / mounted[volume["name"]].lstrip("/") / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    return Pod(
        tuple(container["args"]),
        dict(_variables(container, data, list(mounted.values()), folder)),
        ports,
        {name: _probe(container[name], ports) for name in ("startupProbe", "readinessProbe", "livenessProbe")},
        spec,
    )


def _probe(probe: Mapping[str, Any], ports: Mapping[str, int]) -> tuple[int, str]:
    return ports[probe["httpGet"]["port"]], probe["httpGet"]["path"]


def _data_of(resources: list[Resource]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for one in resources:
        if one["kind"] == "Secret":
            encoded = {name: base64.b64decode(text).decode() for name, text in one.get("data", {}).items()}
            yield f"secret/{one['metadata']['name']}", encoded | one.get("stringData", {})
        elif one["kind"] == "ConfigMap":
            yield f"configMap/{one['metadata']['name']}", one["data"]


def _look_up(kind: str, source: Mapping[str, Any], data: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    found = data.get(f"{kind}/{source['name']}")
    if found is None:
        assert source.get("optional"), f"the pod would wait for {kind} {source['name']}"
        return {}
    return found


def _files_of(volume: Mapping[str, Any], data: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for source in volume.get("projected", {"sources": [volume]})["sources"]:
        for kind in ("secret", "configMap"):
            if kind in source:
                found = _look_up(kind, source[kind], data)
                items = source[kind].get("items", [{"key": name, "path": name} for name in found])
                yield from ((item["path"], found[item["key"]]) for item in items)


def _variables(
    container: Mapping[str, Any], data: Mapping[str, Mapping[str, str]], mounted: list[str], folder: Path
) -> Iterator[tuple[str, str]]:
    """Source of the rule of references: the field ``value`` of EnvVar in the Kubernetes API."""
    seen: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        kind = "secret" if "secretRef" in source else "configMap"
        seen |= _look_up(kind, source[f"{kind}Ref"], data)
    for one in container["env"]:
        text = _expand(one.get("value", f"a value of {one['name']}"), seen)
        seen[one["name"]] = f"{folder}{text}" if text.startswith(tuple(mounted)) else text
    yield from seen.items()


def _expand(text: str, known: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: "$" if match[1] is None else known.get(match[1], match[0]), text)
