"""The format functions: the contract between the Functions host and a custom handler, which runs unchanged.

Source: Microsoft's page "Azure Functions custom handlers" for the payloads of request and response, and
``docs/protocol/functions-bindings.md`` 1.5 (the invocation context).
"""

import uuid
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec

from signalr_bridge.errors import MalformedJson, Rejected, SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.function_outputs import read_output
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.json_text import DuplicateMember
from signalr_bridge.protocol.platform_headers import is_platform_header
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

INVOCATION_ID = "X-Azure-Functions-InvocationId"
"""The header with the id of a call."""

RETURN = "$return"
"""The name of the binding that takes what a function returns."""

_MOST_LOGS, _LONGEST_LOG = 100, 1024
_SYS = "sys"
_OF_THE_BODY = frozenset({"content-type", "content-length"})
_LOWER = frozenset({"traceparent", "tracestate", "baggage"})
_SPELT = {"asrs": "ASRS", "etag": "ETag", "te": "TE", "dnt": "DNT", "www": "WWW"}
_NOTHING: Mapping[str, object] = MappingProxyType({})


class FunctionsFormat:
    """The format ``functions``: the event is the trigger data of a function.

    Args:
        address: Where to post.
        function: The name of the function.
        binding: The name of the trigger in the payload.
        parameter_names: If given, a message has exactly as many arguments, and the metadata holds them by these names.
        new_id: Gives a GUID.
        outputs: The outputs that are bound to ``signalR``, in lower case, whose items go to the hub of the binding.
            None where nothing is known of bindings: then all outputs go to the hub of the event.
    """

    def __init__(
        self,
        address: Address,
        function: str,
        binding: str,
        parameter_names: Sequence[str] | None,
        new_id: NewId,
        outputs: Collection[str] | None = None,
    ) -> None:
        self._address, self._function, self._binding = address, function, binding
        self._names, self._new_id, self._outputs = parameter_names, new_id, outputs

    def write(self, context: Context, id: str, moment: datetime, inputs: Mapping[str, object] = _NOTHING) -> Envelope:
        """The request for an event, as ``Format`` says. Raises ``Rejected`` for another number of arguments."""
        metadata = write_metadata(name_arguments(self._names, context), self._function, moment, self._new_id)
        data = {self._binding: write_context(context)} | write_inputs(inputs)
        body = json_text.encode({"Data": data, "Metadata": metadata})
        headers = {"Content-Type": JSON, INVOCATION_ID: id}
        return Envelope(id, self._address.write(context.hub, context.event), body, headers)

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means. As for the host, any 2xx is success."""
        answer = read_answer(reply, event)
        if self._outputs is not None:
            return self._choose(answer)
        try:
            outputs = join_outputs(one for text in answer.outputs.values() for one in read_output(text))
        except (MalformedJson, DuplicateMember):
            raise BackendFailed(_MALFORMED) from None
        return BackendVerdict(read_result(answer.returned), outputs, answer.logs)

    def _choose(self, answer: "FunctionAnswer") -> BackendVerdict:
        named, others = answer.sort(self._outputs or ())
        result = None if RETURN in (self._outputs or ()) else read_result(answer.returned)
        return BackendVerdict(result, logs=answer.logs, named=named, left_alone=others)


_MALFORMED = "The backend's outputs are no objects, arrays of objects or their JSON text."


@dataclass(frozen=True, slots=True)
class FunctionAnswer:
    """What a program answers to one call.

    Attributes:
        outputs: What it puts into outputs, as JSON text by their names as it spells them.
        returned: What the function returns, as JSON text. None without that.
        logs: Lines for our log.
    """

    outputs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    returned: bytes | None = field(default=None, repr=False)
    logs: tuple[str, ...] = ()

    def find(self, name: str) -> bytes | None:
        """What is for the output of this name, ignoring case. None without that."""
        if name.lower() == RETURN:
            return self.returned
        return next((text for given, text in self.outputs.items() if given.lower() == name.lower()), None)

    def sort(self, bound: Collection[str]) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """What is for the outputs that are ``bound``, by their names in lower case, and the names of all others."""
        found = {name: text for name in bound if (text := self.find(name)) is not None}
        return found, tuple(name for name in self.outputs if name.lower() not in bound)


def read_answer(reply: Reply, function: str) -> FunctionAnswer:
    """What a program answers. Any 2xx is success, and an empty body gives nothing.

    Raises:
        Rejected, BackendFailed: As ``read_failure`` says, and for what is no such answer.
    """
    if not 200 <= reply.status < 300:
        raise read_failure(reply, function)
    members = read_members(reply) if reply.body.strip() else {}
    try:
        outputs = members.get("outputs", b"null")
        returned = members.get("returnvalue")
        return FunctionAnswer(
            {} if outputs == b"null" else json_text.members(outputs),
            None if returned == b"null" else returned,
            _read_logs(members.get("logs", b"null")),
        )
    except (MalformedJson, DuplicateMember):
        raise BackendFailed(_MALFORMED) from None


def write_inputs(inputs: Mapping[str, object]) -> dict[str, str]:
    """The values of input bindings, as JSON text by their names."""
    return {name: json_text.encode(value).decode() for name, value in inputs.items()}


def write_metadata(named: Mapping[str, Payload], function: str, moment: datetime, new_id: NewId) -> dict[str, object]:
    """The metadata of a call: the named values as the host writes them, and what it says of every call.

    Args:
        named: The values by their names. What is null is left out, and so is a name that ends like that of a trigger.
        function: The name of the function.
        moment: When it began, in UTC.
        new_id: Gives a GUID.
    """
    values = {name: write_value(value) for name, value in named.items() if not name.lower().endswith("trigger")}
    return {name: value for name, value in values.items() if value is not None} | {
        _SYS: {
            "MethodName": function,
            "UtcNow": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "RandGuid": str(uuid.UUID(hex=new_id(), version=4)),
        }
    }


def write_value(value: Payload) -> object:
    """One value of the metadata: an object as it is, bytes as base64, and all else, arrays too, as JSON text.

    Source: https://github.com/Azure/azure-functions-host/blob/dev/src/WebJobs.Script/Workers/MessageExtensions/ScriptInvocationContextExtensions.cs
    """
    if value is None or isinstance(value, Mapping):
        return value
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    if not isinstance(value, msgspec.Raw):
        return json_text.encode(value).decode()
    text = bytes(value).strip()
    if text == b"null":
        return None
    return value if text.startswith(b"{") else json_text.compact(text).decode()


@lru_cache(1024)
def spell_header(name: str) -> str:
    """A header's name as a .NET host shows it: ``X-ASRS-User-Id``, ``X-MS-CLIENT-PRINCIPAL-ID``, ``User-Agent``."""
    if is_platform_header(name):
        return name.upper()
    return name if name in _LOWER else "-".join(_SPELT.get(one, one.capitalize()) for one in name.split("-"))


def name_arguments(
    names: Sequence[str] | None, context: Context, values: Sequence[Payload] | None = None
) -> dict[str, Payload]:
    """The arguments of a message by their names. Raises ``Rejected`` for another number of them.

    Args:
        names: Their names. With None nothing is named, and there may be any number, as in the binding.
        context: The event.
        values: The arguments as values. None leaves them as they came, so that numbers stay as they were written.
    """
    if names is None or context.category != MESSAGES:
        return {}
    arguments = _take_apart(context.sent_arguments) if values is None else values
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
        "Headers": {spell_header(name): text for name, text in context.headers.items() if name not in _OF_THE_BODY},
        "Query": join_query(context.query) or None,
        "Claims": {name: values[0] for name, values in context.claims.items() if values} or None,
    }


def join_query(query: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The parameters of a query. Names that differ in case are one, as first written, and values are joined."""
    spelt: dict[str, str] = {}
    joined: dict[str, str] = {}
    for name, values in query.items():
        known = spelt.setdefault(name.lower(), name)
        joined[known] = ",".join([joined[known], *values] if known in joined else values)
    return joined


def _read_logs(text: bytes) -> tuple[str, ...]:
    if json_text.first_character(text) != b"[":
        return ()
    lines = [json_text.decode(one) for one in json_text.elements(text)[:_MOST_LOGS]]
    return tuple(str(line)[:_LONGEST_LOG] for line in lines)
