"""Which right each operation takes: the whole table, on one screen. An operation that is not in it is refused."""

from collections.abc import Mapping
from types import MappingProxyType

from signalr_bridge.web.callers import Right

_NEGOTIATE = "negotiate negotiateDefaultHub negotiateEndpoints"
_SEND = "send invokeConnection"
_GROUPS = "changeGroups addConnection removeConnection addUser removeUser removeUserFromAll removeConnectionFromAll"
_CONNECTIONS = "closeConnection closeUser closeGroup closeAll"
_READ = (
    "connectionExists connectionExistsHead userExists userExistsHead groupExists groupExistsHead userInGroup "
    "userInGroupHead exists existsHead listConnectionsInGroup listEndpoints watchEvents"
)
_ITEMS = "sendOutputs"

RIGHTS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        operation: frozenset(rights)
        for operations, rights in (
            (_NEGOTIATE, {Right.NEGOTIATE}),
            (_SEND, {Right.SEND}),
            (_GROUPS, {Right.GROUPS}),
            (_CONNECTIONS, {Right.CONNECTIONS}),
            (_READ, {Right.READ}),
            # One of them opens the door; each item is then judged by its own.
            (_ITEMS, {Right.SEND, Right.GROUPS, Right.CONNECTIONS}),
        )
        for operation in operations.split()
    }
)
"""By operation id: one of the rights is needed."""

FOR_ANYBODY = frozenset({"healthLive", "healthReady"})
"""Operations without a caller."""
