"""Whom a message goes to, and what is raised when something that was asked for was not done."""

import inspect
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from signalr_bridge.endpoints.outcome import Judgement, Meaning, Result, describe, judge
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.values import encode_arguments

Client = TypeVar("Client")

_LOG = logging.getLogger("signalr_bridge.upstream")

_TEXTS = {
    Meaning.NOT_THERE: "The connection or user is not there",
    Meaning.UNKNOWN: "It may have been delivered",
    Meaning.NOT_KNOWN: "Whether it exists cannot be known",
    Meaning.CLIENT_SILENT: "The client did not answer in time; it may have been called",
    Meaning.CALL_FAILED: "The call failed",
    Meaning.UNREADABLE: "The service's answer cannot be read",
}


def check_delivery(operation: Operation, result: Result) -> None:
    """Raise the error of an operation that was not done. One that was done in part is logged.

    A connection or user that is not there counts as having left a group and as closed. It can neither join a group nor
    be sent to, and then this raises ``ConnectionNotFound``.
    """
    judgement = judge(operation.action, result)
    refuse(judgement)
    if judgement.meaning is Meaning.PARTIAL:
        extra = {"hub": operation.hub, "operation": operation.action.name, "outcomes": describe(result)}
        _LOG.warning("delivered in part", extra=extra)


def read_existence(operation: Operation, result: Result) -> bool:
    """True when an endpoint says yes, False when all say no. Raises ``NoEndpointAvailable`` when neither is so."""
    judgement = judge(operation.action, result)
    if judgement.meaning is Meaning.NOT_PRESENT:
        return False
    refuse(judgement)
    return True


def refuse(judgement: Judgement) -> None:
    """Raise the judgement's error, if it has one, with what each endpoint said."""
    if judgement.error is not None:
        text = _TEXTS.get(judgement.meaning, "Not delivered")
        raise judgement.error(f"{text}: {describe(judgement.result)}.")


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a message goes to, with one operation for each. ``endpoint`` names where a connection is known to be."""

    outbox: Outbox
    operations: Sequence[Operation]
    endpoint: str | None = None

    async def send(self, target: str, *arguments: Payload, excluded: Iterable[str] = ()) -> None:
        """Call the method ``target`` of every client. The messages to several recipients go side by side.

        Args:
            target: The name of the method.
            arguments: Its arguments, as plain data or pydantic models.
            excluded: Connection ids that are left out. This goes with all clients and with groups only.

        Raises:
            DeliveryError: One of its kinds, when the message was not delivered.
            ValueError: For an empty target, and for ``excluded`` where it does not go.
        """
        if not target:
            raise ValueError("the target is empty")
        left_out = several(excluded, "excluded", "connection ids")
        operations = [_exclude(one, left_out) for one in self.operations]
        message = Message(target, encode_arguments(arguments))
        results = await self.outbox.perform_each(operations, message, endpoint=self.endpoint)
        for operation, result in zip(operations, results, strict=True):
            check_delivery(operation, result)


def several(names: Iterable[str], parameter: str, kind: str) -> tuple[str, ...]:
    """The names, each once. A single text is refused, because its letters would be taken for names."""
    if isinstance(names, str | bytes):
        raise ValueError(f"{parameter} takes a list of {kind}, and not a single one: put it into [ ]")
    return tuple(dict.fromkeys(names))


def _exclude(operation: Operation, excluded: tuple[str, ...]) -> Operation:
    if not excluded:
        return operation
    if operation.action not in {Action.SEND_TO_ALL, Action.SEND_TO_GROUP}:
        raise ValueError("excluded goes with all clients or with groups only")
    return Operation(operation.action, operation.hub, group=operation.group, excluded=excluded)


class TypedRecipients:
    """Recipients with the methods of a client's Protocol. Each method sends the message of its name.

    Args:
        client: The Protocol.
        recipients: To whom the messages go.

    Raises:
        TypeError: ``client`` is not a class.
    """

    __slots__ = ("_client", "_recipients")

    def __init__(self, client: object, recipients: Recipients) -> None:
        if not isinstance(client, type):
            raise TypeError("as_ takes a class, such as a Protocol whose methods are the client's")
        self._client, self._recipients = client, recipients

    def __getattr__(self, target: str) -> Callable[..., Coroutine[Any, Any, None]]:
        signature = _read_targets(self._client).get(target)
        if signature is None:
            raise AttributeError(f"{self._client.__name__} has no method '{target}' that a client could be sent")

        async def send(*arguments: Payload, **named: Payload) -> None:
            bound = signature.bind(None, *arguments, **named)
            bound.apply_defaults()  # a client's method has no defaults of ours
            if bound.kwargs:
                raise TypeError(f"the client is sent arguments by position, and '{target}' has keyword-only ones")
            await self._recipients.send(target, *bound.args[1:])

        return send


def write_as(client: Callable[..., Client], recipients: Recipients) -> Client:
    """The recipients as the Protocol ``client`` describes them. Raises ``TypeError`` when it is not a class."""
    typed: Any = TypedRecipients(client, recipients)
    written: Client = typed
    return written


@lru_cache(256)
def _read_targets(client: type) -> Mapping[str, inspect.Signature]:
    """The public methods of a Protocol, which are the targets, with their signatures."""
    methods = inspect.getmembers(client, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in methods if not name.startswith("_")}
