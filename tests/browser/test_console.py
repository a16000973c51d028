"""The list of events beside the chat: each call of the service, and what a handler made of it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from tests.browser.chat_page import WITHIN_MS, ChatPage
from tests.e2e.processes import Machine, free_port, run_dev

NewContext = Callable[..., BrowserContext]
CALL = """async ([name, values]) => {
    const { connection } = await import("/page/main.js");
    await connection.invoke(name, ...values).catch(() => {});
}"""
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def dev() -> Iterator[Machine]:
    with run_dev("--handlers", "tests.e2e.watched:chat") as machine:
        yield machine


@pytest.fixture
def ann(new_context: NewContext, dev: Machine) -> Iterator[ChatPage]:
    chat = ChatPage(new_context().new_page(), dev.url)
    chat.be("ann")
    yield chat
    assert chat.errors == []


def console(chat: ChatPage) -> Locator:
    return chat.page.get_by_role("region", name="Events")


def events(chat: ChatPage, name: str) -> Locator:
    named = chat.page.get_by_text(name, exact=True)
    return console(chat).get_by_role("listitem").filter(has=named)


def call(chat: ChatPage, method: str, *values: object) -> None:
    """Calls a method over the page's own connection; what comes of it is looked for in the list."""
    chat.page.evaluate(CALL, [method, [*values]])


def test_a_call_is_shown_with_its_handler_and_result(ann: ChatPage) -> None:
    call(ann, "add", 2, 3)
    event = events(ann, "add").last
    for text in ("Arguments: 2, 3", "Result: 5", "ann", "chat", "tests.e2e.watched:add", "ok 200"):
        expect(event).to_contain_text(text, timeout=WITHIN_MS)
    expect(event).to_contain_text(re.compile(r"\d+\.\d ms"))
    expect(event.locator("time")).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT.*Z$"))


def test_refusals_failures_and_what_nobody_answers_are_told_apart(ann: ChatPage) -> None:
    call(ann, "refuse", "Not today.")
    expect(events(ann, "refuse").last).to_contain_text("refused 200", timeout=WITHIN_MS)
    expect(events(ann, "refuse").last).to_contain_text("Error: Not today.")
    call(ann, "fail")
    expect(events(ann, "fail").last).to_contain_text("failed 200", timeout=WITHIN_MS)
    expect(events(ann, "fail").last).to_contain_text("Error: RuntimeError")
    expect(events(ann, "fail").last).not_to_contain_text("a secret of the log")
    call(ann, "nobody")
    expect(events(ann, "nobody").last).to_contain_text("rejected 404", timeout=WITHIN_MS)


def test_markup_is_text(ann: ChatPage) -> None:
    text = "<img src=x onerror=alert(1)><b>bold</b>"
    call(ann, "refuse", text)
    expect(events(ann, "refuse").last).to_contain_text(f"Error: {text}", timeout=WITHIN_MS)
    assert console(ann).locator("img, b").count() == 0


def test_newcomers_see_what_has_been(ann: ChatPage, new_context: NewContext, dev: Machine) -> None:
    call(ann, "add", 20, 22)
    expect(events(ann, "add").last).to_contain_text("Result: 42", timeout=WITHIN_MS)
    late = ChatPage(new_context().new_page(), dev.url)
    expect(events(late, "add").last).to_contain_text("Result: 42", timeout=WITHIN_MS)


def test_it_goes_on_when_the_bridge_is_back(new_context: NewContext) -> None:
    port, emulator_port = free_port(), free_port()
    with run_dev(port=port, emulator_port=emulator_port) as machine:
        chat = ChatPage(new_context().new_page(), machine.url)
        expect(console(chat)).to_contain_text("Live", timeout=WITHIN_MS)
        expect(events(chat, "connected")).to_have_count(1, timeout=WITHIN_MS)
    expect(console(chat)).to_contain_text("Waiting for the bridge", timeout=WITHIN_MS)
    with run_dev(port=port, emulator_port=emulator_port):
        expect(console(chat)).to_contain_text("Live", timeout=WITHIN_MS)
        expect(events(chat, "connected")).to_have_count(2, timeout=WITHIN_MS)


def test_a_tab_that_nobody_sees_does_not_listen_and_misses_nothing(ann: ChatPage) -> None:
    call(ann, "add", 1, 1)
    expect(events(ann, "add").last).to_contain_text("Result: 2", timeout=WITHIN_MS)
    count = events(ann, "add").count()
    hide(ann, True)
    expect(console(ann)).to_contain_text("Paused")
    call(ann, "add", 30, 3)
    hide(ann, False)
    expect(events(ann, "add").last).to_contain_text("Result: 33", timeout=WITHIN_MS)
    expect(events(ann, "add")).to_have_count(count + 1)


def hide(chat: ChatPage, hidden: bool) -> None:
    chat.page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_it_is_reached_by_keyboard_and_bears_a_name(ann: ChatPage) -> None:
    log = ann.page.get_by_role("log", name="Events")
    log.focus()
    expect(log).to_be_focused()
    expect(log).to_have_attribute("aria-live", "off")
    ann.page.get_by_label("Only events with this text").focus()
    for _ in range(4):  # the kinds, and then the list
        ann.page.keyboard.press("Tab")
    expect(log).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_desk_and_on_a_phone(
    new_context: NewContext, dev: Machine, screenshots: Path, scheme: str
) -> None:
    desk = ChatPage(new_context(color_scheme=scheme).new_page(), dev.url)
    phone = ChatPage(new_context(color_scheme=scheme, **PHONE).new_page(), dev.url)
    desk.be("ann")
    call(desk, "add", 2, 3)
    call(desk, "refuse", "The text is longer than 1000 characters.")
    call(desk, "fail")
    call(desk, "nobody", {"a": [1, 2, {"b": "x" * 300}]}, "no-blanks-in-this-one-" * 12)
    desk.say("hello everybody", to_everybody=True)
    for chat, name in ((desk, f"console-{scheme}-1280"), (phone, f"console-{scheme}-390")):
        chat.go("Events")
        expect(events(chat, "sendToEverybody").last).to_contain_text("hello everybody", timeout=WITHIN_MS)
        width = chat.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, "the page scrolls sideways"
        log = chat.page.locator("#events-log")
        assert log.evaluate("log => log.scrollWidth - log.clientWidth") == 0, "the list scrolls sideways"
        below = "document.documentElement.scrollHeight - document.documentElement.clientHeight"
        assert chat.page.evaluate(below) == 0, "the page scrolls"
        chat.page.screenshot(path=screenshots / f"{name}.png")
        assert chat.errors == []
