"""The kinds of listeners, and the checks of development: which requests come from this machine."""

from collections.abc import Callable, Coroutine, Iterable
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from signalr_bridge.protocol.origin import is_loopback
from signalr_bridge.wire.exchange import Answer, IncomingRequest


class ListenerKind(StrEnum):
    """Which listener a request came through. ``ONLY`` means that there is one listener for all requests."""

    ONLY = "only"
    PUBLIC = "public"
    CALLERS = "callers"
    METRICS = "metrics"
    """One that answers for metrics and health alone."""


class Begin(Protocol):
    """What ``DirectApp.begin`` says, for an application that is told the kind of the listener."""

    def __call__(
        self, incoming: IncomingRequest, kind: ListenerKind | None = None
    ) -> Coroutine[Any, Any, Answer] | None: ...


class ListenedApp(Protocol):
    """An application that is told which listener a request came through, by an argument or by the scope."""

    @property
    def begin(self) -> Begin:
        """Answers without ASGI."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves by ASGI. ``scope["entered_by"]`` is the kind of the listener."""
        ...


class ListenerApp:
    """The application as one listener serves it. It marks each request with the listener's kind."""

    def __init__(self, app: ListenedApp, kind: ListenerKind) -> None:
        self.app = app
        self._kind = kind
        self.begin: Callable[[IncomingRequest], Coroutine[Any, Any, Answer] | None] = partial(app.begin, kind=kind)
        """What ``DirectApp.begin`` says."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["entered_by"] = self._kind
        await self.app(scope, receive, send)


def is_of_this_machine(hosts: Iterable[str], origins: Iterable[str]) -> bool:
    """Whether a request names this machine as its host, and does not come from a page of another machine.

    The arguments are all values of ``Host`` and of ``Origin``. There is at least one host.
    """
    hosts = list(hosts)
    of_hosts = {f"http://{host.lower()}" for host in hosts}
    return (
        bool(hosts)
        and all(map(is_loopback, hosts))
        and all(not origin or {origin.lower()} == of_hosts for origin in origins)
    )
