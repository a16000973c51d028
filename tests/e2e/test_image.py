"""The image: what is in it, what is not, and that it serves with a read-only root, no right, and packages of its own.

``make test`` builds it in a sandbox, line by line from the Dockerfile. ``FULL_SCALE`` (``make trial``) builds it by
buildah too, on a base of Debian's packages.
"""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import httpx
import pytest
from signalr_bridge import __version__

from tests.e2e.buildah import BuildahBuilder
from tests.e2e.dockerfile import OURS, read_dockerfile
from tests.e2e.forwarded import FULL_SCALE
from tests.e2e.images import Builder, Config, Container, Image, SandboxBuilder, list_modules
from tests.e2e.node_client import NodeClients
from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    ROOT,
    bridge_settings,
    eventually,
    free_port,
    wait_until_answered,
)
from tests.shape.test_product import FOR_DEVELOPMENT
from tests.shape.tree import APP

PAGE = (ROOT / "docs/images.md").read_text("utf-8")
SHARED_MEMORY = Path("/dev/shm")
MEMORY = SHARED_MEMORY if SHARED_MEMORY.is_dir() and not os.statvfs(SHARED_MEMORY).f_flag & os.ST_NOEXEC else None
"""Where thousands of files come and go fastest, if programs may run there."""
LIMIT = 90_000_000
"""Bytes that our layers may add to the base."""
FUNCTION_APP = """
import azure.functions as func
import humanize

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="size")
def size(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(humanize.naturalsize(int(req.params["count"])))
"""


def find_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Built:
    builder: Builder
    production: Image
    emulator: Image

    @property
    def program(self) -> Path:
        """What our layers have put into it."""
        return self.production.path("/opt/signalr-bridge")

    @property
    def packages(self) -> Path:
        (found,) = self.program.glob("lib/python3.*/site-packages")
        return found


@pytest.fixture(scope="module", params=["sandbox", *(["buildah"] if FULL_SCALE else [])])
def built(request: pytest.FixtureRequest) -> Iterator[Built]:
    place, text = Path(tempfile.mkdtemp(dir=None if request.param == "buildah" else MEMORY)), OURS.read_text("utf-8")
    engine = BuildahBuilder(place) if request.param == "buildah" else None
    builder: Builder = engine or SandboxBuilder(place)
    yield Built(
        builder,
        builder.build(ROOT, text, None, "signalr-bridge"),
        builder.build(ROOT, text, "emulator", "signalr-bridge-emulator"),
    )
    if engine is not None:
        engine.close()
    shutil.rmtree(place)


def test_production_has_nothing_that_is_for_development(built: Built) -> None:
    here, all_of_it = (list_modules(one, "signalr_bridge") for one in (built.production, built.emulator))
    left_out = {*FOR_DEVELOPMENT, "dev_secret", "dev_settings"}
    assert all_of_it == {path.name.removesuffix(".py") for path in APP.iterdir()} - {"__pycache__"}
    assert all_of_it - here == left_out
    assert not {path.name.split(".")[0] for path in built.packages.glob("signalr_bridge/__pycache__/*")} & left_out
    for command in ("dev", "emulator"):
        done = built.production.run("signalr-bridge", command)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"dev and emulator are not in this image: .*\n", done.stderr)
    # What the package says of itself is what is there.
    (own,) = (one for one in distributions(path=[str(built.packages)]) if one.name == "signalr-bridge")
    assert [one for one in own.files or [] if not Path(str(one.locate())).exists()] == []
    assert [point.name for point in own.entry_points] == ["signalr-bridge"]


def test_its_root_is_nobodys_to_change_and_everybodys_to_read(built: Built) -> None:
    modes = [path.stat().st_mode for path in built.program.rglob("*") if not path.is_symlink()]
    assert all(mode & 0o004 and not mode & 0o022 for mode in modes)
    done = built.production.run("sh", "-c", "id -u; grep CapBnd /proc/self/status; touch /srv/here /tmp/here")
    assert done.stdout.split() == ["10001", "CapBnd:", "0" * 16]
    assert done.stderr.count("Read-only file system") == 2


def test_what_the_images_say_of_themselves(built: Built) -> None:
    said = built.production.config
    assert said == Config(
        environment=said.environment,
        labels=said.labels,
        user="10001:10001",
        folder="/srv",
        entry_point=("signalr-bridge",),
        command=("serve",),
        health=said.health,
        ports=("8080",),
    )
    names = {"title", "description", "licenses", "version", "revision", "base.name"}
    assert set(said.labels) == {f"org.opencontainers.image.{name}" for name in names}
    assert said.labels["org.opencontainers.image.version"] == __version__
    emulator = built.emulator.config
    assert (emulator.entry_point, emulator.user) == (said.entry_point, said.user)
    assert (emulator.command, emulator.ports) == (("emulator", "--host", "0.0.0.0"), ("8888",))
    assert emulator.labels["org.opencontainers.image.title"] == "signalr-bridge-emulator"


def test_the_licences_of_all_that_is_shipped_are_in_it(built: Built) -> None:
    folder = built.program / "licenses"
    index = (folder / "index.txt").read_text("utf-8").splitlines()
    packages = list(distributions(path=[str(built.packages)]))
    assert sorted(line.split(": ")[0] for line in index) == sorted(f"{one.name} {one.version}" for one in packages)
    assert not [line for line in index if re.search(r": (UNKNOWN)?$", line)]
    for one in packages:
        if one.metadata.get_all("License-File"):
            assert any((folder / f"{one.name}-{one.version}").iterdir()), one.name
    assert ".NET Foundation" in (folder / f"signalr-bridge-{__version__}/1-signalr.LICENSE.txt").read_text("utf-8")


def test_our_layers_are_small(built: Built) -> None:
    archive = subprocess.run(["tar", "-C", str(built.program), "-c", "."], capture_output=True, check=True).stdout
    assert len(archive) <= LIMIT
    assert not [path for path in built.packages.iterdir() if path.name in {"pip", "setuptools", "pytest"}]


def run_emulator(built: Built, port: int, upstream: str) -> Container:
    command = [*built.emulator.config.command, "--port", str(port), "--upstream", upstream]
    return built.emulator.start(*command)


def derive(built: Built, number: int, files: dict[str, str], folder: Path) -> Image:
    """The page's Dockerfile of this number, with the page's requirements."""
    for name, text in (files | {"requirements.txt": find_blocks("text")[0]}).items():
        (folder / name).write_text(text, "utf-8")
    return built.builder.build(folder, find_blocks("dockerfile")[number], None, f"derived-{number}")


def test_a_derived_image_with_packages_serves_drains_and_stops(built: Built, tmp_path: Path, node: NodeClients) -> None:
    image = derive(built, 0, {"chat.py": find_blocks("python")[0]}, tmp_path)
    port, emulator_port = free_port(), free_port()
    settings = bridge_settings(emulator_port) | NAMED_CLIENTS
    settings |= {"BRIDGE_PORT": str(port), "BRIDGE_LIMITS__DRAIN_SECONDS": "1", "BRIDGE_HOST": "127.0.0.1"}
    with (
        run_emulator(built, emulator_port, f"http://localhost:{port}/upstream") as emulator,
        image.start(settings=settings) as bridge,
    ):
        wait_until_answered(emulator, f"http://127.0.0.1:{emulator_port}/api/health")
        wait_until_answered(bridge, f"http://127.0.0.1:{port}/health/ready")
        health = image.run(*image.config.health, settings={"BRIDGE_PORT": str(port)})
        assert (health.returncode, health.stdout + health.stderr) == (0, "")
        ann = node.client().start(f"http://localhost:{port}/hubs/chat?userId=ann")
        assert ann.invoke("size", 3000000) == "3.0 MB"
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            item = {"target": "newMessage", "arguments": ["hello"]}
            sent = http.post("/hubs/chat/send", json=item, headers={"X-API-Key": API_KEY})
            assert sent.json()["status"] == "accepted"
            assert ann.message() == ("newMessage", ["hello"])
            ann.stop()
            bridge.terminate()
            ready = eventually(lambda: _ask_until_stopping(http), "the drain")
            assert ready == {"status": "stopping"}
        assert bridge.wait() == 0
        assert image.run(*image.config.health, settings={"BRIDGE_PORT": str(port)}).returncode == 1


def _ask_until_stopping(http: httpx.Client) -> object:
    answer = http.get("/health/ready")
    return answer.json() if answer.status_code == 503 else None


def test_a_derived_image_runs_a_function_app_with_packages(built: Built, tmp_path: Path) -> None:
    files = {"function_app.py": FUNCTION_APP, "host.json": json.dumps({"version": "2.0"})}
    image = derive(built, 1, files, tmp_path)
    port = free_port()
    settings = bridge_settings(free_port()) | {"BRIDGE_PORT": str(port), "BRIDGE_LIMITS__DRAIN_SECONDS": "0"}
    with image.start(settings=settings) as bridge:
        wait_until_answered(bridge, f"http://127.0.0.1:{port}/health/live")
        assert httpx.get(f"http://127.0.0.1:{port}/api/size?count=2000", trust_env=False).text == "2.0 kB"
        bridge.terminate()
        assert bridge.wait() == 0


def test_a_bill_of_materials_names_all_that_is_shipped(built: Built) -> None:
    if isinstance(built.builder, BuildahBuilder):
        out = built.builder.export(ROOT, OURS.read_text("utf-8"), "sbom")
        bill = json.loads((out / "signalr-bridge.cdx.json").read_text("utf-8"))
        named = {f"{one['name'].lower()} {one['version']}" for one in bill["components"]}
        packages = {f"{one.name.lower()} {one.version}" for one in distributions(path=[str(built.packages)])}
        assert packages <= named
    else:  # what CycloneDX's own program knows nothing of
        python = str(built.program / "bin/python")
        given = json.dumps({"bomFormat": "CycloneDX", "components": [{"purl": "pkg:pypi/uvloop"}]})
        script = [python, str(ROOT / "deploy/image/sbom.py")]
        bill = json.loads(subprocess.run(script, input=given, capture_output=True, text=True, check=True).stdout)
    assert bill["bomFormat"] == "CycloneDX"
    kinds = {one.get("purl", "").partition("/")[0] for one in bill["components"]}
    assert {"pkg:pypi", "pkg:deb", "pkg:npm", "pkg:generic"} <= kinds


def test_the_base_is_named_once_and_pinned_only_by_a_registry(tmp_path: Path) -> None:
    text = OURS.read_text("utf-8")
    dockerfile = read_dockerfile(text)
    outside = {one.base for one in dockerfile.stages} - {one.name for one in dockerfile.stages} - {"scratch"}
    assert outside == {dockerfile.arguments["BASE_IMAGE"]}
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-trixie(@sha256:[0-9a-f]{64})?", outside.pop())
    copy = tmp_path / "Dockerfile"
    copy.write_text(text, "utf-8")
    script = [sys.executable, str(ROOT / "deploy/image/pin.py"), str(copy)]
    done = subprocess.run(script, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("No registry says the digest of python:3.")
    assert copy.read_text("utf-8") == text
    write_pin = runpy.run_path(script[1])["pin"]
    pinned = write_pin(write_pin(text, f"sha256:{'0' * 64}"), f"sha256:{'1' * 64}")
    tag = dockerfile.arguments["BASE_IMAGE"].partition("@")[0]
    assert read_dockerfile(pinned).arguments["BASE_IMAGE"] == f"{tag}@sha256:{'1' * 64}"
    assert len(pinned.splitlines()) == len(text.splitlines())


def test_the_bake_file_names_targets_and_both_platforms() -> None:
    text = (ROOT / "deploy/docker-bake.hcl").read_text("utf-8")
    named = re.findall(r'^\s+target\s+= "([\w-]+)"', text, re.MULTILINE)
    assert sorted(named) == ["dev", "emulator", "production", "sbom"]
    for name in named:
        read_dockerfile(OURS.read_text("utf-8")).find(name)
    assert re.findall(r'platforms\s+= \["(\S+)", "(\S+)"\]', text) == [("linux/amd64", "linux/arm64")]
