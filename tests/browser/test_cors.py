"""A page of another origin in Chromium: the official client gets in where the settings allow it, and nowhere else."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.processes import (
    API_KEY,
    EMULATOR_KEY,
    ROOT,
    Machine,
    connection_string,
    eventually,
    free_port,
    run_apart,
    run_bridge,
    run_dev,
)

NewContext = Callable[..., BrowserContext]
LIBRARY = (ROOT / "app" / "signalr_bridge" / "static" / "signalr.min.js").read_bytes()
PAGE = b'<!doctype html><title>elsewhere</title><script src="/signalr.min.js"></script>'

CONNECT = """async ([url, token]) => {
    const options = token ? { accessTokenFactory: () => token } : {};
    const connection = new signalR.HubConnectionBuilder()
        .withUrl(url, options).configureLogging(signalR.LogLevel.None).build();
    try {
        await connection.start();
        return { id: connection.connectionId };
    } catch (error) {
        return { error: String(error) };
    }
}"""
ASK = """async (url) => {
    try {
        const headers = { "X-Requested-With": "x" };
        const answer = await fetch(url, { method: "POST", credentials: "include", headers });
        const { code } = await answer.json();
        const [retry, id] = ["Retry-After", "X-Request-Id"].map((name) => answer.headers.get(name));
        return { status: answer.status, code, retry, id };
    } catch (error) {
        return { error: String(error) };
    }
}"""


class _Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = LIBRARY if self.path == "/signalr.min.js" else PAGE
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if body is LIBRARY else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[int]:
    """The port of a web server that is not the bridge: a foreign origin under each of its names."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="elsewhere")
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def machine(elsewhere: int) -> Iterator[Machine]:
    """``localhost`` is allowed, for the hub ``news`` ``127.0.0.1`` alone."""
    settings = {
        "BRIDGE_CORS__ORIGINS": f"http://localhost:{elsewhere}",
        "BRIDGE_HUBS__NEWS__CORS__ORIGINS": f"http://127.0.0.1:{elsewhere}",
        "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_NEGOTIATE__HUBS": "chat",
        "BRIDGE_HUBS__CLOSED__NEGOTIATE__ANONYMOUS": "false",
    }
    with run_apart(settings) as running:
        yield running


@pytest.fixture(scope="module")
def without_endpoints(elsewhere: int) -> Iterator[int]:
    """A bridge of which all endpoints are down; its clients may negotiate but once."""
    port = free_port()
    settings = {
        "Azure__SignalR__Endpoints__b": connection_string(free_port()),
        "BRIDGE_CORS__ORIGINS": f"http://localhost:{elsewhere}",
        "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_NEGOTIATE__HUBS": "chat",
        "BRIDGE_LIMITS__NEGOTIATE_PER_SECOND": "0.001",
    }

    def is_down() -> bool | None:
        wish = {"json": {"userId": "ann"}, "headers": {"X-API-Key": API_KEY}}
        url = f"http://localhost:{port}/hubs/chat/negotiate"
        return httpx.post(url, trust_env=False, **wish).status_code == 503 or None  # type: ignore[arg-type]

    with run_bridge(port, free_port(), settings):
        eventually(is_down, "a bridge that knows that its endpoints are down")
        yield port


@pytest.fixture
def page(new_context: NewContext, elsewhere: int) -> Page:
    return open_page(new_context, f"http://localhost:{elsewhere}/")


def open_page(new_context: NewContext, url: str) -> Page:
    page = new_context().new_page()
    page.goto(url)
    return page


def test_the_client_gets_in_from_an_origin_that_is_allowed(page: Page, machine: Machine) -> None:
    assert page.evaluate(CONNECT, [f"{machine.url}/hubs/chat", None])["id"]
    assert page.evaluate(CONNECT, [f"{machine.url}/hubs/chat", "a-token-and-so-an-authorization-header"])["id"]


def test_and_not_from_another_one(new_context: NewContext, elsewhere: int, page: Page, machine: Machine) -> None:
    other = open_page(new_context, f"http://127.0.0.1:{elsewhere}/")
    for its, hub in ((other, "chat"), (page, "news")):
        assert "Failed to fetch" in its.evaluate(CONNECT, [f"{machine.url}/hubs/{hub}", None])["error"]
        assert "Failed to fetch" in its.evaluate(ASK, f"{machine.url}/hubs/{hub}/negotiate")["error"]
    assert other.evaluate(CONNECT, [f"{machine.url}/hubs/news", None])["id"], "each hub has its own"


def test_a_page_without_an_origin_is_never_allowed(new_context: NewContext, machine: Machine) -> None:
    page = open_page(new_context, "data:text/html,<title>null</title>")
    assert "Failed to fetch" in page.evaluate(ASK, f"{machine.url}/hubs/chat/negotiate")["error"]


def test_no_other_route_answers_a_page(page: Page, machine: Machine) -> None:
    for path in ("/hubs/chat/send", "/hubs/chat/negotiate/endpoints", "/upstream"):
        assert "Failed to fetch" in page.evaluate(ASK, f"{machine.url}{path}")["error"]


def test_a_refusal_can_be_read(page: Page, machine: Machine) -> None:
    answer = page.evaluate(ASK, f"{machine.url}/hubs/closed/negotiate")
    assert (answer["status"], answer["code"], answer["retry"]) == (401, "unauthenticated", None)
    assert answer["id"]


def test_how_long_to_wait_can_be_read(page: Page, without_endpoints: int) -> None:
    url = f"http://localhost:{without_endpoints}/hubs/chat/negotiate"
    first, second = page.evaluate(ASK, url), page.evaluate(ASK, url)
    assert (first["status"], first["code"]) == (503, "no-endpoint-available")
    assert (second["status"], second["code"]) == (429, "rate-limited")
    for answer in (first, second):
        assert int(answer["retry"]) >= 1
        assert answer["id"]


OPEN = """([port, token]) => new Promise((resolve) => {
    const socket = new WebSocket(`ws://localhost:${port}/client/?hub=chat&access_token=${token}`);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
})"""


def test_in_dev_pages_of_other_ports_get_in_and_foreign_ones_do_not(new_context: NewContext, elsewhere: int) -> None:
    """A foreign page knows the emulator's key, and goes there by itself. Chromium asks first, and somebody says yes."""
    admin = jwt.encode({"sub": "admin", "aud": "x", "exp": 4_000_000_000}, EMULATOR_KEY)
    context = new_context()
    context.grant_permissions(["local-network-access"])
    foreign = context.new_page()
    foreign.route("https://evil.example/", lambda route: route.fulfill(body=PAGE.decode(), content_type="text/html"))
    foreign.route(
        "https://evil.example/signalr.min.js", lambda route: route.fulfill(body=LIBRARY, content_type="text/javascript")
    )
    foreign.goto("https://evil.example/")
    own = [open_page(new_context, f"http://{host}:{elsewhere}/") for host in ("localhost", "127.0.0.1")]
    with run_dev() as dev:
        for page in own:
            assert page.evaluate(CONNECT, [f"{dev.url}/hubs/chat", None])["id"]
            assert page.evaluate(OPEN, [dev.emulator_port, admin]) == "open"
            assert "Failed to fetch" in page.evaluate(ASK, f"{dev.url}/hubs/chat/send")["error"]
        assert "Failed to fetch" in foreign.evaluate(CONNECT, [f"{dev.url}/hubs/chat", None])["error"]
        assert foreign.evaluate(OPEN, [dev.emulator_port, admin]) == "refused"
