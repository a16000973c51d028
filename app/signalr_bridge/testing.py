"""For tests of one's own handlers: contexts that record what is sent, and a bridge with an emulator in the process."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import msgspec

from signalr_bridge.emulator import Emulator
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.outcome import Judgement, Result, Status, judge
from signalr_bridge.errors import HubError, NoHandler, Rejected
from signalr_bridge.main import create_app
from signalr_bridge.outbound.items import read_items
from signalr_bridge.outbound.sender import ALL_KINDS
from signalr_bridge.parts import Parts
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.claims import LOSSLESS_CLAIM, write_claims_line, write_lossless
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.protocol.rest import Action, ClientAnswer, Message, Operation
from signalr_bridge.protocol.upstream_event import (
    CONNECTED,
    CONNECTIONS,
    DISCONNECTED,
    MESSAGES,
    EventHeaders,
)
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import gather, load
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import ANY, Dispatch, failure_text
from signalr_bridge.upstream.feed_observer import ACTIONS, find_target
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.python.handler import read_handlers
from signalr_bridge.upstream.python.hub import Hub, read_hub_name
from signalr_bridge.upstream.python.threads import Threads
from signalr_bridge.upstream.values import encode_arguments, to_plain
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind

STARTS_WITHIN = 30.0
"""Seconds after which a bridge or an emulator that has not started is a failure."""

_Held = TypeVar("_Held")
_THREADS = Threads()
_EVERYBODY = {
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__USER_ID": "{query.userId}",
    "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
    "BRIDGE_NEGOTIATE__HUBS": "*",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """Something that a handler has sent or changed.

    Attributes:
        action: ``send``, ``invoke``, ``add``, ``remove``, ``removeAll`` or ``close``.
        to: Whom it concerns, by ``userId``, ``groupName`` and ``connectionId``. None is everybody in the hub.
        target: The client's method. None where no message was sent.
        arguments: The arguments as the client gets them: plain values of JSON.
        excluded: The ids of connections that were left out.
        ttl_seconds: How long a user's membership lasts. None is for good.
    """

    action: str
    to: Mapping[str, str] | None
    target: str | None = None
    arguments: Sequence[Any] = ()
    excluded: tuple[str, ...] = ()
    ttl_seconds: int | None = None


class _Recorder(Outbox):
    """An outbox that notes what is sent. Everything is delivered, everybody is there, and clients return None."""

    def __init__(self, headers: EventHeaders) -> None:
        self.headers = headers
        self.sent: list[Sent] = []

    async def perform(
        self, operation: Operation, message: Message | None = None, *, endpoint: str | None = None
    ) -> Result:
        if operation.action in ACTIONS:
            self.sent.append(_describe(operation, message))
        answer = ClientAnswer(msgspec.Raw(b"null")) if operation.action is Action.INVOKE else None
        return Result(Status.ACCEPTED, (Outcome("test", "Primary", Verdict.ACCEPTED, answer=answer),))

    async def perform_each(
        self, operations: Sequence[Operation], message: Message, *, endpoint: str | None = None
    ) -> Sequence[Result]:
        return [await self.perform(one, message) for one in operations]

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        return judge(operation.action, await self.perform(operation, message))

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Judgement]:
        read = read_items(outputs, hub, ALL_KINDS, lambda name: True, lambda action, message: True)
        items = [one for one in read if one is not None]
        return [judge(one.operation.action, await self.perform(one.operation, one.message)) for one in items]


def _describe(operation: Operation, message: Message | None) -> Sent:
    return Sent(
        ACTIONS[operation.action],
        find_target(operation) or None,
        None if message is None else message.target,
        [] if message is None else json_text.decode(message.arguments),
        operation.excluded,
        operation.ttl,
    )


def context(
    hub: Hub | str,
    event: str = CONNECTED,
    *,
    user_id: str | None = None,
    connection_id: str = "test",
    claims: Mapping[str, str | Sequence[str]] | None = None,
    query: Mapping[str, str | Sequence[str]] | None = None,
    arguments: Sequence[Any] = (),
) -> Context:
    """A context for a handler, which records what is sent with it.

    Args:
        hub: The hub, or its name. For ``Hub("*")`` it is a name.
        event: ``connected``, ``disconnected``, or the method that the client calls.
        user_id: The client's user. None is an anonymous client.
        connection_id: The client's connection.
        claims: The values of each claim. They are exact, as those that the bridge gave out.
        query: The values of each parameter of the client's query.
        arguments: The arguments of the call, which become values of JSON, as on the way.
    """
    given = {name: [one] if isinstance(one, str) else one for name, one in (claims or {}).items()}
    headers = EventHeaders(
        hub=_name_hub(hub),
        category=CONNECTIONS if event.lower() in {CONNECTED, DISCONNECTED} else MESSAGES,
        event=event,
        connection_id=connection_id,
        user_id=user_id or "",
        claims_line=write_claims_line([(LOSSLESS_CLAIM, write_lossless(given))]),
        client_query=urlencode(query or {}, doseq=True),
    )
    return _open(_Recorder(headers), headers, arguments)


def _name_hub(hub: Hub | str) -> str:
    name = read_hub_name(hub) if isinstance(hub, Hub) else check_hub(hub)
    if name == ANY:
        raise ValueError("the hub '*' is every hub: give the name of one")
    return name


def _open(recorder: _Recorder, headers: EventHeaders, arguments: Sequence[Any]) -> Context:
    sent: Any = msgspec.Raw(encode_arguments(arguments))
    return Context(headers, recorder, (), sent, "0" if headers.category == MESSAGES else None)


def _find_recorder(context: Context) -> _Recorder:
    if not isinstance(context.outbox, _Recorder):
        raise TypeError("this context records nothing: make one by testing.context()")
    return context.outbox


def sent(context: Context) -> list[Sent]:
    """What was sent and changed with this context, in its order. Questions, such as ``exists``, are left out."""
    return list(_find_recorder(context).sent)


async def call(hub: Hub, event: str, *arguments: Any, context: Context | None = None) -> Any:
    """Has the hub answer an event as the bridge does: with its filters, its conversions and its refusals.

    Args:
        hub: The hub with the handler.
        event: ``connected``, ``disconnected``, or the method that a client calls, in any case.
        arguments: The arguments of the call. They travel as JSON, as from a client.
        context: Who calls, as ``testing.context`` makes it. It records what is sent. None is an anonymous client.

    Returns:
        What the client gets as the result: plain values of JSON.

    Raises:
        HubError: The call is refused, with the text that the client gets. ``Rejected`` is one of them.
        NoHandler: The hub has no handler for it.
        Exception: What else the handler raises. A client would learn only that its call has failed.
    """
    recorder = _find_recorder(_make_context(hub) if context is None else context)
    category = CONNECTIONS if event.lower() in {CONNECTED, DISCONNECTED} else MESSAGES
    told = _open(recorder, msgspec.structs.replace(recorder.headers, category=category, event=event), arguments)
    dispatch = Dispatch(read_handlers(hub, _THREADS))
    if category == CONNECTIONS:
        await _tell_all(dispatch, told)
        return None
    handler = dispatch.find_for_message(told.hub, event)
    if handler is None:
        raise NoHandler(f"No handler of the hub answers '{event}'.")
    try:
        return json_text.decode(json_text.encode(to_plain(await handler.answer(told))))
    except HubError as error:
        if error.detail:
            raise
        raise HubError(failure_text(event)) from error


_make_context = context
"""A parameter of ``call`` has the function's name."""


async def _tell_all(dispatch: Dispatch, told: Context) -> None:
    """Each handler is told. A refusal counts more than a failure."""
    errors: list[Exception] = []
    for handler in dispatch.find_for_connection(told.hub, told.event.lower()):
        try:
            await handler.answer(told)
        except Exception as error:
            errors.append(error)
    if errors:
        raise next((one for one in errors if isinstance(one, Rejected)), errors[0])


class _LoopThread:
    """An event loop in a thread of its own, so that tests with and without a loop may use what runs in it."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._wait()), name="signalr-bridge", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _wait(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        await self._ended.wait()

    @contextmanager
    def hold(self, entered: AbstractAsyncContextManager[_Held]) -> Iterator[_Held]:
        """What ``entered`` gives. One task of the thread enters and leaves it.

        Raises ``TimeoutError`` where entering takes longer than ``STARTS_WITHIN``, and what entering raises.
        """
        held: Future[_Held] = Future()
        released = asyncio.Event()

        async def live() -> None:
            async with entered as value:
                held.set_result(value)
                await released.wait()

        living = asyncio.run_coroutine_threadsafe(live(), self._loop)
        either: list[Future[Any]] = [held, living]
        wait(either, STARTS_WITHIN, FIRST_COMPLETED)
        if not held.done():
            if living.cancel():
                raise TimeoutError(f"the bridge has not started within {STARTS_WITHIN:g} s")
            living.result()  # raises what has kept it from starting
        try:
            yield held.result()
        finally:
            self._loop.call_soon_threadsafe(released.set)
            living.result(STARTS_WITHIN)


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """An emulated SignalR service in this process.

    Attributes:
        url: Its address.
        connection_string: What a bridge, or the service's own SDK, is given. Its key is public.
    """

    url: str
    connection_string: str = field(repr=False)
    _emulator: Emulator = field(repr=False)
    _thread: _LoopThread = field(repr=False)

    def post_to(self, upstream: str | None) -> None:
        """From now on the clients' events are posted to this URL. None posts them nowhere.

        ``signalr_bridge`` sees to that itself. It is for a bridge that is mounted in an app of one's own.
        """
        self._emulator.replace_upstream(() if upstream is None else upstream)


@dataclass(frozen=True, slots=True)
class RunningBridge:
    """A bridge in this process, in front of an emulator.

    Clients negotiate for every hub, as the user that they name in the query (``?userId=ann``), unless a negotiate
    handler of the hub decides.

    Attributes:
        url: Its address, as ``http://127.0.0.1:<port>``.
        key: The API key of a caller who may do everything.
        emulator: The emulator.
    """

    url: str
    key: str = field(repr=False)
    emulator: RunningEmulator


@contextmanager
def run_emulator() -> Iterator[RunningEmulator]:
    """Runs an emulated service on a free port. It tells nobody of its clients until a bridge runs."""
    with _LoopThread() as thread, thread.hold(Emulator(0, "localhost")) as emulator:
        yield RunningEmulator(emulator.url, emulator.connection_string, emulator, thread)


@contextmanager
def run_bridge(emulator: RunningEmulator, handlers: Iterable[Hub | type[Hub] | str]) -> Iterator[RunningBridge]:
    """Runs a bridge with these handlers on a free port, in front of the emulator.

    Raises ``SettingsError`` for handlers that cannot be used.
    """
    key = secrets.token_hex(16)
    with emulator._thread.hold(_serve(emulator, tuple(handlers), key)) as url:
        yield RunningBridge(url, key, emulator)


@asynccontextmanager
async def _serve(emulator: RunningEmulator, handlers: Iterable[Hub | type[Hub] | str], key: str) -> AsyncIterator[str]:
    """Serves a bridge, and gives its address."""
    code = secrets.token_hex(16)
    settings = {
        "AzureSignalRConnectionString": emulator.connection_string,
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_CALLERS__KEYS": key,
        "BRIDGE_UPSTREAM__CODE": code,
        "BRIDGE_CONSOLE": "true",
    }
    app = create_app(load(gather(settings | _EVERYBODY, {})), hubs=handlers, runtime=Runtime())
    parts: Parts = app.state.parts
    with bind("127.0.0.1", 0, "the port") as sock:
        async with app.router.lifespan_context(app):
            end_streams = parts.events.close
            listener = Listener(app, sock, grace_seconds=1, end_streams=end_streams, owns_lifespan=False)
            serving = asyncio.create_task(listener.serve([sock]))
            await listener.ready.wait()
            url = f"http://127.0.0.1:{listener.port}"
            emulator.post_to(f"{url}/upstream?code={code}")
            try:
                yield url
            finally:
                emulator.post_to(None)
                listener.should_exit = True
                await serving
