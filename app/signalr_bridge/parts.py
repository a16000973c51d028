"""The parts of the application, by their types, and what is done to several of them at once."""

from dataclasses import dataclass

from signalr_bridge.endpoints.client_signers import ClientSigners
from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.functions.app import FunctionApps
from signalr_bridge.functions.remote_app import RemoteApp
from signalr_bridge.hubs import HubList
from signalr_bridge.metrics.observer import MetricsObserver
from signalr_bridge.metrics.states import Observed, StateCollector
from signalr_bridge.negotiate.negotiator import Negotiator
from signalr_bridge.negotiate.rules import ClientAdmission
from signalr_bridge.outbound.idempotency import Idempotency
from signalr_bridge.outbound.sender import Sender
from signalr_bridge.settings.watcher import Watcher
from signalr_bridge.snapshots import Snapshots
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.upstream.negotiate_handlers import NegotiateHandlers
from signalr_bridge.upstream.python.handler import HubHandler
from signalr_bridge.upstream.python.hub_lifespan import HubLifespan
from signalr_bridge.upstream.python.loading import PythonHandlers
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.logs import count_dropped_lines
from signalr_bridge.web.refusals import Refusals
from signalr_bridge.web.request import PartsByType
from signalr_bridge.web.shares import Shares


@dataclass(frozen=True, slots=True)
class Parts(PartsByType):
    """The parts of the application, at ``app.state.parts``. Routes, tests and ``dev`` find them there by their type."""

    access: Access
    clients: ClientAdmission
    directory: EndpointDirectory
    negotiator: Negotiator
    client_signers: ClientSigners
    sender: Sender
    idempotency: Idempotency
    negotiate_handlers: NegotiateHandlers
    receiver: Receiver
    refusals: Refusals
    backends: Backends
    backlog: Backlog
    events: EventFeed
    snapshots: Snapshots
    hub_lifespan: HubLifespan
    function_apps: FunctionApps
    remote_app: RemoteApp
    hubs: HubList

    def begin_drain(self) -> None:
        """From now on the bridge is not ready, and begins no further run of a timer. Requests are still answered."""
        self.directory.begin_stop()
        self.hub_lifespan.begin_drain()
        self.function_apps.begin_drain()

    def begin_stop(self) -> None:
        """Ends the streams. From now on the grace counts. What is in flight still goes on."""
        self.events.close()
        self.hub_lifespan.begin_stop()
        self.function_apps.begin_stop()
        self.backlog.begin_stop()

    def show_states(self, metrics: MetricsObserver, shares: Shares) -> None:
        """Has the metrics read the states of the parts, and know the hubs that are named."""
        metrics.is_known_hub = self.access.hub_names.is_named
        observed = Observed(
            self.directory,
            self.backends,
            self.backlog,
            self.idempotency,
            shares,
            forwards=lambda: self.snapshots.settings().forward,
            dropped_lines=count_dropped_lines,
        )
        metrics.registry.register(StateCollector(observed))

    @property
    def watcher(self) -> Watcher:
        """Watches the sources of the settings. Raises ``LookupError`` when there are none."""
        if self.snapshots.watcher is None:
            raise LookupError("nothing is watched")
        return self.snapshots.watcher

    def use(self, loaded: PythonHandlers) -> None:
        """Let these handlers in Python answer and decide from now on, and their timers run. All others stay.

        Raises ``SettingsError`` for handlers that cannot be used, and then the old ones stay.
        """
        commit = self.negotiate_handlers.prepare(loaded.negotiate)
        others = [one for one in self.receiver.dispatch.handlers if not isinstance(one, HubHandler)]
        self.receiver.use([*others, *loaded.events])
        commit()
        self.hub_lifespan.use(loaded.functions)
