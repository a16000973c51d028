"""The chat page as somebody uses it: found by its labels, the way a screen reader finds it."""

import re

from playwright.sync_api import Locator, Page, expect

WITHIN_MS = 20_000


class ChatPage:
    """One open chat page, and what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        page.set_default_timeout(WITHIN_MS)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(url)
        self.expect_arrivals(1)

    def be(self, name: str) -> None:
        """Takes a name, which is a new connection, and waits for it."""
        before = self._arrivals.count()
        self.go("Hub")
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Connect", exact=True).click()
        self.expect_arrivals(before + 1)
        self.go("Chat")

    def go(self, part: str) -> None:
        """Opens a part of the page. On a wide screen the hub and the events are always there."""
        link = self.page.get_by_role("link", name=part, exact=True)
        if link.is_visible():
            link.click()

    def enter(self, room: str) -> None:
        self.page.get_by_label("Your room").fill(room)
        self.page.get_by_role("button", name="Join", exact=True).click()
        expect(self._arrivals.last).to_have_text(re.compile(rf", in the room {re.escape(room)}$"), timeout=WITHIN_MS)

    def say(self, text: str, *, to_everybody: bool = False) -> None:
        if to_everybody:
            self.page.get_by_role("radio", name="Everybody").check(force=True)
        else:
            self.page.get_by_role("radio").first.check(force=True)
        box = self.page.get_by_role("textbox", name="Message")
        box.fill(text)
        box.press("Enter")
        expect(box).to_have_value("", timeout=WITHIN_MS)

    @property
    def messages(self) -> Locator:
        return self.page.get_by_role("log").locator(".message")

    def expect_message(self, name: str, text: str, audience: str = "everybody") -> None:
        message = self.messages.filter(has_text=text).last
        expect(message.locator("p")).to_have_text(text, timeout=WITHIN_MS)
        expect(message.locator(".name")).to_have_text(name)
        expect(message.locator(".audience")).to_have_text(audience)

    def expect_texts(self, *texts: str) -> None:
        """These messages, and no others, in this order."""
        expect(self.messages.locator("p")).to_have_text(list(texts), timeout=WITHIN_MS)

    @property
    def _arrivals(self) -> Locator:
        return self.page.locator(".notice").filter(has_text=re.compile("^You are .+, in the room "))

    def expect_arrivals(self, count: int) -> None:
        """Connected, and so many times in a room since the page was opened."""
        expect(self._arrivals).to_have_count(count, timeout=WITHIN_MS)
        self.expect_state("Connected")

    def expect_state(self, words: str) -> None:
        expect(self.page.get_by_role("status")).to_have_text(words, timeout=WITHIN_MS)

    @property
    def outage(self) -> Locator:
        return self.page.get_by_role("alert").filter(has=self.page.get_by_role("button", name="Try now"))
