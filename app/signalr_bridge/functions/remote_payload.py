"""What a program beside the bridge is sent for a request or a timer, and how its answer is read, as the host has both.

Source: Microsoft's page "Azure Functions custom handlers", and for what it leaves open
https://github.com/Azure/azure-functions-host/tree/dev/src/WebJobs.Script/Workers.
"""

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from signalr_bridge.errors import MalformedJson
from signalr_bridge.functions.description import FunctionDescription, Kind
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, HttpCall, HttpReply, Invocation
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.runtime import NewId
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.forward.formats import read_result
from signalr_bridge.upstream.forward.functions import (
    RETURN,
    FunctionAnswer,
    join_query,
    spell_header,
    write_context,
    write_inputs,
    write_metadata,
)
from signalr_bridge.wire.exchange import HOP_BY_HOP

NOT_PASSED_ON = HOP_BY_HOP | {"content-length", "host"}
"""Headers that belong to one connection, or that whoever writes a message writes itself."""

_TEXT, _JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"
_NO_CONTENT = 204


def write_payload(invocation: Invocation, moment: datetime, new_id: NewId) -> bytes:
    """The body of a call.

    Args:
        invocation: The call.
        moment: When it began, in UTC.
        new_id: Gives a GUID.
    """
    function = invocation.function
    trigger = "" if function.trigger is None else function.trigger.name
    data = {trigger: _write_trigger(invocation)} | write_inputs(invocation.inputs)
    called = invocation.trigger
    more = _name_values(called) if isinstance(called, HttpCall) else {}
    metadata = write_metadata({**more, **invocation.named}, function.name, moment, new_id)
    return json_text.encode({"Data": data, "Metadata": metadata})


def _write_trigger(invocation: Invocation) -> Mapping[str, object]:
    given = invocation.trigger
    if isinstance(given, Context):
        return write_context(given)
    return _write_request(given) if isinstance(given, HttpCall) else given.describe()


def _write_request(call: HttpCall) -> dict[str, object]:
    """The request as the host gives it: header values are lists, and a body of bytes is base64."""
    written: dict[str, object] = {
        "Url": call.url,
        "Method": call.method,
        "Query": join_query(call.query),
        "Headers": {spell_header(name): list(values) for name, values in call.headers.items()},
        "Params": dict(call.route),
    }
    return written | ({"Body": _write_body(call)} if call.body else {})


def _write_body(call: HttpCall) -> str:
    media_type = next(iter(call.headers.get("content-type", ())), "").strip().lower()
    if media_type.startswith(("application/octet-stream", "multipart/")):
        return base64.b64encode(call.body).decode()
    return call.body.decode("utf-8", "replace").removeprefix("\ufeff")


def _name_values(call: HttpCall) -> dict[str, Payload]:
    """What the host's binding data of a request holds: query and headers, and each parameter by its own name."""
    query = join_query(call.query)
    headers = {spell_header(name): ",".join(values) for name, values in call.headers.items()}
    return {**_read_object(call.body), **query, **call.route, "Query": query, "Headers": headers}


def _read_object(body: bytes) -> Mapping[str, Payload]:
    if json_text.first_character(body) != b"{":
        return {}
    try:
        return json_text.raw_members(body)
    except (MalformedJson, UnicodeDecodeError):
        return {}


def read_result_of(invocation: Invocation, answer: FunctionAnswer, bound: Collection[str]) -> FunctionResult:
    """What a function has given, by the answer of its program. Raises ``FunctionFailed`` for what is no HTTP answer.

    Args:
        invocation: The call.
        answer: What the program has answered.
        bound: The names of its ``signalR`` outputs, in lower case.
    """
    function = invocation.function
    outputs, _ = answer.sort(bound)
    result = None if function.find(RETURN) else read_result(answer.returned)
    is_request = isinstance(invocation.trigger, HttpCall)
    return FunctionResult(outputs, result, _read_reply(function, answer) if is_request else None)


def _read_reply(function: FunctionDescription, answer: FunctionAnswer) -> HttpReply:
    binding = next((one for one in function.outputs if one.kind == Kind.HTTP), None)
    text = None if binding is None else answer.find(binding.name)
    if text is None:
        return HttpReply(_NO_CONTENT)
    try:
        return _make_reply(json_text.decode(text))
    except (MalformedJson, ValueError, TypeError, OverflowError):
        raise FunctionFailed(f"Function '{function.name}': its HTTP answer is not well formed.") from None


def _make_reply(value: Any) -> HttpReply:
    """The answer that a value stands for: an object with a status, headers or a body, or else the body itself."""
    members = {name.lower(): one for name, one in _parse(value).items()}
    if not members.keys() & {"body", "statuscode", "status", "headers"}:
        return HttpReply(200, *_add_type([], value, b"" if value is None else _encode(value)))
    body = members.get("body")
    headers = list(_list_headers(members.get("headers") or {}))
    if members.get("isbase64encoded") is True:  # as deploy/functions-node writes bytes
        return HttpReply(_read_status(members), headers, _decode_base64(body))
    content = _encode(body)
    return HttpReply(_read_status(members), *_add_type(headers, body, content))


def _parse(value: Any) -> Mapping[str, Any]:
    """The object that a value is, also as JSON text. Empty for others."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json_text.decode(value.encode())
        except MalformedJson:
            return {}
    return value if isinstance(value, dict) else {}


def _read_status(members: Mapping[str, Any]) -> int:
    given = members.get("statuscode")
    status = int(str(members.get("status") or 200) if given is None else str(given))
    if not 200 <= status <= 599:
        raise ValueError("no status that ends a request")
    return status


def _list_headers(headers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, given in headers.items():
        if name.lower() not in NOT_PASSED_ON and given is not None:
            yield from ((name, one if isinstance(one, str) else _encode(one).decode()) for one in _as_list(given))


def _as_list(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _add_type(headers: list[tuple[str, str]], body: Any, content: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """The headers with a content type, where there is a body and none of them says it."""
    if content and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", _TEXT if isinstance(body, str) else _JSON))
    return headers, content


def _encode(body: Any) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json_text.encode(body)


def _decode_base64(body: Any) -> bytes:
    try:
        return base64.b64decode(str(body), validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
