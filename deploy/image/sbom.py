"""Completes a bill of materials (CycloneDX, JSON, standard input) by what is in the image besides Python packages.

That is the interpreter, Debian's packages of the base, and Microsoft's browser client, which the page carries.
"""

import json
import platform
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote


def describe(kind: str, name: str, version: str, address: str) -> dict[str, str]:
    return {"type": kind, "bom-ref": address, "name": name, "version": version, "purl": address}


def list_debian() -> list[dict[str, str]]:
    """The base's packages, where dpkg is there to ask."""
    try:
        form = "${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n"
        listed = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return []
    rows = [line.split("\t") for line in listed.splitlines()]
    return [
        describe("library", name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}")
        for state, name, version, architecture in rows
        if state.startswith("ii")
    ]


def describe_client() -> dict[str, str]:
    file = Path(str(distribution("signalr-bridge").locate_file("signalr_bridge/static/signalr.VERSION.txt")))
    name, version = file.read_text("utf-8").split()
    return describe("library", name, version, f"pkg:npm/{quote(name, safe='/')}@{version}")


def complete(bill: dict[str, Any]) -> dict[str, Any]:
    version = platform.python_version()
    python = describe("platform", "python", version, f"pkg:generic/python@{version}")
    bill["components"] = [*bill["components"], python, describe_client(), *list_debian()]
    return bill


if __name__ == "__main__":
    json.dump(complete(json.load(sys.stdin)), sys.stdout, indent=2)
