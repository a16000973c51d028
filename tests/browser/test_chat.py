"""The chat page in Chromium: what one person types, the other one reads."""

import itertools
import json
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.chat_page import WITHIN_MS, ChatPage
from tests.e2e.processes import Machine, free_port, run_dev

NewContext = Callable[..., BrowserContext]
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def dev() -> Iterator[Machine]:
    with run_dev() as machine:
        yield machine


@pytest.fixture
def ann(new_context: NewContext, dev: Machine) -> Iterator[ChatPage]:
    yield from someone(new_context, dev, "ann")


@pytest.fixture
def bob(new_context: NewContext, dev: Machine) -> Iterator[ChatPage]:
    yield from someone(new_context, dev, "bob")


def someone(new_context: NewContext, dev: Machine, name: str) -> Iterator[ChatPage]:
    """A page of a person with this name. Nothing may go wrong in it, except in tests that break things."""
    chat = ChatPage(new_context().new_page(), dev.url)
    chat.be(name)
    yield chat
    assert chat.errors == []


def run_curl(line: str) -> Any:
    """What the service answers to a curl line: asked by curl where there is one, else by the same request from here."""
    words = shlex.split(line)
    assert words[0] == "curl"
    if shutil.which("curl"):
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True)
        return json.loads(done.stdout)
    options = dict(itertools.pairwise(words))
    url = next(word for word in words if word.startswith("http"))
    name, _, value = options["-H"].partition(": ")
    return httpx.post(url, content=options["-d"].encode(), headers={name: value}, trust_env=False).json()


def test_what_one_types_the_other_reads(ann: ChatPage, bob: ChatPage) -> None:
    ann.say("hello everybody", to_everybody=True)
    bob.expect_message("ann", "hello everybody")
    ann.expect_message("ann", "hello everybody")
    bob.say("hello ann é \U0001f600")
    ann.expect_message("bob", "hello ann é \U0001f600", audience="lobby")
    ann.expect_texts("hello everybody", "hello ann é \U0001f600")
    expect(ann.messages.first).to_have_class(re.compile(r"\bmine\b"))
    expect(bob.messages.first).not_to_have_class(re.compile(r"\bmine\b"))


def test_the_printed_curl_line_reaches_both(ann: ChatPage, bob: ChatPage, dev: Machine) -> None:
    line = dev.bridge.wait_for_line("^Try: (.*)$")[1]
    expect(ann.page.get_by_label("The curl command")).to_have_text(line)
    assert run_curl(line)["status"] == "accepted"
    ann.expect_message("curl", "hello")
    bob.expect_message("curl", "hello")


def test_rooms_are_separate(ann: ChatPage, bob: ChatPage) -> None:
    room = f"room {secrets.token_hex(3)}/ü"
    ann.enter(room)
    ann.say("only for this room")
    ann.expect_message("ann", "only for this room", audience=room)
    bob.say("only for the lobby")
    bob.enter(room)
    bob.say("now I am here")
    ann.expect_message("bob", "now I am here", audience=room)
    ann.expect_texts("only for this room", "now I am here")
    bob.expect_texts("only for the lobby", "now I am here")


def test_a_name_and_a_room_survive_a_reload(ann: ChatPage) -> None:
    ann.enter("attic")
    ann.page.reload()
    ann.expect_state("Connected")
    expect(ann.page.get_by_label("Your name")).to_have_value("ann")
    ann.say("still here")
    ann.expect_message("ann", "still here", audience="attic")


def test_markup_is_text(ann: ChatPage, dev: Machine) -> None:
    text = "<img src=x onerror=alert(1)><b>bold</b>"
    with dev.http() as http:
        item = {"target": "newMessage", "arguments": [{"odd": ["<i>"]}, text]}
        assert http.post("/hubs/chat/send", json=item).status_code == 202
    ann.expect_message('{"odd":["<i>"]}', text)
    assert ann.page.locator("#messages img, #messages b, #messages i").count() == 0


def test_what_a_handler_refuses_is_said(ann: ChatPage) -> None:
    ann.page.get_by_label("Your room").fill("x" * 60)
    box = ann.page.get_by_role("textbox", name="Message")
    box.evaluate("box => box.removeAttribute('maxlength')")
    box.fill("x" * 1001)
    box.press("Enter")
    expect(ann.page.get_by_role("alert").get_by_text("The text is longer than 1000 characters.")).to_be_visible(
        timeout=WITHIN_MS
    )
    expect(box).to_have_value("x" * 1001)


def test_all_of_it_goes_by_keyboard(ann: ChatPage) -> None:
    ann.page.get_by_label("Hub", exact=True).focus()
    seen = []
    for _ in range(32):
        seen.append(
            ann.page.evaluate(
                "document.activeElement.id || document.activeElement.hash || document.activeElement.tagName"
            )
        )
        ann.page.keyboard.press("Tab")
    for reachable in ("hub", "name", "connect", "#call", "room", "room-button", "log", "text", "say"):
        assert reachable in seen
    ann.page.get_by_role("radio").first.focus()
    ann.page.keyboard.press("ArrowRight")
    ann.page.get_by_role("textbox", name="Message").focus()
    ann.page.keyboard.type("by keyboard")
    ann.page.keyboard.press("Enter")
    ann.expect_message("ann", "by keyboard")


def test_a_service_that_is_gone_is_said_and_awaited(new_context: NewContext, dev: Machine) -> None:
    context = new_context()
    chat = ChatPage(context.new_page(), dev.url)
    user = f"user-{secrets.token_hex(3)}"
    chat.be(user)
    with dev.http() as http:
        items = [{"target": "newMessage", "arguments": ["curl", f"line {n}"], "userId": user} for n in range(30)]
        assert http.post("/hubs/chat/send", json=items).status_code == 202
    chat.expect_message("curl", "line 29")
    service = re.compile(rf"//(localhost|127\.0\.0\.1):{dev.emulator_port}/")
    context.route(service, lambda route: route.abort())
    with dev.http() as http:
        closed = http.post("/hubs/chat/outputs", json=[{"action": "close", "userId": user}])
        assert closed.status_code == 202, closed.text
    expect(chat.outage).to_contain_text("The SignalR service is gone.", timeout=WITHIN_MS)
    expect(chat.messages.last).to_be_in_viewport(ratio=1)  # the notice of the outage takes room, not the newest line
    expect(chat.page.get_by_role("button", name="Say")).to_be_disabled()
    context.unroute(service)
    chat.page.get_by_role("button", name="Try now").click()
    chat.expect_state("Connected")
    expect(chat.outage).to_be_hidden()
    chat.say("back in my room")
    chat.expect_message(user, "back in my room", audience="lobby")


def test_a_bridge_that_is_gone_is_said_and_awaited(new_context: NewContext, screenshots: Path) -> None:
    port, emulator_port = free_port(), free_port()
    with run_dev(port=port, emulator_port=emulator_port) as machine:
        chat = ChatPage(new_context().new_page(), machine.url)
        chat.be("ann")
        chat.say("before")
    expect(chat.outage).to_contain_text("The bridge does not answer.", timeout=WITHIN_MS)
    chat.expect_state("Not connected")
    chat.page.screenshot(path=screenshots / "gone-1280.png")
    with run_dev(port=port, emulator_port=emulator_port):
        chat.expect_state("Connected")  # by itself, without the button
        expect(chat.outage).to_be_hidden()
        chat.say("after")
        chat.expect_texts("before", "after")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_desk_and_on_a_phone(
    new_context: NewContext, dev: Machine, screenshots: Path, scheme: str
) -> None:
    desk = ChatPage(new_context(color_scheme=scheme).new_page(), dev.url)
    phone = ChatPage(new_context(color_scheme=scheme, **PHONE).new_page(), dev.url)
    desk.be("Ann")
    phone.be("Bob")
    desk.say("Good morning! Who is there?", to_everybody=True)
    phone.say("Me, on the train. See you in the garden?", to_everybody=True)
    for chat in (desk, phone):
        chat.enter("garden")
    desk.say("Here it is quieter: only those who are in the room read this.")
    phone.say("A long address must not break the page: https://example.com/" + "very-long-path/" * 8)
    run_curl(dev.bridge.wait_for_line("^Try: (.*)$")[1])
    for chat, name in ((desk, f"{scheme}-1280"), (phone, f"{scheme}-390")):
        chat.expect_message("curl", "hello")
        width = chat.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, "the page scrolls sideways"
        chat.page.screenshot(path=screenshots / f"{name}.png")
        assert chat.errors == []
    phone.page.screenshot(path=screenshots / f"{scheme}-390-whole.png", full_page=True)
