"""Handlers by import string and by entry point."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.python.loading import ENTRY_POINTS, load_handlers

MODULE = """
from signalr_bridge import Hub

chat = Hub("chat")
chat.on("send")(lambda context: None)
number = 5

class Lobby(Hub):
    async def enter(self, context): ...

class Needy(Hub):
    def __init__(self, database): ...

class Raising(Hub):
    def __init__(self):
        raise ValueError("with a secret")

class Mistaken(Hub):
    def __init__(self):
        len()

class Leaving(Hub):
    def __init__(self):
        raise SystemExit("with a secret")

class Misnamed(Hub):
    def __init__(self):
        super().__init__("not a hub")

class Sync(Hub):
    def send(self, context): ...

class Filtered(Hub):
    def __init__(self):
        self.filter(self.check)
    async def check(self, context): ...

empty = Hub("empty")

class Box:
    hub = chat
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_hubs.py").write_text(MODULE)
    (tmp_path / "my_broken.py").write_text("raise RuntimeError('with a secret')")
    (tmp_path / "my_wrong.py").write_text("from signalr_bridge import Hub\nHub('not a hub')")
    (tmp_path / "my_own.py").write_text("class Own(BaseException): ...\nraise Own('with a secret')")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in ("my_hubs", "my_broken", "my_wrong", "my_own"):
        sys.modules.pop(name, None)


def load(*imports: str, installed: tuple[EntryPoint, ...] = ()) -> set[tuple[str, str]]:
    return {(one.hub, one.event) for one in load_handlers(imports, installed).events}


def test_the_current_folder_is_importable() -> None:
    assert load("my_hubs:chat", "my_hubs:Lobby") == {("chat", "send"), ("lobby", "enter")}
    assert load("my_hubs:Box.hub") == {("chat", "send")}


def test_an_entry_point_brings_handlers_along() -> None:
    point = EntryPoint("anything", "my_hubs:chat", ENTRY_POINTS)
    assert load(installed=(point,)) == {("chat", "send")}


def test_a_hub_that_is_named_twice_counts_once() -> None:
    point = EntryPoint("anything", "my_hubs:Box.hub", ENTRY_POINTS)
    assert len(load_handlers(["my_hubs:chat", "my_hubs:chat"], [point]).events) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("my_missing:chat", r"'my_missing'.*cannot be imported.*No module named"),
        ("my_broken:chat", r"'my_broken'.*cannot be imported \(RuntimeError, .*my_broken.py, line 1\)"),
        ("my_own:chat", r"'my_own'.*cannot be imported \(Own, .*my_own.py, line 2\)"),
        ("my_wrong:chat", "'not a hub': A hub name is"),
        ("my_hubs:missing", "is not there"),
        ("my_hubs:chat.missing", "is not there"),
        ("my_hubs:number", "is no handler"),
        ("my_hubs:Box", "is no handler"),
        ("my_hubs:Needy", "without arguments"),
        ("my_hubs:Raising", r"'my_hubs:Raising' cannot be created \(ValueError, .*my_hubs.py, line 16\)"),
        ("my_hubs:Mistaken", r"'my_hubs:Mistaken' cannot be created \(TypeError, .*my_hubs.py, line 20\)"),
        ("my_hubs:Leaving", r"cannot be created \(SystemExit, .*my_hubs.py, line 24\)"),
        ("my_hubs:Misnamed", "'not a hub': A hub name is"),
        ("my_hubs:Hub", "'my_hubs:Hub' is the class Hub itself"),
        ("my_hubs", "module:attribute"),
        (":chat", "module:attribute"),
        ("my_hubs:", "module:attribute"),
    ],
)
def test_each_error_has_its_own_sentence(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text) as caught:
        load(name)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("my_hubs:empty", "Register a function in its module"),
        ("my_hubs:Sync", "Its methods (send) must be `async def`"),
        ("my_hubs:Filtered", "Define an `async def` in the class itself"),
    ],
)
def test_a_hub_without_handlers_is_told_about(name: str, advice: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not load(name)
    assert f"The hub '{name}' has no handler. {advice}" in caplog.text


def test_without_settings_there_are_no_handlers() -> None:
    assert load_handlers([]).events == []
