"""The format functions: the contract between the Functions host and a custom handler, which runs unchanged.

Source: Microsoft's page "Azure Functions custom handlers" for the payloads of request and response, and
``docs/protocol/functions-bindings.md`` 1.5 (the invocation context).
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from signalr_bridge.errors import MalformedJson, Rejected, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.function_outputs import read_output
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.json_text import DuplicateMember
from signalr_bridge.protocol.upstream_event import JSON, MESSAGES
from signalr_bridge.runtime import NewId
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.forward.formats import (
    Address,
    BackendFailed,
    BackendVerdict,
    Envelope,
    Reply,
    join_outputs,
    read_failure,
    read_members,
    read_result,
)

_MOST_LOGS, _LONGEST_LOG = 100, 1024
_SYS = "sys"


class FunctionsFormat:
    """The format ``functions``: the event is the trigger data of a function.

    Args:
        address: Where to post.
        function: The name of the function.
        binding: The name of the trigger in the payload.
        parameter_names: If given, a message has exactly as many arguments, and the metadata holds them by these names.
        new_id: Gives a GUID.
    """

    def __init__(
        self,
        address: Address,
        function: str,
        binding: str,
        parameter_names: Sequence[str] | None,
        new_id: NewId,
    ) -> None:
        self._address, self._function, self._binding = address, function, binding
        self._names, self._new_id = parameter_names, new_id

    def write(self, context: Context, id: str, moment: datetime) -> Envelope:
        """The request for an event, as ``Format`` says. Raises ``Rejected`` for another number of arguments."""
        metadata = self._name_arguments(context)
        metadata[_SYS] = {
            "MethodName": self._function,
            "UtcNow": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "RandGuid": str(uuid.UUID(hex=self._new_id(), version=4)),
        }
        body = json_text.encode({"Data": {self._binding: write_context(context)}, "Metadata": metadata})
        headers = {"Content-Type": JSON, "X-Azure-Functions-InvocationId": id}
        return Envelope(id, self._address.write(context.hub, context.event), body, headers)

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means. As for the host, any 2xx is success."""
        if not 200 <= reply.status < 300:
            raise read_failure(reply, event)
        members = read_members(reply) if reply.body else {}
        try:
            outputs = join_outputs(_read_outputs(members.get("outputs", b"null")))
            logs = _read_logs(members.get("logs", b"null"))
        except (MalformedJson, DuplicateMember):
            raise BackendFailed("The backend's outputs are no objects, arrays of objects or their JSON text.") from None
        return BackendVerdict(read_result(members.get("returnvalue")), outputs, logs)

    def _name_arguments(self, context: Context) -> dict[str, Payload]:
        if self._names is None or context.category != MESSAGES:
            return {}
        arguments = _take_apart(context.sent_arguments)
        if len(arguments) != len(self._names):
            wanted, given = len(self._names), len(arguments)
            raise Rejected(f"Method '{context.event}' takes {wanted} argument(s), and was given {given}.")
        return dict(zip(self._names, arguments, strict=True))


def _take_apart(arguments: Sequence[Payload]) -> Sequence[Payload]:
    """The single arguments. Those that came as JSON text stay so, because numbers are to stay as they were written."""
    if not isinstance(arguments, msgspec.Raw):
        return arguments
    return [msgspec.Raw(one) for one in json_text.elements(bytes(arguments))]


def check_names(names: Sequence[str], setting: str) -> None:
    """Raise ``SettingsError`` for parameter names that the binding could not tell apart."""
    lowered = [name.lower() for name in names]
    if len({*lowered, _SYS}) <= len(lowered) or not all(lowered):
        raise SettingsError(
            f"the names differ (in any case) from one another and from '{_SYS}': write others.", setting=setting
        )


def write_context(context: Context) -> dict[str, Any]:
    """The invocation context as script languages see it: flat texts, and null for what is missing."""
    return {
        "Arguments": context.sent_arguments if context.category == MESSAGES else None,
        "Error": context.error,
        "Category": context.category,
        "Event": context.event,
        "Hub": context.hub,
        "ConnectionId": context.connection_id,
        "UserId": context.user_id,
        "Headers": context.headers,
        "Query": {name: ",".join(values) for name, values in context.query.items()} or None,
        "Claims": {name: values[0] for name, values in context.claims.items() if values} or None,
    }


def _read_outputs(text: bytes) -> Iterator[bytes]:
    if text != b"null":
        for value in json_text.members(text).values():
            yield from read_output(value)


def _read_logs(text: bytes) -> tuple[str, ...]:
    if json_text.first_character(text) != b"[":
        return ()
    lines = [json_text.decode(one) for one in json_text.elements(text)[:_MOST_LOGS]]
    return tuple(str(line)[:_LONGEST_LOG] for line in lines)
