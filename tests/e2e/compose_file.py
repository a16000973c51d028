"""Compose files without a container engine: read, and turned into processes of this machine."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.dockerfile import OURS, read_dockerfile
from tests.e2e.processes import NODE, ROOT, app_command

PATH = ROOT / "deploy" / "compose.yaml"


def read_compose(path: Path = PATH) -> dict[str, Any]:
    return read_yaml(path.read_text(encoding="utf-8"))


def read_yaml(text: str) -> dict[str, Any]:
    """The small part of YAML that the file keeps to: nested mappings, lists of texts, texts, and JSON on one line.

    Raises ``ValueError`` for everything else, so that nothing is understood in another way than an engine would.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    value, rest = _read_block(lines, 0)
    if rest or not isinstance(value, dict):
        raise ValueError(f"not understood: {rest[:1]}")
    return value


def _read_block(lines: list[str], indent: int) -> tuple[dict[str, Any] | list[str], list[str]]:
    if lines and lines[0].lstrip().startswith("- "):
        items = []
        while lines and re.match(rf" {{{indent}}}- \S", lines[0]):
            items.append(_read_scalar(lines.pop(0).strip().removeprefix("- ")))
        return items, lines
    mapping: dict[str, Any] = {}
    while lines and (match := re.fullmatch(rf" {{{indent}}}([\w.-]+):(?: (.+))?", lines[0])):
        key, value = match[1], match[2]
        if key in mapping:
            raise ValueError(f"twice: {key}")
        lines = lines[1:]
        if value is not None:
            mapping[key] = _read_scalar(value)
        else:
            deeper = len(lines[0]) - len(lines[0].lstrip())
            mapping[key], lines = _read_block(lines, deeper)
    return mapping, lines


def _read_scalar(text: str) -> Any:
    if text[0] in '["{':
        return json.loads(text)
    if re.fullmatch(r"[\w./:-]+", text) is None:
        raise ValueError(f"not understood: {text}")
    return text


@dataclass(frozen=True)
class Ports:
    """Where the services listen on this machine."""

    bridge: int
    emulator: int
    backend: int


@dataclass(frozen=True)
class Service:
    """A service as a process: the file's command and environment, with this machine's names and ports."""

    command: list[str]
    environment: dict[str, str]


def on_this_machine(name: str, ports: Ports, variables: Mapping[str, str], path: Path = PATH) -> Service:
    service = read_compose(path)["services"][name]

    def adapt(text: str) -> str:
        text = interpolate(text, variables)
        text = re.sub(r"//(bridge|emulator|backend)\b", "//localhost", text)
        for port, here in (("8080", ports.bridge), ("8888", ports.emulator), ("9000", ports.backend)):
            text = re.sub(rf"\b{port}\b", str(here), text)
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            text = re.sub(rf"^{target}(?=/|$)", str((path.parent / source).resolve()), text)
        return text

    entry_point = read_entry_point() if service["image"].startswith("signalr-bridge") else []
    program, *arguments = [*entry_point, *map(adapt, service["command"])]
    command = {"signalr-bridge": app_command(), "node": [NODE]}[program] + arguments
    return Service(command, {key: adapt(value) for key, value in service.get("environment", {}).items()})


def read_entry_point() -> list[str]:
    """What our own images run before a service's command."""
    stages = read_dockerfile(OURS.read_text(encoding="utf-8")).stages
    (found,) = (one.text for stage in stages for one in stage.instructions if one.word == "ENTRYPOINT")
    entry_point: list[str] = json.loads(found)
    return entry_point


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """``${NAME:?message}`` as an engine reads it."""
    return re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: variables[match[1]], text)
