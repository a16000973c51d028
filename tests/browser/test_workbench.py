"""The workbench in Chromium: calls as a client, requests as a backend, and the events of both."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.browser.chat_page import WITHIN_MS
from tests.browser.workbench import DESK, PHONE, Workbench
from tests.e2e.processes import Machine, run_dev

NewContext = Callable[..., BrowserContext]
MARKUP = "<img src=x onerror='ran=1'><script>ran=1</script><b>{}</b>"


@pytest.fixture(scope="module")
def dev() -> Iterator[Machine]:
    handlers = ("--handlers", "tests.e2e.watched:chat", "--handlers", "tests.e2e.reporting_handlers:reporting")
    with run_dev(*handlers, "--endpoints", "2") as machine:
        yield machine


@pytest.mark.parametrize(("name", "screen"), [("1280", DESK), ("390", PHONE)])
def test_a_call_and_a_message_to_a_group_are_seen_where_they_arrive(
    new_context: NewContext, dev: Machine, screenshots: Path, name: str, screen: dict[str, Any]
) -> None:
    bench = Workbench(new_context(**screen).new_page(), dev.url)
    user, group = f"ann-{name}", f"editors-{name}"
    bench.connect("chat", user)
    bench.page.screenshot(path=screenshots / f"hub-{name}.png")
    if screen is PHONE:  # on a wide screen it is there below
        bench.expect_no_violations()

    bench.call("add", "[2, 3]")
    expect(bench.calls.last).to_contain_text("Arguments: 2, 3", timeout=WITHIN_MS)
    expect(bench.calls.last).to_contain_text(re.compile(r"result in \d+\.\d ms.*Result: 5", re.DOTALL))
    if screen is DESK:
        bench.expect_no_violations()
    bench.page.screenshot(path=screenshots / f"call-{name}.png")

    bench.add("connection", bench.connection_id, group)
    expect(bench.answers.last).to_contain_text("202 accepted", timeout=WITHIN_MS)
    bench.send("group", group, "news", '["<b>", 7]')
    expect(bench.answers.last).to_contain_text(f"news to group {group}", timeout=WITHIN_MS)
    for endpoint in ("default accepted", "emulator2 accepted"):
        expect(bench.answers.last).to_contain_text(endpoint, timeout=WITHIN_MS)
    bench.expect_to_fit()
    bench.expect_no_violations()
    bench.page.screenshot(path=screenshots / f"send-{name}.png")

    bench.go("Call")
    expect(bench.calls.last).to_contain_text("newsreceived", timeout=WITHIN_MS)

    bench.go("Events")
    called = bench.event("upstream", "add")
    for text in ("ok 200", "Arguments: 2, 3", "Result: 5", user, "tests.e2e.watched:add"):
        expect(called).to_contain_text(text, timeout=WITHIN_MS)
    sent = bench.event("send", "news")
    for text in ("accepted 202", '"<b>", 7', f"group {group}", "default accepted", "emulator2 accepted"):
        expect(sent).to_contain_text(text, timeout=WITHIN_MS)
    negotiated = bench.event("negotiate", "negotiate").filter(has_text=user)
    expect(negotiated).to_contain_text("200", timeout=WITHIN_MS)
    bench.expect_to_fit()
    bench.page.screenshot(path=screenshots / f"events-{name}.png")
    if screen is PHONE:
        bench.expect_no_violations()
    bench.go("Chat")
    bench.page.get_by_role("textbox", name="Message").fill("hello")
    bench.page.get_by_role("button", name="Say").click()
    expect(bench.page.locator("#messages")).to_contain_text("hello", timeout=WITHIN_MS)
    bench.expect_to_fit()
    bench.expect_no_violations()
    assert bench.errors == []


def test_the_events_are_filtered_paused_and_cleared(new_context: NewContext, dev: Machine) -> None:
    bench = Workbench(new_context().new_page(), dev.url)
    bench.connect("chat", "eve")
    bench.send("everybody", "", "weather", '["sun"]')
    expect(bench.event("send", "weather")).to_be_visible(timeout=WITHIN_MS)
    bench.page.get_by_label("Only events with this text").fill("WEATHER")
    expect(bench.events).to_have_count(1)
    bench.page.get_by_role("checkbox", name="send").uncheck(force=True)
    expect(bench.events).to_have_count(0)
    expect(bench.page.get_by_text("No event matches the filter.")).to_be_visible()
    bench.page.get_by_role("checkbox", name="send").check(force=True)
    expect(bench.events).to_have_count(1)

    bench.page.get_by_role("button", name="Pause").click()
    bench.send("everybody", "", "weather", '["rain"]')
    expect(bench.page.get_by_text(re.compile(r"^Paused, [1-9]\d* new$"))).to_be_visible(timeout=WITHIN_MS)
    expect(bench.events).to_have_count(1)
    bench.page.get_by_role("button", name="Pause").click()
    expect(bench.events).to_have_count(2)
    expect(bench.events.last).to_contain_text('"rain"')

    bench.page.get_by_role("button", name="Clear").click()
    expect(bench.events).to_have_count(0)
    bench.page.get_by_label("Only events with this text").fill("")
    expect(bench.page.locator("#events > li").filter(has_text="rain")).to_have_count(0)
    assert bench.errors == []


def test_what_is_wrong_is_said_in_words_until_it_is_mended(new_context: NewContext, dev: Machine) -> None:
    bench = Workbench(new_context().new_page(), dev.url)
    bench.connect("chat", "bob")
    alert = bench.page.get_by_role("alert").filter(visible=True, has_text=re.compile(r"\S"))
    for wrong, words in (("[1", "not JSON"), ('{"a": 1}', "JSON array")):
        bench.call("add", wrong)
        expect(alert).to_contain_text(words)
        expect(bench.page.locator("#call-arguments")).to_have_attribute("aria-invalid", "true")
    bench.expect_no_violations()
    bench.page.locator("#call-arguments").press("End")
    bench.page.keyboard.type(" ")
    expect(alert).to_have_count(0)
    expect(bench.page.locator("#call-arguments")).not_to_have_attribute("aria-invalid", "true")

    for button in ("Invoke", "Send without answer"):
        bench.call("nobody", "[]", button)
        known = re.compile(r"Nobody handles “nobody” on the hub chat. It handles: .*\badd\b.*\becho\b")
        expect(bench.calls.last).to_contain_text(known, timeout=WITHIN_MS)
    bench.call("refuse", '["Not today."]')
    expect(bench.calls.last).to_contain_text("Error: Not today.", timeout=WITHIN_MS)

    bench.send("connection", "nobody-has-this-id", "news", "[]")
    expect(bench.answers.last).to_contain_text("default", timeout=WITHIN_MS)
    bench.add("connection", "nobody-has-this-id", "editors")
    expect(bench.answers.last).to_contain_text("404 connection-not-found", timeout=WITHIN_MS)
    expect(bench.answers.last).to_contain_text("emulator2 absent")

    bench.connect("nothing", "bob")
    bench.go("Call")
    expect(bench.page.get_by_role("link", name="Chat")).to_be_hidden(timeout=WITHIN_MS)
    expect(bench.page.get_by_text("Nobody handles this hub.")).to_be_visible(timeout=WITHIN_MS)
    assert bench.errors == []


def test_a_hub_and_a_method_are_chosen_from_what_there_is(new_context: NewContext, dev: Machine) -> None:
    bench = Workbench(new_context().new_page(), dev.url)
    bench.connect("chat", "dan")
    before = bench.connection_id
    bench.page.get_by_role("button", name="Use the hub reporting").click()
    expect(bench.page.locator("#connection-id")).not_to_have_text(before, timeout=WITHIN_MS)
    bench.page.get_by_role("button", name="Call endpoint").click(timeout=WITHIN_MS)
    expect(bench.page.get_by_label("Method")).to_have_value("endpoint")
    bench.page.get_by_role("button", name="Invoke").click()
    expect(bench.calls.last).to_contain_text("Result:", timeout=WITHIN_MS)
    for endpoint in ("default online", "emulator2 online"):
        expect(bench.page.get_by_role("region", name="Endpoints", exact=True)).to_contain_text(endpoint)
    assert bench.errors == []


def test_the_curl_line_does_what_the_button_does(new_context: NewContext, dev: Machine) -> None:
    bench = Workbench(new_context().new_page(), dev.url)
    bench.connect("chat", "cy")
    text = 'it\'s "quoted" `id` $HOME \\'
    bench.send("user", "o'neil", "news", f"[{json.dumps(text)},\n 12345678901234567890]")
    expect(bench.answers.last).to_contain_text("202 accepted", timeout=WITHIN_MS)
    line = bench.page.get_by_label("The curl command").inner_text()
    words = shlex.split(line)
    assert words[:4] == ["curl", "-sS", "-X", "POST"]
    assert words[4] == f"{dev.url}/hubs/chat/send"
    sent = [text, 12345678901234567890]  # as it was typed, with every digit
    assert json.loads(words[words.index("-d") + 1]) == {"target": "news", "arguments": sent, "userId": "o'neil"}
    assert "X-API-Key" not in line, "dev asks for no key"


def test_markup_in_any_field_of_an_event_is_text(new_context: NewContext, dev: Machine) -> None:
    context = new_context()
    bench = Workbench(context.new_page(), dev.url)
    bench.connect("chat", user := MARKUP.format("user"))
    bench.call("echo", json.dumps([MARKUP.format("argument")]))
    expect(bench.calls.last).to_contain_text(MARKUP.format("argument"), timeout=WITHIN_MS)
    bench.call("refuse", json.dumps([MARKUP.format("error")]))
    expect(bench.calls.last).to_contain_text(MARKUP.format("error"), timeout=WITHIN_MS)
    bench.call(MARKUP.format("method"), "[]")
    expect(bench.calls.last).to_contain_text("Nobody handles", timeout=WITHIN_MS)
    bench.add("user", user, MARKUP.format("group"))
    bench.send("group", MARKUP.format("group"), MARKUP.format("target"), json.dumps([{MARKUP.format("key"): 1}]))
    expect(bench.event("send", MARKUP.format("target"))).to_contain_text(MARKUP.format("group"), timeout=WITHIN_MS)
    bench.page.get_by_role("button", name="Disconnect").click()
    expect(bench.event("upstream", "disconnected")).to_contain_text(user, timeout=WITHIN_MS)
    expect_no_markup(bench)

    # Each field that there is, even those that nobody outside can choose.
    context.route(re.compile(r"/events\?"), answer_with_markup)
    forged = Workbench(context.new_page(), dev.url)
    expect(forged.events).to_have_count(3, timeout=WITHIN_MS)
    shown = forged.page.locator("#events").inner_text()
    for field in [*UPSTREAM, *SEND, *NEGOTIATE]:
        if field not in UNSEEN:
            assert MARKUP.format(field) in shown, field
    expect_no_markup(forged)


UPSTREAM = ("hub", "event", "connectionId", "userId", "handler", "outcome", "status", "reason", "error")
NEGOTIATE = ("hub", "by", "userId", "endpoint", "status", "code")
SEND = ("hub", "by", "action", "target", "userId", "groupName", "status", "code", "name", "outcome", "statusCode")
UNSEEN = {"action"}
"""The target stands in its place."""


def answer_with_markup(route: Route) -> None:
    upstream: dict[str, Any] = {
        name: MARKUP.format(name) for name in (*UPSTREAM, "category", "replica", "milliseconds")
    }
    upstream |= {"arguments": [MARKUP.format("argument")], "result": {MARKUP.format("key"): MARKUP.format("value")}}
    negotiate = {name: MARKUP.format(name) for name in (*NEGOTIATE, "replica", "time")}
    send: dict[str, Any] = {name: MARKUP.format(name) for name in (*SEND, "result", "endpointType")}
    send |= {"to": {MARKUP.format("kind"): send["userId"], "groupName": send["groupName"]}}
    send |= {"arguments": [MARKUP.format("argument")], "endpoints": [dict(send)]}
    lines = [
        f"id: forged-{number}\ndata: {json.dumps({'kind': kind} | event)}\n\n"
        for number, (kind, event) in enumerate((("upstream", upstream), ("negotiate", negotiate), ("send", send)), 1)
    ]
    lines.append(f"id: forged-4\ndata: {json.dumps({'kind': 'of a later version', **upstream})}\n\n")
    route.fulfill(content_type="text/event-stream", body="".join(lines))


def expect_no_markup(bench: Workbench) -> None:
    for part in ("Chat", "Call", "Send"):
        bench.go(part)
    assert bench.page.locator("main img, main script, main b").count() == 0
    assert bench.page.evaluate("typeof ran") == "undefined"
    assert bench.errors == []
