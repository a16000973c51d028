"""Chromium, as tests/install.py has found it; without one these tests fail, and are not skipped."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.chat_page import ChatPage
from tests.e2e.processes import Process
from tests.install import PLAYWRIGHT, find

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = Path(__file__).parent / "screenshots"

OpenChat = Callable[..., ChatPage]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for process in Process.running:
            report.sections.append((f"output of {process.name}", "\n".join(process.lines[-30:])))
    return report


# Playwright holds an event loop in this thread as long as it runs: no longer than for one file, or asyncio tests fail.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    recorded = find("chromium")
    path = None if recorded == PLAYWRIGHT else recorded
    with sync_playwright() as playwright:
        # Chromium refuses to run its sandbox as root, which is what containers are.
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Opens a context, which is one person's browser; all are closed after the test."""
    contexts: list[BrowserContext] = []

    def new(**options: object) -> BrowserContext:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)  # type: ignore[arg-type]
        contexts.append(context)
        return context

    yield new
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    (SCREENSHOTS / ".gitignore").write_text("*\n")
    return SCREENSHOTS
