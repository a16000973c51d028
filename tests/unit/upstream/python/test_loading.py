"""Handlers by import string and by entry point."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.upstream.python.loading import ENTRY_POINTS, load_handlers

MODULE = """
from app.upstream import Hub

chat = Hub("chat")
chat.on("send")(lambda context: None)
number = 5

class Lobby(Hub):
    async def enter(self, context): ...

class Needy(Hub):
    def __init__(self, database): ...

class Box:
    hub = chat
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_hubs.py").write_text(MODULE)
    (tmp_path / "my_broken.py").write_text("raise RuntimeError('with a secret')")
    (tmp_path / "my_wrong.py").write_text("from app.upstream import Hub\nHub('not a hub')")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in ("my_hubs", "my_broken", "my_wrong"):
        sys.modules.pop(name, None)


def load(*imports: str, installed: tuple[EntryPoint, ...] = ()) -> set[tuple[str, str]]:
    return {(one.hub, one.event) for one in load_handlers(imports, installed)}


def test_the_current_folder_is_importable() -> None:
    assert load("my_hubs:chat", "my_hubs:Lobby") == {("chat", "send"), ("lobby", "enter")}
    assert load("my_hubs:Box.hub") == {("chat", "send")}


def test_an_entry_point_brings_handlers_along() -> None:
    point = EntryPoint("anything", "my_hubs:chat", ENTRY_POINTS)
    assert load(installed=(point,)) == {("chat", "send")}


def test_a_hub_that_is_named_twice_counts_once() -> None:
    point = EntryPoint("anything", "my_hubs:Box.hub", ENTRY_POINTS)
    assert len(load_handlers(["my_hubs:chat", "my_hubs:chat"], [point])) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("my_missing:chat", r"'my_missing'.*cannot be imported.*No module named"),
        ("my_broken:chat", r"'my_broken'.*cannot be imported \(RuntimeError, .*my_broken.py, line 1\)"),
        ("my_wrong:chat", "A hub name is"),
        ("my_hubs:missing", "is not there"),
        ("my_hubs:chat.missing", "is not there"),
        ("my_hubs:number", "is no handler"),
        ("my_hubs:Box", "is no handler"),
        ("my_hubs:Needy", "without arguments"),
        ("my_hubs", "module:attribute"),
        (":chat", "module:attribute"),
        ("my_hubs:", "module:attribute"),
    ],
)
def test_each_mistake_has_its_own_sentence(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text) as caught:
        load(name)
    assert "secret" not in str(caught.value)


def test_without_settings_there_are_no_handlers() -> None:
    assert load_handlers([]) == []
