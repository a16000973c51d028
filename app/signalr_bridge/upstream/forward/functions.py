"""The format functions: the contract between the Functions host and a custom handler, which runs unchanged.

Source: Microsoft's page "Azure Functions custom handlers" for the payloads of request and response, and
``docs/protocol/functions-bindings.md`` 1.5 (the invocation context).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
_SYS, _NULL = "sys", b"null"
_OF_THE_BODY = frozenset({"content-type", "content-length"})
"""The headers that the invocation context leaves out, because they say something of the body alone."""
_CAPITALS = {"asrs": "ASRS", "dns": "DNS", "ssl": "SSL", "www": "WWW"}
_OF_THE_PLATFORM = ("x-ms-client-principal", "x-ms-token-")
_IN_LOWER_CASE = frozenset({"traceparent", "tracestate", "baggage"})
_NO_OUTPUTS = "The backend's outputs are no objects, arrays of objects or their JSON text."


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
        named = name_arguments(self._names, context)
        metadata = write_metadata(self._function, moment, self._new_id(), named)
        body = write_call({self._binding: write_context(context)}, metadata)
        return Envelope(id, self._address.write(context.hub, context.event), body, write_headers(id))

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means. As for the host, any 2xx is success."""
        answer = read_answer(reply, event)
        try:
            outputs = join_outputs(one for value in answer.outputs.values() for one in read_output(value))
        except (MalformedJson, DuplicateMember):
            raise BackendFailed(_NO_OUTPUTS) from None
        return BackendVerdict(read_result(answer.returned), outputs, answer.logs)


@dataclass(frozen=True, slots=True)
class HandlerAnswer:
    """What a custom handler answers to a call.

    Attributes:
        outputs: What it has put into its outputs, as JSON text by name.
        returned: What the function has returned, as JSON text. None when it says nothing of that.
        logs: Lines for our log.
    """

    outputs: Mapping[str, bytes] = field(repr=False)
    returned: bytes | None = field(repr=False)
    logs: tuple[str, ...] = field(repr=False)


def write_headers(id: str) -> dict[str, str]:
    """The headers of a call. ``id`` is that of the call."""
    return {"Content-Type": JSON, "X-Azure-Functions-InvocationId": id}


def write_call(data: Mapping[str, object], metadata: Mapping[str, object]) -> bytes:
    """The body of a call: the values of the bindings by their names, and what the trigger knows besides."""
    return json_text.encode({"Data": data, "Metadata": metadata})


def write_metadata(function: str, moment: datetime, id: str, named: Mapping[str, Payload]) -> dict[str, object]:
    """What the trigger knows besides its value. As the host has it, what is not an object is JSON text.

    Args:
        function: The function's name.
        moment: When the call came, in UTC.
        id: 32 random hexadecimal digits, which become a GUID.
        named: The arguments of a message, or the parameters of a route, by their names.
    """
    written = ((name, _write_named(value)) for name, value in named.items())
    return {
        **{name: value for name, value in written if value is not None},
        _SYS: {
            "MethodName": function,
            "UtcNow": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "RandGuid": str(uuid.UUID(hex=id, version=4)),
        },
    }


def _write_named(value: Payload) -> object:
    """An object as it is, and any other value as JSON text. None for null, which is left out."""
    text = bytes(value) if isinstance(value, msgspec.Raw) else json_text.encode(value)
    if json_text.first_character(text) == b"{":
        return msgspec.Raw(text)
    return None if text.strip() == b"null" else text.decode()


def read_answer(reply: Reply, event: str) -> HandlerAnswer:
    """What a custom handler has answered. As for the host, any 2xx is success.

    Args:
        reply: Its reply.
        event: The name of the event, for the text of a refusal without one.

    Raises:
        Rejected: The handler refused the event. The text is meant for the client.
        BackendFailed: The answer means a failure.
    """
    if not 200 <= reply.status < 300:
        raise read_failure(reply, event)
    members = read_members(reply) if reply.body.strip() else {}
    try:
        outputs = members.get("outputs", _NULL)
        logs = _read_logs(members.get("logs", _NULL))
        return HandlerAnswer({} if outputs == _NULL else json_text.members(outputs), members.get("returnvalue"), logs)
    except (MalformedJson, DuplicateMember):
        raise BackendFailed(_NO_OUTPUTS) from None


def name_arguments(
    names: Sequence[str] | None, context: Context, given: Sequence[Payload] | None = None
) -> dict[str, Payload]:
    """The arguments of a message by their names. Raises ``Rejected`` for another number of them.

    Without names nothing is named, and there may be any number, as in the binding.

    Args:
        names: Their names. None where the trigger has none.
        context: The event.
        given: The arguments as values. None takes them as they came, so that numbers stay as they were written.
    """
    if names is None or context.category != MESSAGES:
        return {}
    arguments = _take_apart(context.sent_arguments) if given is None else given
    if len(arguments) != len(names):
        counts = f"takes {len(names)} argument(s), and was given {len(arguments)}"
        raise Rejected(f"Method '{context.event}' {counts}.")
    return dict(zip(names, arguments, strict=True))


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
        "Headers": {spell_header(name): value for name, value in context.headers.items() if name not in _OF_THE_BODY},
        "Query": join_values(context.query) or None,
        "Claims": {name: values[0] for name, values in context.claims.items() if values} or None,
    }


def spell_header(name: str) -> str:
    """A header's name as the service and its clients spell it. ``name`` is in lower case."""
    if name in _IN_LOWER_CASE:
        return name
    if name.startswith(_OF_THE_PLATFORM):
        return name.upper()
    return "-".join(_CAPITALS.get(part, part.capitalize()) for part in name.split("-"))


def join_values(values: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The values of parameters, joined by a comma. Names that differ in case alone are one, spelled as the first."""
    spelled: dict[str, str] = {}
    joined: dict[str, str] = {}
    for name, some in values.items():
        first = spelled.setdefault(name.lower(), name)
        joined[first] = ",".join([joined[first], *some] if first in joined else some)
    return joined


def _read_logs(text: bytes) -> tuple[str, ...]:
    if json_text.first_character(text) != b"[":
        return ()
    lines = [json_text.decode(one) for one in json_text.elements(text)[:_MOST_LOGS]]
    return tuple(str(line)[:_LONGEST_LOG] for line in lines)
