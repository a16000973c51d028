"""``signalr-bridge init``: what it writes runs by its own README, command by command, in a clean folder."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import standardwebhooks
from signalr_bridge.check import examine
from signalr_bridge.errors import SettingsError
from signalr_bridge.init import write_project
from signalr_bridge.settings import Sources

from tests import golang
from tests.e2e.compose_file import Ports, on_this_machine
from tests.e2e.examples import FOLDER
from tests.e2e.node_client import NodeClients
from tests.e2e.processes import NODE, Process, app_command, clean_environment, free_port, wait_until_answered
from tests.install import find
from tests.java import SHORT_LIVED

LANGUAGES = {"python": "chat.py", "node": "backend.js", "go": "main.go", "php": "backend.php", "java": "Main.java"}
"""With the program that is the handler."""

PORTS = (8080, 8888, 9000, 5173)
"""Those that a project names. Tests share a machine, so each gets others."""


def init(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = app_command("init", *arguments)
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def environment() -> dict[str, str]:
    """The programs that the commands name are those of the tests, and Python is the one with the bridge."""
    # Node before Python: beside that is a wrapper of the name, and ending it would leave the program behind.
    folders = {str(Path(one).parent): None for one in (NODE, sys.executable, *map(find, ("go", "php", "java")))}
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    settings = {"PATH": path, "GOCACHE": str(golang.CACHE), "JDK_JAVA_OPTIONS": SHORT_LIVED}
    return clean_environment() | golang.SETTINGS | settings


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def project(language: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(language) / "my chat"
    write_project(language, folder)
    return folder


@pytest.fixture(scope="module")
def ports() -> Mapping[int, int]:
    return {port: free_port() for port in PORTS}


@pytest.fixture(scope="module")
def running(language: str, project: Path, ports: Mapping[int, int]) -> Iterator[list[Process]]:
    """What the README says, in its order: a block that ends by itself has ended well, one that runs on is running."""
    for path in (project / "bridge.toml", project / "page" / "index.html"):
        path.write_text(exchange(path.read_text("utf-8"), ports), "utf-8")
    readme = (project / "README.md").read_text("utf-8")
    test, *terminals = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["sh", "-ec", test], cwd=project, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with ExitStack() as stack:
        processes = []
        for block in terminals:
            *before, last = exchange(block, ports).rstrip("\n").split("\n")
            if last.startswith("signalr-bridge dev"):
                last += f" --port {ports[8080]} --emulator-port {ports[8888]}"
            script = "\n".join([*before, f"exec {last}"])  # the shell is replaced: what is ended is the program
            command, settings = ["sh", "-ec", script], environment() | {"PORT": str(ports[9000])}
            processes.append(stack.enter_context(Process(last, command, settings, project)))
        wait_until_answered(processes[0], f"http://localhost:{ports[8080]}/health/live")
        for process in processes[1:-1]:
            wait_until_answered(process, f"http://localhost:{ports[9000]}/health")
        wait_until_answered(processes[-1], f"http://localhost:{ports[5173]}/")
        yield processes


def exchange(text: str, ports: Mapping[int, int]) -> str:
    for port, here in ports.items():
        text = re.sub(rf"\b{port}\b", str(here), text)
    return text


def test_it_runs_by_its_own_readme(running: list[Process], ports: Mapping[int, int], node: NodeClients) -> None:
    ann = node.client().start(f"http://localhost:{ports[8080]}/hubs/chat?userId=ann")
    bob = node.client().start(f"http://localhost:{ports[8080]}/hubs/chat?userId=bob")
    assert ann.invoke("broadcast", "hello") == "sent"
    assert ann.message() == bob.message() == ("newMessage", ["ann", "hello"])
    ann.stop()
    bob.stop()


def test_its_page_needs_nothing_from_elsewhere(running: list[Process], ports: Mapping[int, int]) -> None:
    page = f"http://localhost:{ports[5173]}"
    text = httpx.get(f"{page}/", trust_env=False).text
    assert re.findall(r'(?:src|href)="([^"]+)"', text) == ["signalr.min.js"]
    assert set(re.findall(r"https?://[^\"'` /]+", text)) == {f"http://localhost:{ports[8080]}"}
    assert "signalR" in httpx.get(f"{page}/signalr.min.js", trust_env=False).text
    # As a browser does for a page that comes from another port.
    for origin, allowed in ((page, True), ("https://foreign.example", False)):
        url = f"http://localhost:{ports[8080]}/hubs/chat/negotiate?userId=ann&negotiateVersion=1"
        response = httpx.post(url, headers={"Origin": origin}, trust_env=False)
        assert (response.headers.get("Access-Control-Allow-Origin") == origin) is allowed


def test_its_handler_is_the_example_that_is_explained(project: Path, language: str) -> None:
    program = LANGUAGES[language]
    if language != "python":
        assert (project / program).read_bytes() == (FOLDER / language / program).read_bytes()
    assert f"`{program}`" in (project / "README.md").read_text("utf-8")


def test_its_secrets_are_new_and_nobody_elses(project: Path, language: str, tmp_path: Path) -> None:
    again = tmp_path / "again"
    names = write_project(language.upper(), again)
    values = [dict(re.findall(r"^(\w+)=(\S+)$", (one / ".env").read_text(), re.MULTILINE)) for one in (project, again)]
    assert all(values[0][name] != values[1][name] for name in values[0])
    assert len(values[0]["CALLER_KEY"]) >= 32
    if language != "python":
        standardwebhooks.Webhook(values[0]["WEBHOOK_SECRET"])
        assert values[0]["WEBHOOK_SECRET"] == values[0]["BRIDGE_FORWARD__CHAT__SECRETS"]

    files = {path.relative_to(again): path for path in again.rglob("*") if path.is_file()}
    assert sorted(files) == names
    assert {path.name for path in files.values() if path.stat().st_mode & 0o077 == 0} == {".env"}
    assert ".env" in (again / ".gitignore").read_text().split()
    for path in files.values():
        text = path.read_text("utf-8")
        assert "{{" not in text, path
        assert path.name == ".env" or not [secret for secret in values[1].values() if secret in text], path


def test_its_compose_file_is_one_that_the_bridge_understands(project: Path, language: str) -> None:
    variables = dict(re.findall(r"^(\w+)=(\S+)$", (project / ".env").read_text(), re.MULTILINE))
    service = on_this_machine("bridge", Ports(8080, 8888, 9000), variables, project / "compose.yaml")
    *_, option, file = service.command
    assert (option, file) == ("--settings", str(project / "bridge.toml"))
    report = examine(Sources(service.environment, {"bridge_settings_file": file}).read())
    assert report.settings is not None
    assert [rule.hub for rule in report.settings.forward.values()] == ([] if language == "python" else ["chat"])
    assert report.settings.handlers == (("chat:chat",) if language == "python" else ())


# --- the command, and what it refuses


def test_the_command_says_what_it_has_written_and_what_to_read(tmp_path: Path) -> None:
    done = init("Node", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    *files, last = done.stdout.splitlines()
    assert set(files) == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert last == f"How to test and run it stands in {Path('chat', 'README.md')}."

    done = init("node", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The folder 'chat' is not empty, and init overwrites nothing: name another one.\n"


@pytest.mark.parametrize("name", ["cobol", "", "all", "backend", "../node", "node/"])
def test_an_unknown_language_is_told_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        write_project(name, tmp_path / "chat")
    assert str(refused.value) == "init knows no such language. It knows: go, java, node, php, python."
    assert not (tmp_path / "chat").exists()


def test_it_overwrites_nothing(tmp_path: Path) -> None:
    (full := tmp_path / "full").mkdir()
    (file := full / ".hidden").write_text("mine")
    refusals = {
        full: f"The folder '{full}' is not empty, and init overwrites nothing: name another one.",
        file: f"The folder '{file}' cannot be written: File exists.",
        file / "chat": f"The folder '{file / 'chat'}' cannot be written: Not a directory.",
    }
    for folder, refusal in refusals.items():
        with pytest.raises(SettingsError) as refused:
            write_project("node", folder)
        assert str(refused.value) == refusal
    assert [path.name for path in full.iterdir()] == [".hidden"]
    assert file.read_text() == "mine"
