"""Images by buildah, without a registry: the base is made of Debian's packages. It takes minutes: see `make trial`."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.images import Config, Image
from tests.install import find

SUITE = "trixie"
"""Of the Debian that the Dockerfile's own base is made of. Its Python is 3.13."""
_BASE = "localhost/base"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass
class BuildahBuilder:
    """Builds and keeps everything below a folder."""

    place: Path

    def build(self, folder: Path, text: str, target: str | None, name: str) -> Image:
        self._make_base()
        file = self.place / "Dockerfile"
        file.write_text(text, "utf-8")
        chosen = [] if target is None else ["--target", target]
        self._buildah("bud", "--layers", *self._options(), *chosen, "--tag", name, "--file", str(file), str(folder))
        container = self._buildah("from", "--pull-never", f"localhost/{name}").strip()
        root = self._buildah("mount", container).strip()
        return Image(Path(root), self._read_config(name))

    def export(self, folder: Path, text: str, target: str) -> Path:
        """The files of a target that has nothing but files."""
        self._make_base()
        file, out = self.place / "Dockerfile", self.place / "out"
        file.write_text(text, "utf-8")
        output = ["--output", f"type=local,dest={out}"]
        self._buildah(
            "bud", "--layers", *self._options(), "--target", target, *output, "--file", str(file), str(folder)
        )
        return out

    def close(self) -> None:
        self._buildah("umount", "--all")
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")

    def _options(self) -> list[str]:
        # Behind a proxy that opens TLS this machine trusts one more certificate. The base does not.
        trusted = f"{_CERTIFICATES}:{_CERTIFICATES}:ro"
        return ["--format", "docker", "--volume", trusted, "--build-arg", f"BASE_IMAGE={_BASE}"]

    def _make_base(self) -> None:
        root = self.place / "base"
        if root.exists():
            return
        packages = "--include=python3,python3-venv,ca-certificates"
        _run([find("debootstrap"), "--variant=minbase", packages, SUITE, str(root)])
        for name in ("var/cache/apt/archives", "var/lib/apt/lists"):
            _run(["find", str(root / name), "-type", "f", "-delete"])
        file = self.place / "Dockerfile"
        file.write_text("FROM scratch\nCOPY . /\n")
        self._buildah("bud", "--format", "docker", "--tag", _BASE, "--file", str(file), str(root))

    def _buildah(self, *arguments: str) -> str:
        storage = ["--root", str(self.place / "store"), "--runroot", str(self.place / "run")]
        environment = os.environ | {"BUILDAH_ISOLATION": "chroot"}
        return _run([find("buildah"), *storage, *arguments], environment)

    def _read_config(self, name: str) -> Config:
        image = json.loads(self._buildah("inspect", "--type", "image", f"localhost/{name}"))
        said: dict[str, Any] = image["Docker"]["config"]
        labels = {key: value for key, value in (said["Labels"] or {}).items() if not key.startswith("io.buildah.")}
        return Config(
            environment=dict(one.split("=", 1) for one in said["Env"]),
            labels=labels,
            user=said["User"],
            folder=said["WorkingDir"],
            entry_point=tuple(said["Entrypoint"] or ()),
            command=tuple(said["Cmd"] or ()),
            health=tuple((said.get("Healthcheck") or {}).get("Test", ())[1:]),
            ports=tuple(one.removesuffix("/tcp") for one in said.get("ExposedPorts") or {}),
        )


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout
