"""The state of hubs: their connections, users and groups, without sockets.

Source: ``docs/protocol/service-emulation.md`` 2.3 and 2.4.
"""

from collections.abc import Iterable
from typing import Protocol

from signalr_bridge.emulator.codecs import ClientCodec, Frame
from signalr_bridge.protocol.hub_message import Completion, HubMessage, Invocation
from signalr_bridge.runtime import Clock

DEFAULT_TTL_SECONDS = 365 * 24 * 3600
"""How long a user stays in a group when no ttl is given."""


class Member(Protocol):
    """A client's connection as its hub sees it."""

    @property
    def connection_id(self) -> str:
        """The id of the connection."""

    @property
    def user_id(self) -> str | None:
        """The user. None for a client without one."""

    @property
    def codec(self) -> ClientCodec:
        """The codec of the hub protocol that the client speaks."""

    def deliver(self, frame: Frame) -> None:
        """Writes or queues a frame without waiting. A client that does not keep up is dropped."""

    def close(self, reason: str | None = None) -> None:
        """Closes the connection."""

    async def call(self, message: Invocation) -> Completion:
        """Calls the client. Raises ``ClientGone`` when it disconnects before it answers."""


class _Index:
    """Members by a name that they share. A name without members is removed."""

    def __init__(self) -> None:
        self._named: dict[str, dict[str, Member]] = {}

    def add(self, name: str, member: Member) -> None:
        self._named.setdefault(name, {})[member.connection_id] = member

    def remove(self, name: str, connection_id: str) -> None:
        members = self._named.get(name, {})
        members.pop(connection_id, None)
        if not members:
            self._named.pop(name, None)

    def find(self, name: str) -> list[Member]:
        return list(self._named.get(name, {}).values())

    def holds(self, name: str) -> bool:
        return name in self._named


class HubState:
    """One hub. ``name`` keeps the spelling that was seen first. ``clock`` gives monotonic seconds."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._members: dict[str, Member] = {}
        self._users = _Index()
        self._groups = _Index()
        self._joined: dict[str, set[str]] = {}
        self._records: dict[str, dict[str, float]] = {}

    def enter(self, member: Member) -> None:
        """Adds a client. It joins the groups that its user belongs to."""
        self._members[member.connection_id] = member
        if member.user_id is not None:
            self._users.add(member.user_id, member)
            for group in self._current_records(member.user_id):
                self.add_connection(group, member.connection_id)

    def leave(self, member: Member) -> None:
        """Removes a client, also from its groups. The groups of its user stay."""
        if self._members.pop(member.connection_id, None) is None:
            return
        if member.user_id is not None:
            self._users.remove(member.user_id, member.connection_id)
        self.remove_connection_from_all(member.connection_id)

    def members(self) -> list[Member]:
        """All connections of the hub."""
        return list(self._members.values())

    def find_connection(self, connection_id: str) -> Member | None:
        """The connection with this id. None when it does not exist."""
        return self._members.get(connection_id)

    def find_user(self, user: str) -> list[Member]:
        """The connections of a user."""
        return self._users.find(user)

    def find_group(self, group: str) -> list[Member]:
        """The connections in a group."""
        return self._groups.find(group)

    def has_group(self, group: str) -> bool:
        """Whether a connection is in the group."""
        return self._groups.holds(group)

    def add_connection(self, group: str, connection_id: str) -> bool:
        """Adds a connection to a group. False when the connection does not exist."""
        member = self._members.get(connection_id)
        if member is None:
            return False
        self._groups.add(group, member)
        self._joined.setdefault(connection_id, set()).add(group)
        return True

    def remove_connection(self, group: str, connection_id: str) -> None:
        """Removes a connection from a group."""
        self._groups.remove(group, connection_id)
        self._joined.get(connection_id, set()).discard(group)

    def remove_connection_from_all(self, connection_id: str) -> None:
        """Removes a connection from all groups."""
        for group in self._joined.pop(connection_id, set()):
            self._groups.remove(group, connection_id)

    def add_user(self, user: str, group: str, ttl: int | None = None) -> None:
        """Adds a user to a group. The user's present connections join for good.

        Connections that come within ``ttl`` seconds join too. 0 means none of them, None means a year.
        """
        records = self._current_records(user)
        if ttl == 0:
            records.pop(group, None)
        else:
            records[group] = self._clock() + (DEFAULT_TTL_SECONDS if ttl is None else ttl)
        self._keep_records(user, records)
        for member in self.find_user(user):
            self.add_connection(group, member.connection_id)

    def remove_user(self, user: str, group: str) -> None:
        """Removes a user from a group, with all its connections."""
        records = self._current_records(user)
        records.pop(group, None)
        self._keep_records(user, records)
        for member in self.find_user(user):
            self.remove_connection(group, member.connection_id)

    def remove_user_from_all(self, user: str) -> None:
        """Removes a user from all groups, also from those that its connections have joined by themselves."""
        self._keep_records(user, {})
        for member in self.find_user(user):
            self.remove_connection_from_all(member.connection_id)

    def is_user_in_group(self, user: str, group: str) -> bool:
        """Whether the user itself belongs to the group, now and for later connections."""
        return group in self._current_records(user)

    def _current_records(self, user: str) -> dict[str, float]:
        now = self._clock()
        return {group: until for group, until in self._records.get(user, {}).items() if now < until}

    def _keep_records(self, user: str, records: dict[str, float]) -> None:
        if records:
            self._records[user] = records
        else:
            self._records.pop(user, None)


class Hubs:
    """All hubs by name, in any case. A hub is created when it is first named."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hubs: dict[str, HubState] = {}

    def find(self, name: str) -> HubState:
        """The hub of this name, in any case."""
        key = name.lower()
        if key not in self._hubs:
            self._hubs[key] = HubState(name, self._clock)
        return self._hubs[key]

    def members(self) -> list[Member]:
        """All connections of all hubs."""
        return [member for hub in self._hubs.values() for member in hub.members()]


def send(members: Iterable[Member], message: HubMessage) -> None:
    """Delivers a message. It is encoded once for each hub protocol, and for all of them before the first delivery."""
    members = list(members)
    codecs = {member.codec.name: member.codec for member in members}
    frames = {name: codec.write(message) for name, codec in codecs.items()}
    for member in members:
        member.deliver(frames[member.codec.name])
