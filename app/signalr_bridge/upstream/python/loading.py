"""Loads handlers in Python, found by import string or by entry point."""

import asyncio
import importlib
import inspect
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from signalr_bridge.errors import SettingsError, blame
from signalr_bridge.upstream.python.handler import HubHandler, explain_error, read_handlers
from signalr_bridge.upstream.python.hub import Hub, advise
from signalr_bridge.upstream.python.hub_lifespan import HubFunction, read_functions
from signalr_bridge.upstream.python.negotiate_handler import PythonNegotiateHandler, read_negotiate_handler
from signalr_bridge.upstream.python.threads import Threads

ENTRY_POINTS = "signalr_bridge.handlers"
"""The entry-point group in which a package declares its handlers."""

_LOG = logging.getLogger("signalr_bridge.upstream")
_PASSED_ON = (SettingsError, KeyboardInterrupt, asyncio.CancelledError)


@dataclass(frozen=True, slots=True)
class PythonHandlers:
    """What all hubs in Python have: handlers of events, those that decide who may connect, and what runs by itself."""

    events: Sequence[HubHandler]
    negotiate: Sequence[PythonNegotiateHandler]
    functions: Sequence[HubFunction]


def load_handlers(
    named: Iterable[Hub | type[Hub] | str],
    installed: Iterable[EntryPoint] | None = None,
    *,
    threads: Threads | None = None,
    default_seconds: float | None = None,
) -> PythonHandlers:
    """The handlers of every named hub and of every entry point, each hub once. The current folder is importable.

    Raises ``SettingsError`` for a missing module or attribute, and for what is not a hub.

    Args:
        named: Hubs, or their names as ``module:attribute``.
        installed: The entry points. None takes those that are installed.
        threads: Where handlers run that are not async.
        default_seconds: The time limit of a handler that does not name one. None means no limit.
    """
    threads = threads or Threads()
    points = entry_points(group=ENTRY_POINTS) if installed is None else installed
    given = list(named)
    names = [*given, *(f"{one.module}:{one.attr}" for one in points)]
    hubs: dict[int, tuple[str, Hub]] = {}
    for one in dict.fromkeys(names):
        name = one if isinstance(one, str) else _name(one)
        with blame(_name_setting(one, given)):
            hub = load_hub(name) if isinstance(one, str) else _check_hub(one, name)
        hubs.setdefault(id(hub), (name, hub))
    found = []
    for name, hub in hubs.values():
        with blame(_name_setting(name, given)):
            found.append(_read_some(name, hub, threads, default_seconds))
    return PythonHandlers(
        [one for some in found for one in some.events],
        [one for some in found for one in some.negotiate],
        [one for some in found for one in some.functions],
    )


def _name_setting(one: object, given: Sequence[object]) -> str:
    """The setting that named a hub. Empty for a hub that was given as it is, and for one of an installed package."""
    return "BRIDGE_HANDLERS" if isinstance(one, str) and one in given else ""


def _read_some(name: str, hub: Hub, threads: Threads, default_seconds: float | None) -> PythonHandlers:
    handlers, functions = read_handlers(hub, threads, default_seconds), read_functions(hub, threads)
    negotiate = read_negotiate_handler(hub, threads, default_seconds)
    if not handlers and not functions and negotiate is None:  # that is not an error: a hub may exist only to be named
        _LOG.warning(f"The hub '{name}' has no handler. {advise(hub)}.")
    return PythonHandlers(handlers, [] if negotiate is None else [negotiate], functions)


def load_hub(name: str) -> Hub:
    """The hub at ``module:attribute``: an instance of ``Hub``, or a subclass that needs no arguments.

    Raises ``SettingsError`` when there is none, and when its module cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SettingsError(f"The handler '{name}' is not written as module:attribute, such as my_chat:chat.")
    return _check_hub(_find_attribute(_import(module_name), attribute, name), name)


def _check_hub(found: object, name: str) -> Hub:
    """The hub that was found by ``name``. Raises ``SettingsError`` for what is none."""
    if found is Hub:
        raise SettingsError(f"'{name}' is the class Hub itself: name what was made by Hub(...), or a subclass of Hub.")
    if isinstance(found, type) and issubclass(found, Hub):
        found = _create(found, name)
    if not isinstance(found, Hub):
        raise SettingsError(
            f"'{name}' is no handler: it is neither a Hub nor a subclass of Hub. Name what was made by Hub(...)."
        )
    return found


def _name(given: object) -> str:
    """What stands for a hub that was not named."""
    return given.__name__ if isinstance(given, type) else type(given).__name__


def _import(module_name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(module_name)
    except _PASSED_ON:
        raise
    except BaseException as error:
        raise SettingsError(
            f"The module '{module_name}' of a handler cannot be imported ({explain_error(error)}): "
            "is it in the current folder or installed, and does it run on its own?"
        ) from error


def _find_attribute(module: ModuleType, attribute: str, name: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise SettingsError(
                f"The handler '{name}' is not there: '{module.__name__}' has no '{attribute}'. "
                f"Name one of its hubs{_list_hubs(module)}."
            )
        found = getattr(found, part)
    return found


def _list_hubs(module: ModuleType) -> str:
    hubs = [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, Hub)]
    return f": {', '.join(hubs)}" if hubs else ""


def _create(kind: type[Hub], name: str) -> Hub:
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        raise SettingsError(f"'{name}' cannot be created without arguments: name an instance instead.") from error
    try:
        return kind()
    except _PASSED_ON:
        raise
    except BaseException as error:
        raise SettingsError(
            f"The hub '{name}' cannot be created ({explain_error(error)}): see to its __init__."
        ) from error
