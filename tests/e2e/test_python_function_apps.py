"""Python function apps at the command line: what ``check`` and ``serve`` say of them, and whose settings count."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
from signalr_bridge.functions.app_values import SOURCE

from tests.e2e.processes import (
    API_KEY,
    ROOT,
    Process,
    app_command,
    clean_environment,
    connection_string,
    free_port,
    wait_until_answered,
)

NEEDED = {"BRIDGE_ALLOW_EMULATOR_KEY": "true", "BRIDGE_CALLERS__KEYS": API_KEY, "BRIDGE_HOST": "127.0.0.1"}
SIGNED_IN = NEEDED | {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"}


def copy_app(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "tests" / "function_apps" / name, folder / name))


def run(command: str, folder: Path, settings: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of a command for the app, and what it says, blanks made one."""
    environment = clean_environment() | dict(settings)
    done = subprocess.run(
        app_command(command, "--function-app", folder.name),
        cwd=folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, re.sub(r" +", " ", done.stdout + done.stderr)


def test_check_shows_what_an_app_brings(tmp_path: Path) -> None:
    code, said = run("check", copy_app("python_v1", tmp_path), SIGNED_IN)
    assert code == 0, said
    assert f"BRIDGE_CONNECTION ChatConnection at once {SOURCE}" in said
    assert "http://localhost:8888 access key 1 local.settings.json" in said
    assert "connected (connected/function.json), sendMessage (sendMessage/function.json)" in said
    assert "old: this function is left out, because it is disabled in old/function.json." in said


def test_what_is_wrong_with_an_app_stops_the_start(tmp_path: Path) -> None:
    app = copy_app("python_v2", tmp_path)
    code, said = run("serve", app, NEEDED)
    assert code == 1
    assert "PLATFORM_IDENTITY" in said
    (app / "chat" / "text.py").write_text("raise ValueError('sesame')")
    for command in ("serve", "check"):
        code, said = run(command, app, SIGNED_IN)
        assert code == 1
        assert re.search(r"function_app\.py cannot be loaded \(ValueError, \S+/chat/text\.py, line 1\)", said)
        assert "--function-app" in said
        assert "sesame" not in said
        assert "Traceback" not in said


def test_a_server_keeps_the_connection_of_the_app_and_follows_its_file(tmp_path: Path) -> None:
    app, port = copy_app("python_v1", tmp_path), free_port()
    file = app / "local.settings.json"
    file.write_text(file.read_text().replace("Port=8888", f"Port={free_port()}"))
    with Process("bridge", app_command("serve", "--port", str(port), "--function-app", str(app)), SIGNED_IN) as bridge:
        wait_until_answered(bridge, f"http://localhost:{port}/health/live")
        headers = {"X-API-Key": API_KEY}
        with httpx.Client(base_url=f"http://localhost:{port}", headers=headers, trust_env=False) as http:
            hubs = http.get("/hubs").json()
            assert [(one["name"], len(one["handlers"])) for one in hubs] == [("simplechat", 2)]
            text = file.read_text()
            file.write_text(re.sub(r'"Endpoint=[^"]+"', f'"{connection_string(free_port())}"', text))
            bridge.wait_for_line("settings changed")
            assert http.get("/hubs").json() == hubs
