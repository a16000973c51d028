"""The pytest plugin: a bridge with one's own handlers and an emulated service, for tests with real clients.

pytest loads it wherever the package is installed. So it imports the rest when a fixture is first asked for.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from signalr_bridge.testing import RunningBridge, RunningEmulator
    from signalr_bridge.upstream.python.hub import Hub


@pytest.fixture
def signalr_handlers() -> "Sequence[Hub | type[Hub] | str]":
    """The hubs that ``signalr_bridge`` runs. Override it: a list of hubs, or of their import strings."""
    return []


@pytest.fixture
def signalr_emulator() -> "Iterator[RunningEmulator]":
    """An emulated SignalR service in this process: ``connection_string``, ``url``."""
    from signalr_bridge.testing import run_emulator

    with run_emulator() as emulator:
        yield emulator


@pytest.fixture
def signalr_bridge(
    signalr_emulator: "RunningEmulator", signalr_handlers: "Sequence[Hub | type[Hub] | str]"
) -> "Iterator[RunningBridge]":
    """A bridge in this process, with the handlers of ``signalr_handlers``: ``url``, ``key``, ``emulator``."""
    from signalr_bridge.testing import run_bridge

    with run_bridge(signalr_emulator, signalr_handlers) as bridge:
        yield bridge
