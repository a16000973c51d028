"""The first handlers, in Python and in another language, called by the first client and by the page."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.browser.chat_page import WITHIN_MS
from tests.browser.workbench import Workbench
from tests.e2e.examples import run_example
from tests.e2e.processes import E2E, NODE, ROOT, Process, free_port, run_dev

NewContext = Callable[..., BrowserContext]
README = (ROOT / "README.md").read_text("utf-8")


DOOR = """
from signalr_bridge import Hub

door = Hub("door")

@door.negotiate
def admit(request): ...
"""


def first_block(language: str, words: str) -> str:
    """The README's first block of code in a language that says these words."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if words in block)


def test_the_first_handler_and_the_first_client_of_the_readme_fit_together_and_on_the_page(
    new_context: NewContext, tmp_path: Path, screenshots: Path
) -> None:
    (tmp_path / "my_chat.py").write_text(first_block("python", "signalr_bridge"), "utf-8")
    (tmp_path / "my_door.py").write_text(DOOR, "utf-8")
    (tmp_path / "node_modules").symlink_to(E2E / "node_modules")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    with run_dev("--handlers", "my_chat:chat", "--handlers", "my_door:door", settings={"PYTHONPATH": path}) as machine:
        bench = Workbench(new_context().new_page(), machine.url)
        expect(bench.page.get_by_label("Method")).to_have_value("broadcast", timeout=WITHIN_MS)
        expect(bench.page.get_by_role("link", name="Chat")).to_be_hidden()
        bench.connect("chat", "bob")
        client = first_block("js", "HubConnectionBuilder").replace("http://localhost:8080", machine.url)
        (tmp_path / "client.mjs").write_text(client, "utf-8")
        with Process("the client of the README", [NODE, str(tmp_path / "client.mjs")]) as process:
            process.wait_for_line("^ann: hello$")
            expect(bench.calls.filter(has_text='"ann", "hello"')).to_have_count(1, timeout=WITHIN_MS)
            bench.call("broadcast", '["hello from the page"]')
            process.wait_for_line("^bob: hello from the page$")
        expect(bench.calls.filter(has_text='Result: "sent"')).to_have_count(1, timeout=WITHIN_MS)
        bench.call("broadcast", '[""]')
        expect(bench.calls.last).to_contain_text("Error: Say something.", timeout=WITHIN_MS)
        bench.page.screenshot(path=screenshots / "first-handler-1280.png")
        bench.go("Hub")
        admitted = bench.page.locator("#clients")
        expect(admitted).to_have_text("anybody", timeout=WITHIN_MS)
        bench.page.get_by_role("button", name="Use the hub door").click()
        words = "whom its negotiate handler admits, and where it leaves it to the rules, anybody"
        expect(admitted).to_have_text(words, timeout=WITHIN_MS)
        assert bench.errors == []


def test_a_backend_in_node_is_called_from_the_page(new_context: NewContext, tmp_path: Path) -> None:
    """One address, and no line of Python."""
    port = free_port()
    forward = ("--forward", f"http://localhost:{port}/signalr")
    with run_dev(*forward, settings={"XDG_STATE_HOME": str(tmp_path)}) as machine:
        secret = machine.bridge.wait_for_line(r"^Signing secret: (whsec_\S+)")[1]
        with run_example("node", port, {"WEBHOOK_SECRET": secret, "BRIDGE_URL": machine.url}):
            bench = Workbench(new_context().new_page(), machine.url)
            bench.connect("chat", "ann")
            bench.call("broadcast", '["hello"]')
            expect(bench.calls.filter(has_text='Result: "sent"')).to_have_count(1, timeout=WITHIN_MS)
            expect(bench.calls.filter(has_text='"ann", "hello"')).to_have_count(1, timeout=WITHIN_MS)
            bench.call("nothing", "[]")
            expect(bench.calls.last).to_contain_text("Error: There is no such method.", timeout=WITHIN_MS)
            expect(bench.event("upstream", "broadcast")).to_contain_text("ok 200", timeout=WITHIN_MS)
            assert bench.errors == []
