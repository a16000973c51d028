"""The workbench as somebody uses it, found by its labels, and what axe says of it."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.chat_page import WITHIN_MS
from tests.e2e.processes import E2E

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
AXE = (E2E / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
_FOUND = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}"""
_SIZES = """() => {
    const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
    return [scrollWidth - clientWidth, scrollHeight - clientHeight];
}"""


class Workbench:
    """One open page, and what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        page.set_default_timeout(WITHIN_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)
        page.goto(url)

    def _hear(self, message: Any) -> None:
        # Chromium reports each answer of 4xx. What the page makes of them is what the tests look at.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def go(self, part: str) -> None:
        """Opens a part of the page. On a wide screen the hub and the events are always there."""
        link = self.page.get_by_role("link", name=part, exact=True)
        if link.is_visible():
            link.click()

    def connect(self, hub: str, name: str) -> None:
        self.go("Hub")
        self.page.get_by_label("Hub", exact=True).fill(hub)
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Connect", exact=True).click()
        shown = self.page.locator("#connection-id")
        expect(shown).not_to_have_text("none", timeout=WITHIN_MS)
        expect(self.page.get_by_role("status")).to_have_text("Connected", timeout=WITHIN_MS)
        expect(shown).not_to_have_text("none")

    @property
    def connection_id(self) -> str:
        return self.page.locator("#connection-id").inner_text()

    def call(self, method: str, arguments: str, button: str = "Invoke") -> None:
        self.go("Call")
        self.page.get_by_label("Method").fill(method)
        self.page.get_by_label(re.compile("^Arguments")).filter(visible=True).fill(arguments)
        self.page.get_by_role("button", name=button).click()

    @property
    def calls(self) -> Locator:
        return self.page.get_by_role("log", name="Calls, and what the client receives").locator(".entry")

    def send(self, to: str, whom: str, target: str, arguments: str) -> None:
        self._open_send("Send", to, whom)
        self.page.get_by_label("Target").fill(target)
        self.page.get_by_label(re.compile("^Arguments")).filter(visible=True).fill(arguments)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def add(self, to: str, whom: str, group: str) -> None:
        self._open_send("Add to group", to, whom)
        self.page.get_by_label("Group", exact=True).fill(group)
        self.page.get_by_role("button", name="Add to group").click()

    def _open_send(self, action: str, to: str, whom: str) -> None:
        self.go("Send")
        self.page.get_by_role("radio", name=action, exact=True).check(force=True)
        self.page.get_by_label("Whom").select_option(label=to)
        if to != "everybody":
            self.page.get_by_label("Name or id").fill(whom)

    @property
    def answers(self) -> Locator:
        return self.page.get_by_role("log", name="Answers to the backend").locator(".entry")

    @property
    def events(self) -> Locator:
        """The events that the filter shows."""
        return self.page.locator("#events > li").filter(visible=True)

    def event(self, kind: str, name: str) -> Locator:
        named = self.page.locator(f'[data-kind="{kind}"]').filter(has=self.page.get_by_text(name, exact=True))
        return self.page.locator("#events > li").and_(named).last

    def expect_to_fit(self) -> None:
        """Neither the page nor anything in it scrolls sideways, and the page does not scroll at all."""
        assert self.page.evaluate(_SIZES) == [0, 0], "the page scrolls"
        for log in self.page.get_by_role("log").filter(visible=True).all():
            assert log.evaluate("log => log.scrollWidth - log.clientWidth") == 0, "a list scrolls sideways"

    def expect_no_violations(self) -> None:
        """axe finds nothing, neither in light nor in dark."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(f"{AXE}; null")
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            assert self.page.evaluate(_FOUND) == [], scheme
        self.page.emulate_media(color_scheme="light")
