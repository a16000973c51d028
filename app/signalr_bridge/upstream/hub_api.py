"""What a handler talks back with: clients, groups, users and connections of its hub, and what they raise."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signalr_bridge.endpoints.outcome import Judgement, Meaning, Result, describe, judge
from signalr_bridge.errors import InvokeFailed
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.names import check_connection_id, check_group, check_user_id
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.values import encode_arguments

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
    _refuse(judgement)
    if judgement.meaning is Meaning.PARTIAL:
        extra = {"hub": operation.hub, "operation": operation.action.name, "outcomes": describe(result)}
        _LOG.warning("delivered in part", extra=extra)


def read_existence(operation: Operation, result: Result) -> bool:
    """True when an endpoint says yes, False when all say no. Raises ``NoEndpointAvailable`` when neither is so."""
    judgement = judge(operation.action, result)
    if judgement.meaning is Meaning.NOT_PRESENT:
        return False
    _refuse(judgement)
    return True


def _refuse(judgement: Judgement) -> None:
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
        left_out = _several(excluded, "excluded", "connection ids")
        operations = [_exclude(one, left_out) for one in self.operations]
        message = Message(target, encode_arguments(arguments))
        results = await self.outbox.perform_each(operations, message, endpoint=self.endpoint)
        for operation, result in zip(operations, results, strict=True):
            check_delivery(operation, result)


def _several(names: Iterable[str], parameter: str, kind: str) -> tuple[str, ...]:
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


@dataclass(frozen=True, slots=True)
class _HubPart:
    """What all parts have: the hub, and the outbox by which it is reached."""

    outbox: Outbox
    hub: str

    async def _perform(self, operation: Operation, endpoint: str | None = None) -> None:
        check_delivery(operation, await self.outbox.perform(operation, endpoint=endpoint))

    async def _ask(self, operation: Operation) -> bool:
        return read_existence(operation, await self.outbox.perform(operation))


@dataclass(frozen=True, slots=True)
class _CallersHubPart(_HubPart):
    """A part that knows which connection called, and at which endpoint it is."""

    caller_id: str
    endpoint: str | None

    def _endpoint_of(self, connection: str | None) -> str | None:
        return self.endpoint if connection == self.caller_id else None


@dataclass(frozen=True, slots=True)
class Clients(_CallersHubPart):
    """Whom to send to. What takes names raises ``InvalidName`` for a name that the service does not take."""

    @property
    def all(self) -> Recipients:
        """All clients of the hub."""
        return Recipients(self.outbox, [Operation(Action.SEND_TO_ALL, self.hub)])

    @property
    def caller(self) -> Recipients:
        """The connection whose event this is."""
        return self.connection(self.caller_id)

    def user(self, user_id: str) -> Recipients:
        """All connections of a user."""
        return self.users([user_id])

    def users(self, user_ids: Iterable[str]) -> Recipients:
        """All connections of several users."""
        users = [check_user_id(one) for one in _several(user_ids, "users", "user ids")]
        return Recipients(self.outbox, [Operation(Action.SEND_TO_USER, self.hub, user=one) for one in users])

    def group(self, name: str) -> Recipients:
        """The connections in a group."""
        return self.groups([name])

    def groups(self, names: Iterable[str]) -> Recipients:
        """The connections in several groups. One that is in two of them gets the message twice."""
        groups = [check_group(one) for one in _several(names, "groups", "group names")]
        return Recipients(self.outbox, [Operation(Action.SEND_TO_GROUP, self.hub, group=one) for one in groups])

    def connection(self, connection_id: str) -> Recipients:
        """One connection."""
        one = self.connections([connection_id])
        return Recipients(self.outbox, one.operations, self._endpoint_of(connection_id))

    def connections(self, connection_ids: Iterable[str]) -> Recipients:
        """Several connections."""
        ids = [check_connection_id(one) for one in _several(connection_ids, "connections", "connection ids")]
        sends = [Operation(Action.SEND_TO_CONNECTION, self.hub, connection=one) for one in ids]
        return Recipients(self.outbox, sends)


@dataclass(frozen=True, slots=True)
class Groups(_CallersHubPart):
    """Who is in which group."""

    async def add(
        self, group: str, *, connection: str | None = None, user: str | None = None, ttl_seconds: int | None = None
    ) -> None:
        """Add a connection or a user to a group.

        Args:
            group: The name of the group.
            connection: A connection id. Give either this or ``user``.
            user: A user id.
            ttl_seconds: How long a user stays in the group. 0 means only the connections that are open now.

        Raises:
            ConnectionNotFound: Every endpoint says that the connection or user is not there.
            DeliveryError: Another of its kinds, when it was not done.
            ValueError: For arguments that do not go together.
        """
        if ttl_seconds is not None and (user is None or not _is_whole(ttl_seconds) or ttl_seconds < 0):
            raise ValueError("ttl_seconds goes with a user, and is a whole number that is not negative")
        actions = (Action.ADD_CONNECTION, Action.ADD_USER)
        await self._change(actions, group, connection, user, ttl_seconds)

    async def remove(self, group: str, *, connection: str | None = None, user: str | None = None) -> None:
        """Remove a connection or a user from a group. One that is not there counts as removed."""
        await self._change((Action.REMOVE_CONNECTION, Action.REMOVE_USER), group, connection, user)

    async def exists(self, name: str) -> bool:
        """Whether a connection is in the group. Raises when no endpoint says yes and one could not be asked."""
        return await self._ask(Operation(Action.GROUP_EXISTS, self.hub, group=check_group(name)))

    async def _change(
        self,
        actions: tuple[Action, Action],
        group: str,
        connection: str | None,
        user: str | None,
        ttl: int | None = None,
    ) -> None:
        check_group(group)
        if connection is not None and user is None:
            operation = Operation(actions[0], self.hub, group=group, connection=check_connection_id(connection))
            await self._perform(operation, self._endpoint_of(connection))
        elif user is not None and connection is None:
            await self._perform(Operation(actions[1], self.hub, group=group, user=check_user_id(user), ttl=ttl))
        else:
            raise ValueError("name a connection or a user, and not both")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Users(_HubPart):
    """The users of a hub, each with all its connections."""

    async def exists(self, user_id: str) -> bool:
        """Whether the user is connected. Raises when no endpoint says yes and one could not be asked."""
        return await self._ask(Operation(Action.USER_EXISTS, self.hub, user=check_user_id(user_id)))

    async def remove_from_all_groups(self, user_id: str) -> None:
        """Remove the user from every group."""
        await self._perform(Operation(Action.REMOVE_USER_FROM_ALL, self.hub, user=check_user_id(user_id)))

    async def close(self, user_id: str) -> None:
        """Close all connections of the user."""
        await self._perform(Operation(Action.CLOSE_USER, self.hub, user=check_user_id(user_id)))


@dataclass(frozen=True, slots=True)
class Connections(_CallersHubPart):
    """The connections of a hub."""

    async def exists(self, connection_id: str) -> bool:
        """Whether the connection is open. Raises when no endpoint says yes and one could not be asked."""
        check_connection_id(connection_id)
        operation = Operation(Action.CONNECTION_EXISTS, self.hub, connection=connection_id)
        return await self._ask(operation)

    async def close(self, connection_id: str, reason: str | None = None) -> None:
        """Close the connection. The client is told ``reason``."""
        check_connection_id(connection_id)
        operation = Operation(Action.CLOSE_CONNECTION, self.hub, connection=connection_id, reason=reason)
        await self._perform(operation, self._endpoint_of(connection_id))

    async def invoke(
        self, connection_id: str, target: str, *arguments: Payload, timeout_seconds: float = 10
    ) -> Payload:
        """Call the client's method ``target`` once, and return what it returns.

        Args:
            connection_id: The client's connection.
            target: The name of the method.
            arguments: Its arguments, as plain data or pydantic models.
            timeout_seconds: How long the client may take.

        Raises:
            ConnectionNotFound: The connection is not there.
            ClientTimeout: The client did not answer in time.
            InvokeFailed: The call failed. When the client refused it, ``detail`` is the client's own text.
            DeliveryError: Another of its kinds, such as that no endpoint could be asked.
        """
        check_connection_id(connection_id)
        if not target:
            raise ValueError("the target is empty")
        operation = Operation(Action.INVOKE, self.hub, connection=connection_id)
        message, endpoint = Message(target, encode_arguments(arguments)), self._endpoint_of(connection_id)
        judgement = await self.outbox.invoke(operation, message, endpoint=endpoint, seconds=timeout_seconds)
        _refuse(judgement)
        answer = judgement.answer
        if answer.error is not None:
            raise InvokeFailed(answer.error)
        return None if answer.result is None else json_text.decode(answer.result)
