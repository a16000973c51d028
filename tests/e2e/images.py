"""Images without a container engine: built line by line from a Dockerfile, and started by bubblewrap with a read-only root.

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from tests.e2e.dockerfile import Dockerfile, Instruction, fill, read_dockerfile
from tests.e2e.processes import E2E, ROOT, Process
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
    mounts: tuple[str, ...] = ()
    """bubblewrap's options for what the root does not hold itself."""

    def wrap(self, *arguments: str, settings: Mapping[str, str] | None = None) -> list[str]:
        """The command of a container: a read-only root, nothing to write to, the image's user, no capability."""
        user, _, group = self.config.user.partition(":")
        options = ["--ro-bind", str(self.root), "/", *self.mounts, "--proc", "/proc", "--dev", "/dev"]
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
            has_run = any(one.word == "RUN" for one in stage.instructions)
            step = _Step(folder, self._copy(base, linked=not has_run), {}, dockerfile.arguments)
            for one in stage.instructions:
                if one.word == "COPY" and (match := re.match(r"--from=(\S+) ", one.text)) is not None:
                    step.copy(one.text[match.end() :], self._build_stage(folder, text, dockerfile, match[1]).root)
                else:
                    step.take(one)
            self._stages[text, name] = step.image
        return self._stages[text, name]

    def _copy(self, image: Image, *, linked: bool) -> Image:
        """Where nothing runs, nothing changes a file: links do, and cost less."""
        root = self.place / f"root-{len(list(self.place.iterdir()))}"
        subprocess.run(["cp", "-al" if linked else "-a", str(image.root), str(root)], check=True)
        return replace(image, root=root)

    def _make_base(self) -> Image:
        root = self.place / f"base-{len(list(self.place.iterdir()))}"
        mounts: list[str] = []
        for name in (*_SHARED, "proc", "dev", "tmp", "srv", "opt", *_PYTHON.parts[1:2]):
            path = Path("/", name)
            if path.is_symlink():
                root.mkdir(exist_ok=True)
                (root / name).symlink_to(os.readlink(path))
            else:
                (root / name).mkdir(parents=True, exist_ok=True)
                if name in _SHARED and path.is_dir():
                    mounts += ["--ro-bind", str(path), str(path)]
        if not _PYTHON.is_relative_to("/usr"):
            (root / _PYTHON.relative_to("/")).mkdir(parents=True, exist_ok=True)
            mounts += ["--ro-bind", str(_PYTHON), str(_PYTHON)]
        path_variable = f"{_PYTHON}/bin:/usr/local/bin:/usr/bin:/bin"
        return Image(root, Config({"PATH": path_variable}), tuple(mounts))


@dataclass
class _Step:
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
                self.copy(one.text, self.folder)
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

    def _configure(self, **changes: object) -> None:
        config = replace(self.image.config, **changes)  # type: ignore[arg-type]
        self.image = replace(self.image, config=config)

    def _place(self, path: str) -> Path:
        return self.image.root / os.path.normpath(os.path.join(self.image.config.folder, path)).lstrip("/")

    def copy(self, text: str, source: Path) -> None:
        """COPY: a folder's contents, or files into a folder. Of the context, only what is not ignored."""
        *names, target = text.split()
        kept = _read_ignored(source) if source == self.folder else None
        for name in names:
            found = [source] if name == "." else sorted(source.glob(name.lstrip("/")))
            assert found, f"COPY {text}: no {name}"
            for path in found:
                into = self._place(target)
                if path.is_dir():
                    _copy_folder(path, into, source, kept)
                elif kept is None or kept(str(path.relative_to(source))):
                    place = into / path.name if target.endswith("/") or target == "." or into.is_dir() else into
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, place)

    def _run(self, text: str) -> None:
        site = sysconfig.get_paths()["purelib"]
        seed = f"python3 /tmp/seed.py {{}} {site} {{}}"
        text = _VENV.sub(lambda m: f"python3 -m venv --without-pip {m[1]} && {seed.format(m[1], 'pip')}", text)
        text = _LOCKED.sub(lambda m: seed.format(m[2] or m[1], m[3]), text)
        options = ["--bind", str(self.image.root), "/", *self.image.mounts, "--proc", "/proc", "--dev", "/dev"]
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


def _copy_folder(path: Path, into: Path, source: Path, kept: _Kept | None) -> None:
    def leave_out(folder: str, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            if kept is not None and not kept(str((Path(folder) / name).relative_to(source))):
                yield name

    shutil.copytree(
        path,
        into,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=lambda name, names: set(leave_out(name, names)),
        copy_function=shutil.copy2 if kept is not None else os.link,  # what another stage has made stays as it is
    )


def list_modules(image: Image, package: str) -> set[str]:
    """What a package of the image's program holds."""
    (folder,) = image.root.glob(f"opt/signalr-bridge/lib/python3.*/site-packages/{package}")
    return {path.name.removesuffix(".py") for path in folder.iterdir()} - {"__pycache__"}


__all__ = ["ROOT", "Builder", "Config", "Container", "Image", "SandboxBuilder", "list_modules"]
