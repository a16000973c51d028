"""The faces with which a handler talks back: clients, groups, users and connections of its hub."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signalr_bridge.endpoints.outcome import Result
from signalr_bridge.errors import InvokeFailed
from signalr_bridge.protocol import json_text, rest
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.names import check_connection_id, check_group, check_user_id
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.upstream.delivery import check_delivery, read_existence
from signalr_bridge.upstream.outbox import Outbox
from signalr_bridge.upstream.values import encode_arguments


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a message goes to: one operation for each. A connection known to be at ``endpoint`` is asked for there."""

    outbox: Outbox
    operations: Sequence[Operation]
    endpoint: str | None = None

    async def send(self, target: str, *arguments: Payload, excluded: Iterable[str] = ()) -> None:
        """Call ``target`` on every client. ``excluded`` are connection ids, with all or groups only.

        Raises ``DeliveryFailed`` and the like; to several recipients the messages go side by side.
        """
        if not target:
            raise ValueError("the target is empty")
        left_out = _several(excluded, "excluded", "connection ids")
        operations = [_exclude(one, left_out) for one in self.operations]
        body = rest.write_message(target, encode_arguments(arguments))
        results = await asyncio.gather(*(self.outbox.perform(one, body, endpoint=self.endpoint) for one in operations))
        for operation, result in zip(operations, results, strict=True):
            check_delivery(operation, result)


def _several(names: Iterable[str], parameter: str, kind: str) -> tuple[str, ...]:
    """Each once. A single text would be taken for its letters."""
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
class _Face:
    outbox: Outbox
    hub: str

    async def _perform(self, operation: Operation, endpoint: str | None = None) -> None:
        check_delivery(operation, await self.outbox.perform(operation, endpoint=endpoint))

    async def _ask(self, operation: Operation) -> Result:
        return await self.outbox.perform(operation)


@dataclass(frozen=True, slots=True)
class _FaceOfCaller(_Face):
    """A face that knows who called, and at which endpoint that connection is."""

    caller_id: str
    endpoint: str | None

    def _endpoint_of(self, connection: str | None) -> str | None:
        return self.endpoint if connection == self.caller_id else None


@dataclass(frozen=True, slots=True)
class Clients(_FaceOfCaller):
    """Whom to send to."""

    @property
    def all(self) -> Recipients:
        return Recipients(self.outbox, [Operation(Action.SEND_TO_ALL, self.hub)])

    @property
    def caller(self) -> Recipients:
        return self.connection(self.caller_id)

    def user(self, user_id: str) -> Recipients:
        return self.users([user_id])

    def users(self, user_ids: Iterable[str]) -> Recipients:
        users = [check_user_id(one) for one in _several(user_ids, "users", "user ids")]
        return Recipients(self.outbox, [Operation(Action.SEND_TO_USER, self.hub, user=one) for one in users])

    def group(self, name: str) -> Recipients:
        return self.groups([name])

    def groups(self, names: Iterable[str]) -> Recipients:
        groups = [check_group(one) for one in _several(names, "groups", "group names")]
        return Recipients(self.outbox, [Operation(Action.SEND_TO_GROUP, self.hub, group=one) for one in groups])

    def connection(self, connection_id: str) -> Recipients:
        one = self.connections([connection_id])
        return Recipients(self.outbox, one.operations, self._endpoint_of(connection_id))

    def connections(self, connection_ids: Iterable[str]) -> Recipients:
        ids = [check_connection_id(one) for one in _several(connection_ids, "connections", "connection ids")]
        sends = [Operation(Action.SEND_TO_CONNECTION, self.hub, connection=one) for one in ids]
        return Recipients(self.outbox, sends)


@dataclass(frozen=True, slots=True)
class Groups(_FaceOfCaller):
    """Who is in which group."""

    async def add(
        self, group: str, *, connection: str | None = None, user: str | None = None, ttl_seconds: int | None = None
    ) -> None:
        """A connection or a user joins. ``ttl_seconds``, for a user: 0 means the connections that are open now."""
        if ttl_seconds is not None and (user is None or not _is_whole(ttl_seconds) or ttl_seconds < 0):
            raise ValueError("ttl_seconds goes with a user, and is a whole number that is not negative")
        actions = (Action.ADD_CONNECTION, Action.ADD_USER)
        await self._change(actions, group, connection, user, ttl_seconds)

    async def remove(self, group: str, *, connection: str | None = None, user: str | None = None) -> None:
        """A connection or a user leaves; one that is not there has left."""
        await self._change((Action.REMOVE_CONNECTION, Action.REMOVE_USER), group, connection, user)

    async def exists(self, name: str) -> bool:
        """Whether anybody is in the group; raises when no endpoint says yes and one could not be asked."""
        return read_existence(await self._ask(Operation(Action.GROUP_EXISTS, self.hub, group=check_group(name))))

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
class Users(_Face):
    """A user with all its connections."""

    async def exists(self, user_id: str) -> bool:
        """Whether the user is connected; raises when no endpoint says yes and one could not be asked."""
        return read_existence(await self._ask(Operation(Action.USER_EXISTS, self.hub, user=check_user_id(user_id))))

    async def remove_from_all_groups(self, user_id: str) -> None:
        await self._perform(Operation(Action.REMOVE_USER_FROM_ALL, self.hub, user=check_user_id(user_id)))

    async def close(self, user_id: str) -> None:
        """Close all connections of the user."""
        await self._perform(Operation(Action.CLOSE_USER, self.hub, user=check_user_id(user_id)))


@dataclass(frozen=True, slots=True)
class Connections(_FaceOfCaller):
    """A single connection."""

    async def exists(self, connection_id: str) -> bool:
        """Whether it is open; raises when no endpoint says yes and one could not be asked."""
        check_connection_id(connection_id)
        operation = Operation(Action.CONNECTION_EXISTS, self.hub, connection=connection_id)
        return read_existence(await self._ask(operation))

    async def close(self, connection_id: str, reason: str | None = None) -> None:
        """Close it; the client is told ``reason``."""
        check_connection_id(connection_id)
        operation = Operation(Action.CLOSE_CONNECTION, self.hub, connection=connection_id, reason=reason)
        await self._perform(operation, self._endpoint_of(connection_id))

    async def invoke(
        self, connection_id: str, target: str, *arguments: Payload, timeout_seconds: float = 10
    ) -> Payload:
        """What the client's method ``target`` returns. Raises ``ConnectionNotFound``, ``ClientTimeout``, or
        ``InvokeFailed``, whose ``detail`` is the client's own text when it refused; never tried again.
        """
        check_connection_id(connection_id)
        if not target:
            raise ValueError("the target is empty")
        operation = Operation(Action.INVOKE, self.hub, connection=connection_id)
        body = rest.write_message(target, encode_arguments(arguments))
        endpoint = self._endpoint_of(connection_id)
        answer = await self.outbox.invoke(operation, body, endpoint=endpoint, seconds=timeout_seconds)
        if answer.error is not None:
            raise InvokeFailed(answer.error)
        return None if answer.result is None else json_text.decode(answer.result)
