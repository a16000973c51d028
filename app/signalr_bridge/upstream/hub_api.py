"""What authors talk back with: clients, groups, users and connections of a hub, in an event and outside of it."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from signalr_bridge.errors import InvokeFailed, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import UNHELD, Payload
from signalr_bridge.protocol.names import check_connection_id, check_group, check_hub, check_user_id
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.upstream.outbox import FoundOutbox, Outbox
from signalr_bridge.upstream.recipients import Recipients, check_delivery, read_existence, refuse, several, write_as
from signalr_bridge.upstream.values import encode_arguments

To = TypeVar("To")
Client = TypeVar("Client")

LEAST_SECONDS, MOST_SECONDS = 1, 100
"""How many seconds a client may be given to answer a call."""


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
    """A part that knows which connection called, and at which endpoint it is. Outside an event it is None."""

    caller_id: str | None = None
    endpoint: str | None = None

    def _endpoint_of(self, connection: str | None) -> str | None:
        return self.endpoint if connection == self.caller_id else None


@dataclass(frozen=True, slots=True)
class _ClientsAs(_CallersHubPart, Generic[To]):
    """Whom to send to, in the form ``To``. What takes names raises ``InvalidName`` for one that may not be."""

    @property
    def all(self) -> To:
        """All clients of the hub."""
        return self._form(Recipients(self.outbox, [Operation(Action.SEND_TO_ALL, self.hub)]))

    def user(self, user_id: str) -> To:
        """All connections of a user."""
        return self.users([user_id])

    def users(self, user_ids: Iterable[str]) -> To:
        """All connections of several users."""
        users = [check_user_id(one) for one in several(user_ids, "users", "user ids")]
        sends = [Operation(Action.SEND_TO_USER, self.hub, user=one) for one in users]
        return self._form(Recipients(self.outbox, sends))

    def group(self, name: str) -> To:
        """The connections in a group."""
        return self.groups([name])

    def groups(self, names: Iterable[str]) -> To:
        """The connections in several groups. One that is in two of them gets the message twice."""
        groups = [check_group(one) for one in several(names, "groups", "group names")]
        sends = [Operation(Action.SEND_TO_GROUP, self.hub, group=one) for one in groups]
        return self._form(Recipients(self.outbox, sends))

    def connection(self, connection_id: str) -> To:
        """One connection."""
        send = Operation(Action.SEND_TO_CONNECTION, self.hub, connection=check_connection_id(connection_id))
        return self._form(Recipients(self.outbox, [send], self._endpoint_of(connection_id)))

    def connections(self, connection_ids: Iterable[str]) -> To:
        """Several connections."""
        ids = [check_connection_id(one) for one in several(connection_ids, "connections", "connection ids")]
        sends = [Operation(Action.SEND_TO_CONNECTION, self.hub, connection=one) for one in ids]
        return self._form(Recipients(self.outbox, sends))

    @abstractmethod
    def _form(self, recipients: Recipients) -> To: ...


@dataclass(frozen=True, slots=True)
class OutboxClients(_ClientsAs[Recipients]):
    """Whom to send to outside an event: all clients, users, groups or connections."""

    def as_(self, client: Callable[..., Client]) -> "TypedOutboxClients[Client]":
        """The same for a ``Protocol`` whose methods are the client's methods. ``Clients.as_`` says more."""
        return TypedOutboxClients(self.outbox, self.hub, client=client)

    def _form(self, recipients: Recipients) -> Recipients:
        return recipients


@dataclass(frozen=True, slots=True)
class Clients(_ClientsAs[Recipients]):
    """Whom to send to in an event. What takes names raises ``InvalidName`` for one that the service does not take."""

    caller_id: str

    @property
    def caller(self) -> Recipients:
        """The connection whose event this is."""
        return self.connection(self.caller_id)

    def as_(self, client: Callable[..., Client]) -> "TypedClients[Client]":
        """The same for a ``Protocol`` whose methods are the client's methods, so that a type checker sees to each send.

        Each method is ``async def`` and returns None. Its name is the target. It raises what ``Recipients.send`` does.

        Args:
            client: The Protocol. (It is declared as something to call, because ``type[...]`` takes no Protocol.)

        Raises:
            TypeError: ``client`` is not a class.
        """
        return TypedClients(self.outbox, self.hub, self.caller_id, self.endpoint, client=client)

    def _form(self, recipients: Recipients) -> Recipients:
        return recipients


@dataclass(frozen=True, slots=True)
class TypedOutboxClients(_ClientsAs[Client]):
    """Whom to send to outside an event, by the methods of a Protocol."""

    client: Callable[..., Client] = field(kw_only=True)

    def _form(self, recipients: Recipients) -> Client:
        return write_as(self.client, recipients)


@dataclass(frozen=True, slots=True)
class TypedClients(_ClientsAs[Client]):
    """Whom to send to in an event, by the methods of a Protocol."""

    caller_id: str
    client: Callable[..., Client] = field(kw_only=True)

    @property
    def caller(self) -> Client:
        """The connection whose event this is."""
        return self.connection(self.caller_id)

    def _form(self, recipients: Recipients) -> Client:
        return write_as(self.client, recipients)


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
            timeout_seconds: How long the client may take, from 1 to 100.

        Raises:
            ConnectionNotFound: The connection is not there.
            ClientTimeout: The client did not answer in time.
            InvokeFailed: The call failed. When the client refused it, ``detail`` is the client's own text.
            DeliveryError: Another of its kinds, such as that no endpoint could be asked.
            ValueError: For an empty target, and for a ``timeout_seconds`` that is not from 1 to 100.
        """
        check_connection_id(connection_id)
        if not target:
            raise ValueError("the target is empty")
        if not LEAST_SECONDS <= timeout_seconds <= MOST_SECONDS:
            raise ValueError(f"timeout_seconds is a number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}")
        operation = Operation(Action.INVOKE, self.hub, connection=connection_id)
        message, endpoint = Message(target, encode_arguments(arguments)), self._endpoint_of(connection_id)
        judgement = await self.outbox.invoke(operation, message, endpoint=endpoint, seconds=timeout_seconds)
        refuse(judgement)
        answer = judgement.answer
        if answer.error is not None:
            raise InvokeFailed(answer.error)
        try:
            return None if answer.result is None else json_text.decode(answer.result)
        except MalformedJson:
            raise InvokeFailed(UNHELD) from None


@dataclass(frozen=True, slots=True)
class HubOutbox:
    """What authors send with outside an event: from start-up code, timers and tasks of their own.

    Args:
        outbox: By which the hub is reached.
        hub: The hub's name.
    """

    outbox: Outbox
    hub: str

    @property
    def clients(self) -> OutboxClients:
        """Sends messages to clients of the hub."""
        return OutboxClients(self.outbox, self.hub)

    @property
    def groups(self) -> Groups:
        """Changes who is in which group of the hub."""
        return Groups(self.outbox, self.hub)

    @property
    def users(self) -> Users:
        """Closes users of the hub, asks for them, and takes them out of groups."""
        return Users(self.outbox, self.hub)

    @property
    def connections(self) -> Connections:
        """Closes connections of the hub, asks for them, and calls methods of their clients."""
        return Connections(self.outbox, self.hub)


def outbox(hub: str) -> HubOutbox:
    """What a hub is sent to with outside an event. It may be made before any bridge runs.

    What sends with it acts for the bridge that runs the code: its handlers, start-up code and timers, and the tasks
    that they start. Other code acts for the only bridge of the process, and gets ``NotRunning`` when that is not clear.

    Raises ``InvalidName`` for a hub that the service does not take.
    """
    return HubOutbox(FoundOutbox(), check_hub(hub))
