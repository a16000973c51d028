"""Helm itself, as tests/install.py has made it, and what it renders of the chart."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.processes import ROOT
from tests.install import find

CHART = ROOT / "deploy" / "helm" / "signalr-bridge"
RELEASE = "signalr-bridge"
OLDEST, NEWEST = "1.27", "1.37"
"""The versions of Kubernetes that the chart is for: what Chart.yaml says, and the newest whose schemas there are."""

Resource = dict[str, Any]


class HelmError(Exception):
    """Helm has refused something. The text is its own."""


def run_helm(*arguments: str) -> str:
    """What Helm prints. Raises ``HelmError`` where it ends with another code than 0."""
    env = {name: text for name, text in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    done = subprocess.run([find("helm"), *arguments], capture_output=True, text=True, env=env, timeout=60, check=False)
    if done.returncode:
        raise HelmError(done.stderr + done.stdout)
    return done.stdout


def template(*arguments: str) -> str:
    """The chart as YAML, with values by ``--values`` and ``--set``."""
    return run_helm("template", RELEASE, str(CHART), "--kube-version", NEWEST, *arguments)


def render(*arguments: str) -> list[Resource]:
    """The chart's resources."""
    return [one for one in yaml.safe_load_all(template(*arguments)) if one]


def find_kind(resources: list[Resource], kind: str) -> Resource:
    """The first resource of this kind. Raises ``StopIteration`` where there is none."""
    return next(one for one in resources if one["kind"] == kind)


def write_values(file: Path, values: dict[str, Any]) -> str:
    """The name of the file, once the values stand in it."""
    file.write_text(yaml.safe_dump(values), "utf-8")
    return str(file)
