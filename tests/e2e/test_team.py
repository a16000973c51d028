"""A team with a package ``app`` of its own: its handlers are served, tested, typed, and installed beside the bridge."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

import pytest
from signalr_bridge import __version__

from tests.e2e.crowd import crowd
from tests.e2e.documented import write_programs
from tests.e2e.processes import (
    NAMED_CLIENTS,
    ROOT,
    Process,
    bridge_settings,
    free_port,
    run_emulator,
    wait_until_answered,
)
from tests.e2e.team import (
    CONSOLE,
    Environment,
    build_wheel,
    copy_team,
    make_environment,
    readme_blocks,
    run,
    try_run,
)
from tests.shape.tree import APP, TEMPLATES


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_team(tmp_path_factory.mktemp("teams"))


@pytest.fixture(scope="module")
def our_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def their_wheel(team: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(team, tmp_path_factory.mktemp("theirs"))


@pytest.fixture
def environment(our_wheel: Path, tmp_path: Path) -> Environment:
    """A fresh one with our wheel in it."""
    made = make_environment(tmp_path)
    made.install(our_wheel)
    return made


@pytest.fixture(scope="module")
def url(team: Path) -> Iterator[str]:
    """The bridge, started in the team's folder by its command."""
    port, emulator_port = free_port(), free_port()
    handlers = ["--handlers", "app.chat:chat", "--handlers", "my_chat:news"]
    with ExitStack() as stack:
        stack.enter_context(run_emulator(emulator_port, f"http://localhost:{port}/upstream"))
        settings = bridge_settings(emulator_port) | NAMED_CLIENTS
        command = [CONSOLE, "serve", "--port", str(port), *handlers]
        process = stack.enter_context(Process("bridge of a team", command, settings, folder=team))
        wait_until_answered(process, f"http://localhost:{port}/health/live")
        yield f"http://localhost:{port}"


async def test_handlers_in_a_package_of_the_same_name_serve_a_client(url: str) -> None:
    async with crowd(url) as clients, clients.member("ann") as ann:
        assert (await ann.invoke("enter"))["result"] == "room of ann"


async def test_handlers_in_a_file_serve_a_client(url: str) -> None:
    async with crowd(url) as clients, clients.member("ann", hub="news") as ann:
        assert (await ann.invoke("shout", "hi"))["result"] == "HI"
        assert (await ann.invoke("shout", ""))["error"] == "Say something."


def test_their_tests_import_their_handlers(team: Path) -> None:
    output = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=team)
    assert "2 passed" in output


def test_the_wheels_have_no_file_in_common(our_wheel: Path, their_wheel: Path) -> None:
    ours, theirs = (set(ZipFile(wheel).namelist()) for wheel in (our_wheel, their_wheel))
    assert "signalr_bridge/py.typed" in ours
    assert {name.split("/")[0] for name in ours} == {"signalr_bridge", f"signalr_bridge-{__version__}.dist-info"}
    assert {"app/chat.py", "my_chat.py"} <= theirs
    assert ours & theirs == set()


def test_the_wheel_has_what_init_writes(our_wheel: Path) -> None:
    """The programs among it too, to which the sources only link."""
    written = {path.relative_to(APP.parent).as_posix(): path for path in TEMPLATES.rglob("*") if path.is_file()}
    assert "signalr_bridge/templates/node/backend.js" in written
    with ZipFile(our_wheel) as wheel:
        kept = {name for name in wheel.namelist() if name.startswith("signalr_bridge/templates/")}
        assert kept == {name for name in written if not name.endswith(".pyc")}
        assert [name for name in kept if wheel.read(name) != written[name].read_bytes()] == []


def test_both_are_installed_and_uninstalled_in_any_order(environment: Environment, their_wheel: Path) -> None:
    environment.install(their_wheel)
    assert environment.can_import("app.chat", "my_chat", "signalr_bridge.main")
    assert str(environment.packages) in environment.run(
        "python", "-c", "import signalr_bridge as one; print(one.__file__)"
    )

    environment.uninstall("team-chat")
    assert not environment.can_import("app")
    assert environment.run("signalr-bridge", "--version").startswith("signalr-bridge ")

    environment.install(their_wheel)
    environment.uninstall("signalr-bridge")
    assert environment.can_import("app", "app.rooms")
    assert not environment.can_import("signalr_bridge")


def test_a_team_s_tests_of_its_handler_pass_from_the_wheel(environment: Environment, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    files = [file.name for file in write_programs("docs/testing.md", folder).values()]
    assert files == ["my_chat.py", "test_chat.py", "test_bridge.py"]
    ini = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    (folder / "pytest.ini").write_text(ini, "utf-8")
    tests = [str(environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    output = run(*tests, "--trace-config", folder=folder, environment=environment.variables)
    assert "4 passed" in output
    assert str(environment.packages / "signalr_bridge" / "fixtures.py") in output

    # Nothing of ours is loaded until a fixture is asked for.
    collect = "pytest.main(['-q', '--collect-only', '-p', 'no:cacheprovider', 'nothing.py'])"
    ask = f"import sys, pytest; {collect}; print(*sys.modules, sep='\\n')"
    output = run(environment.python, "-c", ask, folder=tmp_path, environment=environment.variables)
    loaded = {line for line in output.splitlines() if line.startswith("signalr_bridge")}
    assert loaded == {"signalr_bridge", "signalr_bridge.fixtures"}


@pytest.mark.slow
def test_mypy_finds_nothing_in_what_the_documentation_shows(environment: Environment, tmp_path: Path) -> None:
    for number, block in enumerate(blocks := readme_blocks()):
        (tmp_path / f"handlers_{number}.py").write_text(block, "utf-8")
    assert len(blocks) >= 2
    check = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(environment.python)]
    files = [f"handlers_{number}.py" for number in range(len(blocks))]
    programs = write_programs("docs/testing.md", tmp_path) | write_programs("docs/embedding.md", tmp_path)
    files += [name for name in programs if name != "asgi.py"]  # Django has no types
    assert len(files) >= 10
    run(*check, *files, folder=tmp_path, environment=environment.variables)

    (environment.packages / "signalr_bridge" / "py.typed").unlink()
    code, output = try_run(*check, *files, folder=tmp_path, environment=environment.variables)
    assert code == 1, output
    assert "py.typed" in output
