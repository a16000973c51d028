"""The page that ``init`` writes, in Chromium: from another port than the bridge's it calls a backend in Node."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from signalr_bridge.init import write_project

from tests.e2e.examples import run_example
from tests.e2e.processes import Process, free_port, run_dev, wait_until_answered


@pytest.fixture
def page_url(tmp_path: Path) -> Iterator[str]:
    write_project("node", tmp_path / "chat")
    page = tmp_path / "chat" / "page" / "index.html"
    backend, port, state = free_port(), free_port(), {"XDG_STATE_HOME": str(tmp_path)}
    with run_dev("--forward", f"http://localhost:{backend}/signalr", settings=state) as machine:
        page.write_text(page.read_text("utf-8").replace("http://localhost:8080", machine.url), "utf-8")
        secret = machine.bridge.wait_for_line(r"^Signing secret: (whsec_\S+)")[1]
        server = [
            sys.executable,
            "-m",
            "http.server",
            "--bind",
            "localhost",
            "--directory",
            str(page.parent),
            str(port),
        ]
        with run_example("node", backend, {"WEBHOOK_SECRET": secret}), Process("page", server) as process:
            wait_until_answered(process, f"http://localhost:{port}/")
            yield f"http://localhost:{port}/"


def test_two_people_chat_on_it(page_url: str, new_context: Callable[..., BrowserContext]) -> None:
    context = new_context()
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    ann, bob = context.new_page(), context.new_page()
    ann.goto(page_url)
    bob.goto(f"{page_url}?userId=bob")
    expect(ann.get_by_role("status")).to_have_text("Connected as ann.")
    expect(bob.get_by_role("status")).to_have_text("Connected as bob.")

    ann.get_by_label("Text").fill("hello <b>")
    ann.get_by_role("button", name="Send").click()
    for page in (ann, bob):
        expect(page.get_by_role("listitem")).to_have_text(["ann: hello <b>"])
    expect(ann.get_by_label("Text")).to_have_value("")

    bob.get_by_label("Text").fill(" ")
    bob.get_by_role("button", name="Send").click()
    expect(bob.get_by_role("status")).to_have_text("The text is empty.")
    assert errors == []
