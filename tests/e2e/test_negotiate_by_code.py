"""docs/negotiate.md as it stands: its handlers, in Python and in Node, decide about Microsoft's JavaScript client."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.node_client import CallFailed, NodeClients
from tests.e2e.processes import (
    API_KEY,
    NODE,
    ROOT,
    Process,
    connection_string,
    eventually,
    free_port,
    run_bridge,
    run_emulator,
)

PAGE = (ROOT / "docs/negotiate.md").read_text("utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COOKIE = {"Cookie": "a=b; session=5f2c"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's programs and settings; the hub of the one in Node is ``lobby``."""
    folder = tmp_path_factory.mktemp("negotiate")
    for text in [*blocks("python"), *blocks("js")]:
        name = re.match(r"(?:#|//) (\S+):", text)
        assert name is not None
        (folder / name[1]).write_text(text, "utf-8")
    return folder


@dataclass(frozen=True)
class PageBridge:
    """A bridge with the endpoints ``default`` and ``europe``, and with all handlers of the page."""

    port: int
    europe: int

    def negotiate(self, hub: str, query: str = "", **headers: str) -> httpx.Response:
        url = f"http://localhost:{self.port}/hubs/{hub}/negotiate{query}"
        return httpx.post(url, headers=headers, trust_env=False)


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Iterator[PageBridge]:
    port, first, second, backend_port = (free_port() for _ in range(4))
    rule, paths = blocks("toml")
    rule = rule.replace('hub = "chat"', 'hub = "lobby"').replace(":9000/", f":{backend_port}/")
    (folder / "bridge.toml").write_text(rule + paths, "utf-8")
    settings = {
        "BRIDGE_HANDLERS": "my_chat:chat,my_news:News,tests.e2e.reporting_handlers:lobby",
        "BRIDGE_SETTINGS_FILE": str(folder / "bridge.toml"),
        "Azure__SignalR__Endpoints__europe": connection_string(second),
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
    }
    environment = {"PORT": str(backend_port), "WEBHOOK_SECRET": SECRET}
    with ExitStack() as stack:
        for emulator in (first, second):
            stack.enter_context(run_emulator(emulator, f"http://localhost:{port}/upstream"))
        stack.enter_context(Process("admit.js", [NODE, str(folder / "admit.js")], environment))
        eventually(lambda: refuses_unsigned(backend_port), "an answer of admit.js")
        stack.enter_context(run_bridge(port, first, settings))
        yield PageBridge(port, second)


def refuses_unsigned(port: int) -> bool | None:
    try:
        return httpx.post(f"http://localhost:{port}/", trust_env=False).status_code == 400
    except httpx.TransportError:
        return None


@pytest.mark.parametrize(("hub", "path"), [("chat", "/api/chat"), ("lobby", "/api")])
def test_a_session_cookie_admits_and_groups_are_in_force_in_connected(
    hub: str, path: str, bridge: PageBridge, node: NodeClients
) -> None:
    """The client that is admitted negotiates at the further path of its hub, which the document gives."""
    url = f"http://localhost:{bridge.port}/hubs/{hub}"
    for headers in ({}, {"Cookie": "session=canary"}):
        refused = bridge.negotiate(hub, **headers)
        assert (refused.status_code, refused.json()["detail"]) == (401, "Sign in first.")
        with pytest.raises(CallFailed, match="401"):
            node.client().start(url, headers=headers)

    ann = node.client().start(f"http://localhost:{bridge.port}{path}", headers=COOKIE)
    assert ann.message() == ("arrived", ["ann", ["editor"]]), "connected has sent it to the group"
    if hub == "lobby":
        assert ann.message() == ("noted", [["role"], True])
    with httpx.Client(base_url=url, headers={"X-API-Key": API_KEY}, trust_env=False) as http:
        item = {"target": "newMessage", "groupName": "red", "arguments": [hub]}
        assert http.post("/send", json=item).status_code == 202
        assert ann.message() == ("newMessage", [hub])
        [member] = http.get("/groups/red/connections").json()["value"]
    assert (member["connectionId"], member["userId"]) == (ann.connection_id, "ann")
    assert hub != "lobby" or member["endpoint"] == "europe"
    ann.stop()


def test_the_class_form_picks_an_endpoint_and_refuses(bridge: PageBridge) -> None:
    for _ in range(4):
        assert bridge.negotiate("news").json()["url"] == f"http://localhost:{bridge.europe}/client/?hub=news"
    refused = bridge.negotiate("news", "?edition=closed")
    assert (refused.status_code, refused.json()["detail"]) == (403, "This edition is closed.")
