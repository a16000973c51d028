"""BRIDGE_LOG_LEVEL: a level, or levels by logger. What cannot be meant is refused, and the choices are named."""

import ast

import pytest
from signalr_bridge.settings.log_levels import ALL, LOGGERS, read_log_levels

from tests.shape.tree import APP, modules


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("debug", {ALL: "debug"}),
        ("access=warning", {ALL: "info", "access": "warning"}),
        (" Error , access = DEBUG,signalr_bridge.sends=info", {ALL: "error", "access": "debug", "sends": "info"}),
    ],
)
def test_levels_are_read(text: str, levels: dict[str, str]) -> None:
    assert read_log_levels(text) == levels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "debug, info, warning or error"),
        ("info,", "debug, info, warning or error"),
        ("canary", "debug, info, warning or error"),
        ("access=canary", "debug, info, warning or error"),
        ("canary=info", "one of access, asgi, audit"),
        ("=info", "one of access, asgi, audit"),
        ("a=access=info", "one of access, asgi, audit"),
        ("info,debug", "two levels for all loggers"),
        ("access=info,access=debug", "two levels for access"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_choices(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        read_log_levels(text)
    assert "canary" not in str(error.value)


def test_each_logger_of_the_tree_can_be_named_and_no_other() -> None:
    found = set()
    for module in modules():
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="getLogger"), args=[ast.Constant(value=str(name))]):
                    found.add(name)
                case ast.Call(func=ast.Attribute(attr="getLogger"), args=[ast.Name(id="__name__")]):
                    found.add(".".join(("signalr_bridge", *module.relative_to(APP).parts[:1])))
    ours = {name.split(".")[1] for name in found if name.startswith("signalr_bridge.")}
    assert ours == set(LOGGERS)
