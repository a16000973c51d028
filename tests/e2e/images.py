"""Images without an engine: built line by line from a Dockerfile, and started by bubblewrap with a read-only root.

``SandboxBuilder`` takes this machine's own ``/usr`` and Python for the base, and for what lock files name the packages
that the tests have already. All else is done as it is written. ``tests.e2e.buildah`` builds for real (``make trial``).
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from tests.e2e.dockerfile import Dockerfile, Instruction, fill, read_dockerfile
from tests.e2e.processes import E2E, Process
from tests.install import find

_PYTHON = Path(sys.base_prefix)
_SHARED = ("usr", "etc", "bin", "sbin", "lib", "lib64")
"""What the sandbox's base has of this machine, beside its Python."""
_VENV = re.compile(r"python3? -m venv (?!-)(\S+)")
_LOCKED = re.compile(r"(\S+)/bin/pip (?:--python (\S+)/bin/python )?install [^&|]*?-r (deploy/\S+)")


@dataclass(frozen=True)
class Config:
    """What an image says of itself."""

    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = "/"
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    root: Path
    config: Config
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Folders that lie elsewhere: parts of this machine, and what other stages have made."""

    def path(self, inside: str) -> Path:
        """Where a path of the image lies on this machine."""
        above = [place for place in self.mounts if Path(inside).is_relative_to(place)]
        place = max(above, key=len, default="/")
        return self.mounts.get(place, self.root) / Path(inside).relative_to(place)

    def bind(self) -> list[str]:
        """bubblewrap's options for the folders that lie elsewhere. Nothing in them can be changed."""
        return [word for inside, path in self.mounts.items() for word in ("--ro-bind", str(path), inside)]

    def wrap(self, *arguments: str, settings: Mapping[str, str] | None = None) -> list[str]:
        """The command of a container: a read-only root, nothing to write to, the image's user, no capability."""
        user, _, group = self.config.user.partition(":")
        options = ["--ro-bind", str(self.root), "/", *self.bind(), "--proc", "/proc", "--dev", "/dev"]
        options += ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent"]
        options += ["--uid", user, "--gid", group, "--cap-drop", "ALL", "--chdir", self.config.folder, "--clearenv"]
        for name, value in {**self.config.environment, **(settings or {})}.items():
            options += ["--setenv", name, value]
        return [find("bwrap"), *options, "--", *arguments]

    def run(self, *arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = self.wrap(*arguments, settings=settings)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def start(self, *arguments: str, settings: Mapping[str, str] | None = None) -> "Container":
        """A container with the image's own entry point, and its own command where none is given."""
        command = (*self.config.entry_point, *(arguments or self.config.command))
        return Container(" ".join(command[:2]), self.wrap(*command, settings=settings))


class Container(Process):
    """A process in a sandbox. A stop reaches the process itself, as an engine's does."""

    def terminate(self) -> None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)


class Builder(Protocol):
    def build(self, folder: Path, text: str, target: str | None, name: str) -> Image:
        """The image of a Dockerfile's text and the files of a folder. Later ones may begin with ``FROM name``."""


@dataclass
class SandboxBuilder:
    """Builds below a folder. Roots of stages are kept, as an engine keeps layers."""

    place: Path
    images: dict[str, Image] = field(default_factory=dict)
    _stages: dict[tuple[str, str], Image] = field(default_factory=dict)

    def build(self, folder: Path, text: str, target: str | None, name: str) -> Image:
        dockerfile = read_dockerfile(text)
        image = self._build_stage(folder, text, dockerfile, dockerfile.find(target).name)
        self.images[name] = image
        return image

    def _build_stage(self, folder: Path, text: str, dockerfile: Dockerfile, name: str) -> Image:
        if (text, name) not in self._stages:
            stage = dockerfile.find(name)
            names = {one.name for one in dockerfile.stages}
            if stage.base in names:
                base = self._build_stage(folder, text, dockerfile, stage.base)
            else:
                base = self.images.get(stage.base) or self._make_base()
            step = _StageBuild(folder, self._copy(base), {}, dockerfile.arguments)
            for one in stage.instructions:
                if one.word == "COPY" and (match := re.match(r"--from=(\S+) ", one.text)) is not None:
                    step.mount(one.text[match.end() :], self._build_stage(folder, text, dockerfile, match[1]))
                else:
                    step.take(one)
            self._stages[text, name] = step.image
        return self._stages[text, name]

    def _copy(self, image: Image) -> Image:
        root = self.place / f"root-{len(list(self.place.iterdir()))}"
        subprocess.run(["cp", "-a", str(image.root), str(root)], check=True)
        return replace(image, root=root)

    def _make_base(self) -> Image:
        root = self.place / f"base-{len(list(self.place.iterdir()))}"
        mounts: dict[str, Path] = {}
        for name in (*_SHARED, "proc", "dev", "tmp", "srv", "opt", *_PYTHON.parts[1:2]):
            path = Path("/", name)
            if path.is_symlink():
                root.mkdir(exist_ok=True)
                (root / name).symlink_to(os.readlink(path))
            else:
                (root / name).mkdir(parents=True, exist_ok=True)
                if name in _SHARED and path.is_dir():
                    mounts[str(path)] = path
        if not _PYTHON.is_relative_to("/usr"):
            (root / _PYTHON.relative_to("/")).mkdir(parents=True, exist_ok=True)
            mounts[str(_PYTHON)] = _PYTHON
        return Image(root, Config({"PATH": f"{_PYTHON}/bin:/usr/local/bin:/usr/bin:/bin"}), mounts)


@dataclass
class _StageBuild:
    """A stage that is being built."""

    folder: Path
    image: Image
    arguments: dict[str, str]
    outer: Mapping[str, str]

    def take(self, one: Instruction) -> None:
        config = self.image.config
        known = {**self.arguments, **config.environment}
        match one.word:
            case "ARG":
                name, given, default = one.text.partition("=")
                self.arguments[name] = os.environ.get(name) or (default if given else self.outer.get(name, ""))
            case "RUN":
                self._run(one.text)
            case "COPY":
                self.copy(one.text)
            case "ENV":
                self._configure(environment={**config.environment, **_read_pairs(one.text, known)})
            case "LABEL":
                self._configure(labels={**config.labels, **_read_pairs(one.text, known)})
            case "USER":
                self._configure(user=one.text)
            case "WORKDIR":
                self._configure(folder=os.path.join(config.folder, one.text))
                self._place(".").mkdir(parents=True, exist_ok=True)
            case "EXPOSE":
                self._configure(ports=(*config.ports, *one.text.split()))
            case "ENTRYPOINT":
                self._configure(entry_point=tuple(json.loads(one.text)))
            case "CMD":
                self._configure(command=tuple(json.loads(one.text)))
            case "HEALTHCHECK":
                self._configure(health=tuple(json.loads(one.text.partition(" CMD ")[2])))

    def _configure(self, **changes: Any) -> None:
        self.image = replace(self.image, config=replace(self.image.config, **changes))

    def _place(self, path: str) -> Path:
        return self.image.root / os.path.normpath(os.path.join(self.image.config.folder, path)).lstrip("/")

    def copy(self, text: str) -> None:
        """COPY: a folder's contents, or files, of what .dockerignore lets in."""
        *names, target = text.split()
        is_kept = _read_ignored(self.folder)
        for name in names:
            found = [self.folder] if name == "." else sorted(self.folder.glob(name))
            assert found, f"COPY {text}: no {name}"
            for path in found:
                into = self._place(target)
                if path.is_dir():
                    _copy_folder(path, into, self.folder, is_kept)
                elif is_kept(str(path.relative_to(self.folder))):
                    place = into / path.name if target.endswith("/") or into.is_dir() else into
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, place)

    def mount(self, text: str, source: Image) -> None:
        """COPY --from: a folder of another stage, which nobody changes any more. So a mount does, and costs nothing."""
        name, target = text.split()
        path, inside = source.path(name), os.path.normpath(os.path.join(self.image.config.folder, target))
        assert path.is_dir(), f"COPY --from {text}: no such folder"
        self._place(target).mkdir(parents=True, exist_ok=True)
        self.image = replace(self.image, mounts={**self.image.mounts, inside: path})

    def _run(self, text: str) -> None:
        site = sysconfig.get_paths()["purelib"]
        seed = f"python3 /tmp/seed.py {{}} {site} {{}}"
        text = _VENV.sub(lambda m: f"python3 -m venv --without-pip {m[1]} && {seed.format(m[1], 'pip')}", text)
        text = _LOCKED.sub(lambda m: seed.format(m[2] or m[1], m[3]), text)
        options = ["--bind", str(self.image.root), "/", *self.image.bind(), "--proc", "/proc", "--dev", "/dev"]
        options += ["--tmpfs", "/tmp", "--ro-bind", str(E2E / "seed.py"), "/tmp/seed.py"]
        options += ["--ro-bind", site, site, "--unshare-user", "--uid", "0", "--gid", "0", "--clearenv"]
        of_pip = {name: value for name, value in os.environ.items() if re.match(r"PIP_(CERT|INDEX_URL)$", name)}
        for name, value in {**of_pip, **self.image.config.environment, **self.arguments}.items():
            if value:
                options += ["--setenv", name, value]
        command = [find("bwrap"), *options, "--chdir", self.image.config.folder, "--", "sh", "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"RUN {text}\n{done.stdout}{done.stderr}"


def _read_pairs(text: str, known: Mapping[str, str]) -> dict[str, str]:
    pairs = (one.partition("=") for one in shlex.split(text))
    return {name: fill(value, known) for name, _, value in pairs}


class _Kept(Protocol):
    def __call__(self, path: str, /) -> bool: ...


def _read_ignored(folder: Path) -> _Kept:
    """Whether .dockerignore lets a file in: the last line that fits it, or a folder above it, decides."""
    file = folder / ".dockerignore"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    rules = [(re.compile(_translate(line.lstrip("!"))), line.startswith("!")) for line in lines if line[:1] not in "#"]

    def is_kept(path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        fits = [kept for pattern, kept in rules if any(map(pattern.fullmatch, above))]
        return fits[-1] if fits else True

    return is_kept


def _translate(pattern: str) -> str:
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.sub(r"\*\*/|\*\*|\*|\?|[^*?]+", lambda match: words.get(match[0], re.escape(match[0])), pattern)


def _copy_folder(path: Path, into: Path, source: Path, is_kept: _Kept) -> None:
    def leave_out(folder: str, names: Sequence[str]) -> set[str]:
        return {name for name in names if not is_kept(str((Path(folder) / name).relative_to(source)))}

    shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True, ignore=leave_out)


def list_modules(image: Image, package: str) -> set[str]:
    """What a package of the image's program holds."""
    (folder,) = image.path("/opt/signalr-bridge").glob(f"lib/python3.*/site-packages/{package}")
    return {path.name.removesuffix(".py") for path in folder.iterdir()} - {"__pycache__"}
