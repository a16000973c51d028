"""Handlers loaded anew: when, which files count, and what stays when the new code is wrong."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from signalr_bridge.upstream.python.handler import HubHandler
from signalr_bridge.upstream.python.loading import load_handlers
from signalr_bridge.upstream.python.reloader import Reloader

from tests.unit.upstream.fakes import context

CHAT = """
from signalr_bridge import Hub
from parts.answers import ANSWER

chat = Hub("chat")

@chat.on("ask")
async def ask(context):
    return ANSWER
"""


class Workshop:
    """A folder with handlers, and what a reloader makes of changes in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.handlers: list[HubHandler] = []
        self.write("my_chat.py", CHAT)
        self.write("parts/answers.py", "ANSWER = 1")
        self.load()
        self.reloader = Reloader(["my_chat:chat"], self.load, self.said.append)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def load(self) -> None:
        self.handlers = [*load_handlers(["my_chat:chat"], []).events]

    def look(self) -> bool:
        """Twice, because a change must have settled."""
        return any([self.reloader.look(), self.reloader.look()])

    async def ask(self) -> object:
        return await self.handlers[0].answer(context(event="ask"))


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # the trap: compiled files know a change by the second
    before = dict(sys.modules)
    yield Workshop(tmp_path)
    for name in set(sys.modules) - set(before):
        if name.startswith(("my_", "parts")):
            del sys.modules[name]


async def test_nothing_changes_nothing_is_done(workshop: Workshop) -> None:
    handlers = workshop.handlers
    assert [workshop.look() for _ in range(3)] == [False] * 3
    assert workshop.handlers is handlers


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("my_chat.py", CHAT.replace("return ANSWER", "return 'new'"), "new"),
        ("parts/answers.py", "ANSWER = 2", 2),
        ("parts/answers.py", "from parts.more import ANSWER", 3),
    ],
)
async def test_a_change_of_the_module_or_of_what_it_imports(
    workshop: Workshop, name: str, text: str, answer: object
) -> None:
    workshop.write("parts/more.py", "ANSWER = 3")
    assert await workshop.ask() == 1
    workshop.write(name, text)
    assert workshop.look()
    assert await workshop.ask() == answer
    assert "Handlers reloaded: " in workshop.said[-1]
    assert Path(name).name in workshop.said[-1]
    assert not workshop.look(), "once is enough"


async def test_a_change_within_the_same_second_and_of_the_same_length(workshop: Workshop) -> None:
    for number in range(2, 6):
        workshop.write("parts/answers.py", f"ANSWER = {number}")
        assert workshop.look()
        assert await workshop.ask() == number


async def test_a_change_must_settle(workshop: Workshop) -> None:
    workshop.write("parts/answers.py", "ANSWER =")
    assert not workshop.reloader.look()
    workshop.write("parts/answers.py", "ANSWER = 22")
    assert not workshop.reloader.look()
    assert workshop.reloader.look()
    assert len(workshop.said) == 1
    assert await workshop.ask() == 22


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ANSWER = (", ["SyntaxError", "answers.py", "line 1"]),
        ("ANSWER = missing", ["NameError", "missing", "answers.py"]),
        ("import nowhere_to_be_found", ["nowhere_to_be_found"]),
        ("import sys; sys.exit(3)", ["SystemExit"]),
        ("class Own(BaseException): ...\nraise Own", ["Own", "answers.py"]),
        ("OTHER = 1", ["cannot import name 'ANSWER'"]),
    ],
)
async def test_an_error_is_told_and_the_old_handlers_stay(workshop: Workshop, text: str, words: list[str]) -> None:
    module = sys.modules["my_chat"]
    workshop.write("parts/answers.py", text)
    assert workshop.look()
    told = "\n".join(workshop.said)
    assert "Handlers not reloaded (answers.py), the old ones stay." in told
    for word in words:
        assert word in told
    assert await workshop.ask() == 1
    assert sys.modules["my_chat"] is module
    assert not workshop.look()
    workshop.write("parts/answers.py", "ANSWER = 4")
    assert workshop.look()
    assert await workshop.ask() == 4


class Own(BaseException): ...


@pytest.mark.parametrize(("error", "survived"), [(Own(), True), (SystemExit(), True), (KeyboardInterrupt(), False)])
async def test_whatever_installing_raises_the_watch_goes_on(
    workshop: Workshop, error: BaseException, survived: bool
) -> None:
    def install() -> None:
        raise error

    module = sys.modules["my_chat"]
    workshop.reloader = Reloader(["my_chat:chat"], install, workshop.said.append)
    workshop.write("parts/answers.py", "ANSWER = 33")
    if survived:
        assert workshop.look()
        assert type(error).__name__ in workshop.said[-1]
        assert sys.modules["my_chat"] is module
    else:  # whoever runs the program wants to end it
        with pytest.raises(KeyboardInterrupt):
            workshop.look()


async def test_a_new_module_with_an_error_is_watched_until_it_is_right(workshop: Workshop) -> None:
    workshop.write("parts/fresh.py", "ANSWER = (")
    workshop.write("my_chat.py", CHAT.replace("parts.answers", "parts.fresh"))
    assert workshop.look()
    assert "not reloaded" in workshop.said[0]
    workshop.write("parts/fresh.py", "ANSWER = 5")
    assert workshop.look()
    assert await workshop.ask() == 5


async def test_handlers_that_collide_leave_the_old_ones(workshop: Workshop) -> None:
    workshop.write("my_chat.py", CHAT + "\nchat.on('')(lambda context: None)")
    assert workshop.look()
    assert "without a name" in workshop.said[0]
    assert await workshop.ask() == 1


async def test_a_file_that_is_gone_for_a_moment(workshop: Workshop) -> None:
    path = workshop.folder / "my_chat.py"
    text = path.read_text()
    path.unlink()
    assert workshop.look()
    assert "not reloaded" in workshop.said[0]
    path.write_text(text.replace("return ANSWER", "return 'back'"))
    assert workshop.look()
    assert await workshop.ask() == "back"


@pytest.fixture
def own(workshop: Workshop) -> Callable[[], set[str]]:
    return lambda: set(workshop.reloader.own_modules())


async def test_what_is_installed_and_what_is_ours_is_never_touched(own: Callable[[], set[str]]) -> None:
    assert own() == {"my_chat", "parts.answers"}
