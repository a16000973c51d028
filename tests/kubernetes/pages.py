"""What is made of the chart's schema and of what it renders: ``make chart`` writes these files anew.

The schema is the one place of all values: their names, types, defaults and what they mean.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.e2e.processes import ROOT
from tests.kubernetes.helm import CHART, template

VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
PAGE = ROOT / "docs/kubernetes.md"
KUSTOMIZE = ROOT / "deploy" / "kustomize"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
COPY_OF_ALERTS = CHART / "alerts.yaml"
"""Helm reads no file outside of the chart."""

BLOCK = re.compile(r"(<!-- values: .*? -->\n)(.*?)(<!-- end of values -->)", re.DOTALL)
WIDTH = 118
_OF_HELM = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)
_DOCUMENT = re.compile(r"^---\n# Source: .*\n", re.MULTILINE)

Node = Mapping[str, Any]


def read_schema() -> Node:
    """The schema of the values."""
    schema: Node = json.loads(SCHEMA.read_text("utf-8"))
    return schema


def leaves(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every value that can be set, with its path."""
    for name, below in node["properties"].items():
        if "properties" in below:
            yield from leaves(below, (*path, name))
        else:
            yield (*path, name), below


def write_values() -> str:
    """``values.yaml``: each value with its default and, above it, what it means."""
    head = ["# The values of the chart, with their defaults. Written by make chart from values.schema.json.", ""]
    return "\n".join([*head, *_value_lines(read_schema(), "")]).rstrip("\n") + "\n"


def _value_lines(node: Node, indent: str) -> Iterator[str]:
    for name, below in node["properties"].items():
        if name == "global":
            continue  # Helm's own, and no value of ours
        yield from (f"{indent}# {line}" for line in textwrap.wrap(below["description"], WIDTH - len(indent)))
        if "properties" in below:
            yield f"{indent}{name}:"
            yield from _value_lines(below, indent + "  ")
        else:
            yield from (f"{indent}# Such as: {json.dumps(one)}" for one in below.get("examples", ()))
            yield f"{indent}{name}: {json.dumps(below['default'])}"
        if not indent:
            yield ""


def write_table() -> str:
    """The table of the page, a row for each value."""
    rows = [f"| `{'.'.join(path)}` | {_default(node)} | {_meaning(node)} |" for path, node in leaves(read_schema())]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows]).replace("|  |", "| |")


def _default(node: Node) -> str:
    default = node["default"]
    return "" if default in ("", [], {}, None) else f"`{json.dumps(default).strip(chr(34))}`"


def _meaning(node: Node) -> str:
    texts = [node["description"]]
    if "enum" in node:
        texts.append("One of " + ", ".join(f"`{one}`" for one in node["enum"]) + ".")
    texts += [f"Such as `{json.dumps(one)}`." for one in node.get("examples", ())]
    return " ".join(texts).replace("|", "\\|")


def write_page(page: str) -> str:
    """The page with the table as it should be."""
    return BLOCK.sub(lambda match: f"{match[1]}{write_table()}\n{match[3]}", page)


def write_kustomize() -> dict[str, str]:
    """The files of ``deploy/kustomize`` by name: what the chart renders by default, without Helm's own labels."""
    texts = [_OF_HELM.sub("", text).strip() + "\n" for text in _DOCUMENT.split(template())[1:]]
    files = {f"{yaml.safe_load(text)['kind'].lower()}.yaml": text for text in texts}
    return dict(sorted(files.items())) | {"kustomization.yaml": _kustomization(list(files))}


def _kustomization(files: list[str]) -> str:
    resources = "\n".join(f"  - {name}" for name in sorted(files))
    return f"""\
# What the chart renders by default (docs/kubernetes.md). Written by make chart: change it by an overlay of your own.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
{resources}
"""


def main() -> None:
    COPY_OF_ALERTS.write_text(ALERTS.read_text("utf-8"), "utf-8")
    VALUES.write_text(write_values(), "utf-8")
    PAGE.write_text(write_page(PAGE.read_text("utf-8")), "utf-8")
    KUSTOMIZE.mkdir(exist_ok=True)
    for name, text in write_kustomize().items():
        (KUSTOMIZE / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
