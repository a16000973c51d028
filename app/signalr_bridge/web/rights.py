"""The table of the rights that operations need. An operation that is not in the table is refused."""

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
            # One of them admits the request. Each item is then checked by its own right.
            (_ITEMS, {Right.SEND, Right.GROUPS, Right.CONNECTIONS}),
        )
        for operation in operations.split()
    }
)
"""The rights by operation id. A caller needs one of them."""

FOR_ANYBODY = frozenset({"healthLive", "healthReady"})
"""Operations that need no caller."""
