"""JavaScript function apps, unchanged, on the bridge: their pages in Chromium, behind what writes who has signed in."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.stripping_proxy import run_platform
from tests.e2e.functions_node import copy_app, run_functions_node
from tests.e2e.processes import (
    API_KEY,
    ROOT,
    Process,
    app_command,
    connection_string,
    free_port,
    run_emulator,
    wait_until_answered,
)

LIBRARY = ROOT / "app" / "signalr_bridge" / "static" / "signalr.min.js"
WITHIN_MS = 15_000


@dataclass(frozen=True)
class App:
    """A function app that runs on the bridge: where the platform serves it, and what runs it."""

    url: str
    bridge: Process
    functions: Process

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}/api/{path}", trust_env=False, timeout=10, **more)


class ServedApp(Protocol):
    """An app that a platform serves, wherever its functions run."""

    @property
    def url(self) -> str: ...


class AppPage:
    """The app's page, as one person sees it."""

    def __init__(self, app: ServedApp, new_context: Callable[..., Any], user: str) -> None:
        context = new_context()
        context.add_cookies([{"name": "session", "value": user, "url": app.url}])
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WITHIN_MS)
        self.page.route("https://cdnjs.cloudflare.com/**", self._give_library)
        self.page.goto(f"{app.url}/api/index")

    def _give_library(self, route: Route) -> None:
        route.fulfill(path=LIBRARY, content_type="text/javascript")

    def say(self, text: str, to: str | None = None) -> None:
        if to is not None:
            self.page.get_by_label("To").select_option(to)
        box = self.page.get_by_label("Message")
        box.fill(text)
        box.press("Enter")

    def expect(self, text: str) -> None:
        line = re.compile(f"^{re.escape(text)}$")
        expect(self.lines.filter(has_text=line)).to_have_count(1, timeout=WITHIN_MS)

    def expect_nothing_like(self, text: str) -> None:
        expect(self.lines.filter(has_text=text)).to_have_count(0)

    @property
    def lines(self) -> Locator:
        return self.page.locator("#messages > *")

    def invoke(self, method: str, *arguments: object) -> Any:
        """What the page's connection is answered, or the error's text."""
        call = "([method, given]) => connection.invoke(method, ...given).catch((error) => error.message)"
        return self.page.evaluate(call, [method, list(arguments)])


def run_app(stack: ExitStack, name: str, folder: Path, *, secret: str = "") -> App:
    """The app on the bridge. What the bridge is told is where the functions are, and that the platform is in front.

    With a secret the bridge signs its calls, and only signed calls run functions.
    """
    app = copy_app(name, folder / "app")
    functions, functions_url = stack.enter_context(run_functions_node(app, {"FUNCTIONS_NODE_SECRETS": secret}))
    port, emulator_port = free_port(), free_port()
    stack.enter_context(run_emulator(emulator_port, f"http://localhost:{port}/runtime/webhooks/signalr"))
    settings: dict[str, str] = {
        "BRIDGE_FUNCTIONS__URL": functions_url,
        "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true",
        "BRIDGE_FUNCTION_APP__TIMERS": "true",
        # What a test needs: ports that are free, and a key for functions that want one.
        "AzureSignalRConnectionString": connection_string(emulator_port),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_CALLERS__KEYS": API_KEY,
    }
    settings |= {"BRIDGE_FUNCTIONS__SECRETS": secret} if secret else {}
    command = app_command("serve", "--port", str(port), "--settings", str(app / "local.settings.json"))
    bridge = stack.enter_context(Process("bridge", command, settings))
    wait_until_answered(bridge, f"http://localhost:{port}/health/ready")
    return App(stack.enter_context(run_platform(f"http://localhost:{port}")), bridge, functions)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_v4_chat(stack: ExitStack, tmp_path: Path, new_context: Callable[..., Any]) -> None:
    app = run_app(stack, "node_v4", tmp_path)
    ann, bob = AppPage(app, new_context, "ann"), AppPage(app, new_context, "bob")
    ann.expect("bob has joined")
    expect(ann.page.locator("#ticks")).to_contain_text("tick", timeout=WITHIN_MS)
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


def check_methods(ann: AppPage, bob: AppPage) -> None:
    """Every method, in an order in which each one shows what the one before has done."""
    bob_id = bob.page.evaluate("connection.connectionId")
    assert ann.invoke("sendToUser", "bob", "to a user") is None
    assert ann.invoke("sendToConnection", bob_id, "to a connection") is None
    for text in ("to a user", "to a connection"):
        bob.expect(f"ann: {text}")
        ann.expect_nothing_like(text)
    for number, (method, who) in enumerate(
        [("joinGroup", bob_id), ("leaveGroup", bob_id), ("joinUserToGroup", "bob"), ("leaveUserFromGroup", "bob")]
    ):
        assert ann.invoke(method, who, "team") is None
        assert ann.invoke("sendToGroup", "team", f"team {number}") is None
    bob.expect("ann: team 2")
    assert [text for text in bob.lines.all_inner_texts() if "team" in text] == ["ann: team 0", "ann: team 2"]
    refused = ann.invoke("fail")
    assert "Method 'fail' failed." in refused
    assert "Method 'broadcast' takes 1 argument(s), and was given 2." in ann.invoke("broadcast", "a", "b")


def check_requests(app: App, bob: AppPage) -> None:
    """What is not a page's: messages by HTTP, with endpoints, and groups by their routes."""
    sent = app.call("POST", "messages?sender=server", json={"text": "news"})
    assert (sent.status_code, sent.json()) == (202, {"endpoints": 1})
    bob.expect("server: news")
    assert app.call("PUT", "groups/readers/users/bob").status_code == 204
    assert app.call("POST", "messages", json={"text": "read this", "groupName": "readers"}).status_code == 202
    bob.expect("null: read this")
    assert app.call("DELETE", "groups/readers/users/bob").status_code == 204
    assert app.call("GET", "messages").status_code == 405
    anonymous = app.call("POST", "negotiate", headers={"X-MS-CLIENT-PRINCIPAL-ID": "ann"})
    assert anonymous.status_code == 401
    page = app.call("GET", "index")
    assert page.headers["Set-Cookie"] == "visited=yes; Path=/; SameSite=Lax"
    app.functions.wait_for_line("fail: error: Error: a secret of the app")
    assert "a secret of the app" not in app.bridge.output


def test_a_v3_chat(stack: ExitStack, tmp_path: Path, new_context: Callable[..., Any]) -> None:
    app = run_app(stack, "node_v3", tmp_path, secret="whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    ann, bob = AppPage(app, new_context, "ann"), AppPage(app, new_context, "bob")
    expect(ann.page.locator("#beat")).to_contain_text("beat", timeout=WITHIN_MS)
    expect(bob.page.locator("#beat")).to_contain_text("beat", timeout=WITHIN_MS)
    ann.say("hello")
    bob.expect("ann: hello")
    body = {"recipient": "bob", "groupname": "friends", "sender": "server"}
    assert app.call("POST", "addToGroup", json=body).json() == {"group": "friends", "action": "add"}
    assert app.call("POST", "messages", json={"groupname": "friends", "sender": "server", "text": "one"}).is_success
    bob.expect("server: one")
    assert app.call("POST", "removeFromGroup", json=body).status_code == 401
    assert app.call("POST", f"removeFromGroup?code={API_KEY}", json=body).json()["action"] == "remove"
    for to, text in ({"groupname": "friends"}, "two"), ({"recipient": "bob"}, "three"):
        assert app.call("POST", "messages", json={"sender": "server", "text": text} | to).is_success
    bob.expect("server: three")
    bob.expect_nothing_like("two")
    ann.expect_nothing_like("server")
    assert app.call("GET", "old").status_code == 404
    assert json.loads(app.call("POST", "negotiate", cookies={"session": "ann"}).text).keys() == {"url", "accessToken"}
