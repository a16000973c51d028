"""Python function apps, unchanged, in the bridge: their pages in Chromium, behind what writes who has signed in."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.stripping_proxy import run_platform
from tests.browser.test_function_apps import WITHIN_MS, App, AppPage, check_methods
from tests.e2e.processes import (
    API_KEY,
    ROOT,
    Process,
    app_command,
    connection_string,
    free_port,
    run_dev,
    run_emulator,
    wait_until_answered,
)

SIGNED_IN = {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true", "BRIDGE_FUNCTION_APP__TIMERS": "true"}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def copy_app(name: str, folder: Path) -> str:
    return str(shutil.copytree(ROOT / "tests" / "function_apps" / name, folder / "app"))


def serve_app(stack: ExitStack, folder: str) -> App:
    """The app as it is deployed. What the bridge is told is its folder, and that the platform is in front."""
    port, emulator_port = free_port(), free_port()
    stack.enter_context(run_emulator(emulator_port, f"http://localhost:{port}/runtime/webhooks/signalr"))
    settings = SIGNED_IN | {
        # What a test needs: ports that are free, and a key for functions that want one.
        "AzureSignalRConnectionString": connection_string(emulator_port),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_CALLERS__KEYS": API_KEY,
    }
    bridge = stack.enter_context(
        Process("bridge", app_command("serve", "--port", str(port), "--function-app", folder), settings)
    )
    wait_until_answered(bridge, f"http://localhost:{port}/health/ready")
    return App(stack.enter_context(run_platform(f"http://localhost:{port}")), bridge, functions=bridge)


def test_a_v2_chat_as_it_is_deployed(stack: ExitStack, tmp_path: Path, new_context: Callable[..., Any]) -> None:
    app = serve_app(stack, copy_app("python_v2", tmp_path))
    ann, bob = AppPage(app, new_context, "ann"), AppPage(app, new_context, "bob")
    ann.expect("bob is here")
    expect(ann.page.locator("#ticks")).to_have_text("tick 1", timeout=WITHIN_MS)
    ann.say("hello")
    ann.expect("sent 5 characters as ann")
    bob.expect("ann: hello")
    ann.page.get_by_role("button", name="Join the group").click()
    ann.expect("joined")
    bob.say("for friends", to="sendToGroup")
    ann.expect("bob: for friends")
    check_methods(ann, bob)
    check_requests(app, bob)
    bob.expect_nothing_like("for friends")


def check_requests(app: App, bob: AppPage) -> None:
    """What is not a page's: messages by HTTP with endpoints, groups by their routes and a key, and who is admitted."""
    sent = app.call("POST", "messages?sender=server", json={"text": "news"})
    assert (sent.status_code, sent.json(), sent.headers["X-Sent"]) == (202, {"endpoints": 1}, "yes")
    bob.expect("server: news")
    assert app.call("PUT", "groups/readers/users/bob").status_code == 401
    assert app.call("PUT", f"groups/readers/users/bob?code={API_KEY}").status_code == 204
    assert app.call("POST", "messages", json={"text": "read this", "groupName": "readers"}).status_code == 202
    bob.expect("null: read this")
    malformed = app.call("POST", "messages", content=b"sesame")
    assert (malformed.status_code, malformed.text) == (400, "Write JSON.")
    assert app.call("GET", "orders").status_code == 404
    assert app.call("POST", "negotiate", headers={"X-MS-CLIENT-PRINCIPAL-ID": "ann"}).status_code == 401
    app.bridge.wait_for_line("orders")
    app.bridge.wait_for_line("is connected")
    assert "a secret of the app" in app.bridge.output  # in the log alone, as the error of a handler


def test_a_v1_chat_on_a_developers_machine(stack: ExitStack, tmp_path: Path, new_context: Callable[..., Any]) -> None:
    dev = stack.enter_context(run_dev("--function-app", copy_app("python_v1", tmp_path), settings=SIGNED_IN))
    app = App(stack.enter_context(run_platform(dev.url)), dev.bridge, functions=dev.bridge)
    ann, bob = AppPage(app, new_context, "ann"), AppPage(app, new_context, "bob")
    bob.expect("chat: welcome bob")
    expect(ann.page.locator("#beat")).to_contain_text("beat", timeout=WITHIN_MS)
    ann.say("hello")
    bob.expect("ann: hello")
    assert ann.invoke("sendMessage", "again") == 5
    assert "Method 'sendMessage' failed." in ann.invoke("sendMessage", "x" * 101)
    body = {"recipient": "bob", "groupname": "friends", "sender": "server"}
    assert app.call("POST", "addToGroup", json=body).text == "added"
    assert app.call("POST", "messages", json={"groupname": "friends", "sender": "server", "text": "one"}).text == "sent"
    bob.expect("server: one")
    assert app.call("POST", "removeFromGroup", json=body).text == "removed"
    for to, text in ({"groupname": "friends"}, "two"), ({"recipient": "bob"}, "three"):
        assert app.call("POST", "messages", json={"sender": "server", "text": text} | to).status_code == 202
    bob.expect("server: three")
    bob.expect_nothing_like("two")
    ann.expect_nothing_like("server")
    assert app.call("GET", "old").status_code == 404
    assert httpx.get(f"{dev.url}/hubs", trust_env=False).json()[0]["name"] == "simplechat"
