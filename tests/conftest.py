"""For all tests: how many examples property tests try, and logging that is put back."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from signalr_bridge.settings.log_levels import LOGGERS
from signalr_bridge.web.trace import NO_TRACE, TRACE

_LOGGING_SWITCHES = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")

# `make check`, whose processes share the cores: how fast a value is made says nothing there. `make test` tries
# hypothesis's own 100 examples.
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Puts back what ``configure_logs`` changes: the handlers, the levels, and what records hold."""
    root, ours = logging.getLogger(), logging.getLogger("signalr_bridge")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    below = {one: one.level for one in map(logging.getLogger, (f"signalr_bridge.{name}" for name in LOGGERS))}
    switches = {name: getattr(logging, name) for name in _LOGGING_SWITCHES}
    outside = TRACE.set(NO_TRACE)  # another test may have left a request here
    yield
    TRACE.reset(outside)
    for handler in {*root.handlers}.difference(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    for logger, level in below.items():
        logger.setLevel(level)
    for name, value in switches.items():
        setattr(logging, name, value)
