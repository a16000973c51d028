"""The command ``serve``: the bridge on its listeners, from the first word to the last."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from signalr_bridge.banner import Banner, write_url
from signalr_bridge.endpoints.credentials import find_proxies
from signalr_bridge.functions.python_app import PythonApp
from signalr_bridge.hosts import find_unknown_hosts, watch_hosts
from signalr_bridge.main import create_app
from signalr_bridge.parts import Parts
from signalr_bridge.settings import Settings, Sources
from signalr_bridge.settings.diagnosis import locating
from signalr_bridge.settings.log_levels import ALL, read_log_levels
from signalr_bridge.settings.value import Values
from signalr_bridge.upstream.dispatch import ANY
from signalr_bridge.web.guards import ListenerApp, ListenerKind
from signalr_bridge.web.logs import is_text
from signalr_bridge.wire.connection_limit import ConnectionLimit
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind, bind_all, bind_unix


async def run(settings: Settings, sources: Sources, values: Values, python_app: PythonApp | None) -> None:
    """Serve until a signal ends it. Raises ``SettingsError`` where the bridge cannot start.

    Args:
        settings: The settings to start with.
        sources: Where they came from, which is watched.
        values: What was read there, for the places that errors name.
        python_app: The function app of the settings. None without one.
    """
    with ExitStack() as stack:
        stack.enter_context(locating(values))
        sockets = _listen(settings, stack)
        app = create_app(settings, sources, python_app=python_app)
        if python_app is not None:
            python_app.enter(read_log_levels(settings.log_level)[ALL])
        parts: Parts = app.state.parts
        limits = settings.limits
        listen = partial(
            Listener,
            grace_seconds=limits.grace_seconds,
            drain_seconds=limits.drain_seconds,
            keep_alive_seconds=limits.keep_alive_seconds,
            end_streams=parts.begin_stop,
            limit=ConnectionLimit.below_descriptors(_count_outgoing(settings)),
        )
        listener = listen(ListenerApp(app, ListenerKind.PUBLIC), sockets)
        others: list[Listener] = []
        for kind, address, setting in _list_listeners(settings):
            own = stack.enter_context(bind(*address, setting))
            others.append(listen(ListenerApp(app, kind), own, owns_lifespan=False))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, parts.watcher.hang_up)
        # What is alive now stays alive. Leaving it out of collections cuts the slowest requests to a third.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        beside = [asyncio.create_task(_introduce(settings, values, parts, listener, others))]
        beside += [asyncio.create_task(one.serve_beside(listener)) for one in others]
        await listener.run_until_stopped(beside=others, begin_drain=parts.begin_drain)
        for one in beside:
            one.cancel()


def _listen(settings: Settings, stack: ExitStack) -> list[socket.socket]:
    """The bridge's own sockets, which the stack closes."""
    if settings.uds is not None:
        return [stack.enter_context(bind_unix(settings.uds, "BRIDGE_UDS"))]
    sockets = bind_all(settings.listen_hosts, settings.port, "BRIDGE_PORT", "BRIDGE_HOST")
    return [stack.enter_context(one) for one in sockets]


def _list_listeners(settings: Settings) -> list[tuple[ListenerKind, tuple[str, int], str]]:
    """The listeners beside that of the bridge: their kinds, their addresses, and the settings that name them."""
    found = (
        (ListenerKind.CALLERS, settings.callers.listen_address, "BRIDGE_CALLERS__LISTEN"),
        (ListenerKind.METRICS, settings.metrics_address, "BRIDGE_METRICS_LISTEN"),
    )
    return [(kind, address, setting) for kind, address, setting in found if address is not None]


def _count_outgoing(settings: Settings) -> int:
    """How many connections to endpoints and backends may be open."""
    return settings.limits.connections * (len(settings.all_endpoints()) + len(settings.forward))


async def _introduce(
    settings: Settings, values: Values, parts: Parts, listener: Listener, others: Sequence[Listener]
) -> None:
    """The first words, once requests are answered."""
    await listener.ready.wait()
    addresses = [write_url(one, listener.port) for one in settings.listen_hosts]
    if settings.uds is not None:
        addresses = [f"unix:{settings.uds}"]
    for (_, address, _), one in zip(_list_listeners(settings), others, strict=True):
        addresses.append(write_url(address[0], one.port))
    unnamed = parts.hubs.describe_others() if ANY in settings.negotiate.hubs else None
    Banner(settings, parts.hubs.describe(), unnamed, addresses, is_text(settings.log_format)).say()
    watch_hosts(partial(find_unknown_hosts, settings, values, find_proxies(os.environ)))
