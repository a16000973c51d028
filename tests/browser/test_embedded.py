"""The bridge within an app that has its own users: the documented hosts, with the official client in Chromium."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from signalr_bridge.testing import run_emulator

from tests.e2e.documented import write_programs
from tests.e2e.processes import ROOT, Process, free_port, wait_until_answered
from tests.e2e.team import run

LIBRARY = ROOT / "app" / "signalr_bridge" / "static" / "signalr.min.js"
DJANGO_SITE = Path(__file__).parent / "a_django_site"

TALK = """async () => {
    const connect = async () => {
        const connection = new signalR.HubConnectionBuilder()
            .withUrl("/realtime/hubs/chat").configureLogging(signalR.LogLevel.None).build();
        const heard = new Promise((resolve) => connection.on("newMessage", (...said) => resolve(said)));
        await connection.start();
        return { connection, heard };
    };
    const refused = await connect().then(() => "admitted", (error) => String(error));
    await fetch("/login/ann", { method: "POST" });
    const { connection, heard } = await connect();
    await connection.invoke("broadcast", "hi");
    const said = await heard;
    await connection.stop();
    return [refused, said];
}"""


def prepare_nothing(folder: Path) -> None:
    """FastAPI needs no more than its file."""


def prepare_django(folder: Path) -> None:
    shutil.copytree(DJANGO_SITE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "django", "migrate", "--settings", "site_settings", "-v0", folder=folder)


@contextmanager
def host(folder: Path, application: str, connection_string: str) -> Iterator[str]:
    """The program, run as the documentation says; gives its address."""
    port = free_port()
    settings = {
        "AzureSignalRConnectionString": connection_string,
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "SESSION_KEY": "a-key-of-a-test",
    }
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--host", "127.0.0.1"]
    with Process(application, command, settings, folder=folder) as process:
        wait_until_answered(process, f"http://localhost:{port}/realtime/health/live")
        yield f"http://localhost:{port}"


@pytest.mark.parametrize(
    ("application", "prepare"),
    [("app:app", prepare_nothing), ("asgi:application", prepare_django)],
    ids=["FastAPI", "Django"],
)
def test_who_is_signed_in_to_the_app_may_connect(
    application: str,
    prepare: Callable[[Path], None],
    tmp_path: Path,
    new_context: Callable[..., BrowserContext],
) -> None:
    write_programs("docs/embedding.md", tmp_path)
    prepare(tmp_path)
    with run_emulator() as emulator, host(tmp_path, application, emulator.connection_string) as url:
        emulator.post_to(f"{url}/realtime/upstream")
        page = new_context().new_page()
        page.goto(f"{url}/")
        page.add_script_tag(path=LIBRARY)
        talked: Sequence[object] = page.evaluate(TALK)
    refused, said = talked
    assert "Status code '401'" in str(refused)
    assert said == ["ann", "hi"]
