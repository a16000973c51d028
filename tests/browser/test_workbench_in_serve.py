"""The workbench of ``serve``: it asks for a key, keeps it to itself, and works behind a prefix."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.browser.chat_page import WITHIN_MS
from tests.browser.stripping_proxy import run_stripping_proxy
from tests.browser.workbench import PHONE, Workbench
from tests.e2e.processes import Machine, run_apart

NewContext = Callable[..., BrowserContext]
FULL, READER, BLIND = "a-key-that-may-do-all", "a-key-that-may-only-read", "a-key-that-may-only-send"
OF_ONE_HUB = "a-key-of-one-hub-alone"
PREFIX = "/realtime"
KEPT = """async () => JSON.stringify([
    document.cookie, {...localStorage}, {...sessionStorage}, location.href, history.state,
    await indexedDB.databases(), await caches.keys(), document.documentElement.outerHTML,
    [...document.querySelectorAll("input")].map((field) => field.value),
])"""


@pytest.fixture(scope="module")
def serve() -> Iterator[Machine]:
    keys = [
        {"name": "all", "key": FULL},
        {"name": "reader", "key": READER, "rights": ["read"]},
        {"name": "of one hub", "key": OF_ONE_HUB, "hubs": ["chat"]},
        {"name": "blind", "key": BLIND, "rights": ["send"]},
    ]
    settings = {
        "BRIDGE_CALLERS__KEYS": json.dumps(keys),
        "BRIDGE_CONSOLE": "true",
        "BRIDGE_HANDLERS": "tests.e2e.watched:chat",
    }
    with run_apart(settings) as machine:
        yield machine


@pytest.fixture(scope="module")
def behind(serve: Machine) -> Iterator[str]:
    with run_stripping_proxy(PREFIX, serve.url) as url:
        yield url


def unlock(bench: Workbench, key: str) -> None:
    bench.page.get_by_label("API key").fill(key)
    bench.page.get_by_role("button", name="Open").click()


def hear(page: Page) -> list[Request]:
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    return requests


def test_it_asks_for_a_key_and_says_what_the_key_may_not_do(new_context: NewContext, serve: Machine) -> None:
    bench = Workbench(new_context(**PHONE).new_page(), serve.url)
    field, alert = bench.page.get_by_label("API key"), bench.page.get_by_role("alert").filter(visible=True)
    expect(field).to_be_focused(timeout=WITHIN_MS)
    bench.expect_no_violations()
    unlock(bench, "a-key-that-nobody-has")
    expect(alert).to_have_text("The bridge does not know this key.", timeout=WITHIN_MS)
    unlock(bench, BLIND)
    expect(alert).to_have_text(re.compile("needs the right “read”"), timeout=WITHIN_MS)
    bench.expect_no_violations()
    field.press("End")
    bench.page.keyboard.type("x")
    expect(alert).to_have_count(0)

    unlock(bench, READER)
    expect(bench.page.get_by_role("navigation")).to_be_visible(timeout=WITHIN_MS)
    expect(bench.page.get_by_role("status")).to_have_text("Not connected")
    bench.send("everybody", "", "news", "[]")
    expect(bench.answers.last).to_contain_text("403 forbidden", timeout=WITHIN_MS)
    expect(bench.answers.last).to_contain_text("it needs the right “send”")
    bench.add("user", "ann", "editors")
    expect(bench.answers.last).to_contain_text("it needs the right “groups”", timeout=WITHIN_MS)
    bench.go("Hub")
    bench.page.get_by_role("button", name="Connect", exact=True).click()
    outage = bench.page.get_by_role("alert").filter(has=bench.page.get_by_role("button", name="Try now"))
    expect(outage).to_contain_text("it needs the right “negotiate”", timeout=WITHIN_MS)
    bench.expect_no_violations()
    bench.page.get_by_label("Come in").select_option(label="by the hub's rules")
    bench.page.get_by_role("button", name="Connect", exact=True).click()
    expect(outage).to_contain_text("This client is not admitted", timeout=WITHIN_MS)
    expect(outage).not_to_contain_text("Next try")  # who is refused does not ask again unasked
    bench.go("Events")
    expect(bench.page.get_by_text("Live", exact=True)).to_be_visible(timeout=WITHIN_MS)
    bench.page.get_by_role("button", name="Forget key").click()
    expect(field).to_be_focused(timeout=WITHIN_MS)

    unlock(bench, OF_ONE_HUB)
    bench.go("Events")
    expect(bench.page.get_by_text("it needs the right “read” of every hub")).to_be_visible(timeout=WITHIN_MS)
    assert bench.errors == []


def test_it_works_behind_a_prefix_and_keeps_the_key_to_itself(
    new_context: NewContext, serve: Machine, behind: str
) -> None:
    page = new_context().new_page()
    requests = hear(page)
    bench = Workbench(page, behind)
    unlock(bench, FULL)
    expect(page.get_by_role("navigation")).to_be_visible(timeout=WITHIN_MS)
    expect(page.get_by_role("status")).to_have_text("Not connected")
    bench.connect("chat", "ann")
    bench.call("add", "[2, 3]")
    expect(bench.calls.last).to_contain_text("Result: 5", timeout=WITHIN_MS)
    bench.send("user", "ann", "news", '["for ann"]')
    expect(bench.answers.last).to_contain_text("202 accepted", timeout=WITHIN_MS)
    line = page.get_by_label("The curl command").inner_text()
    assert f"{behind}hubs/chat/send" in line
    assert '-H "X-API-Key: $KEY"' in line
    bench.go("Call")
    expect(bench.calls.last).to_contain_text('"for ann"', timeout=WITHIN_MS)
    expect(bench.event("upstream", "add")).to_contain_text("Result: 5", timeout=WITHIN_MS)
    expect(bench.event("send", "news")).to_contain_text("user ann", timeout=WITHIN_MS)
    expect(bench.event("negotiate", "negotiate")).to_contain_text("all", timeout=WITHIN_MS)

    assert FULL not in page.evaluate(KEPT)
    service = f"http://localhost:{serve.emulator_port}/"
    assert any(one.url.startswith(service) for one in requests), "the client connects to the endpoint itself"
    for request in requests:
        assert FULL not in request.url
        if request.url.startswith(behind):
            continue
        assert request.url.startswith(service), request.url
        assert FULL not in str(request.all_headers())
    page.reload()
    expect(page.get_by_label("API key")).to_be_focused(timeout=WITHIN_MS)
    expect(page.get_by_label("API key")).to_have_value("")
    assert bench.errors == []
