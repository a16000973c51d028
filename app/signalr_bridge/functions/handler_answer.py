"""What a custom handler answers: outputs by the bindings of the function, and the answer to a request.

Source: https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers#response-payload
"""

import logging
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

from signalr_bridge.errors import MalformedJson
from signalr_bridge.functions.description import RETURN, FunctionDescription, Kind
from signalr_bridge.functions.invocation import HttpReply
from signalr_bridge.protocol import json_text
from signalr_bridge.upstream.forward.formats import BackendFailed
from signalr_bridge.upstream.forward.functions import HandlerAnswer

_LOG = logging.getLogger("signalr_bridge.functions")
_MEMBERS = frozenset({"statuscode", "status", "headers", "body"})
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"
_NO_CONTENT = 204


class Unused:
    """Says once of each output of each function that it is left alone, and writes what functions log."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def say(self, function: FunctionDescription, output: str, reason: str) -> None:
        """Say that an output is left alone. ``reason`` is a sentence for people."""
        if (key := (function.name, output)) not in self._said:
            self._said.add(key)
            _LOG.warning("output left alone", extra={"function": function.name, "output": output, "reason": reason})

    def log(self, function: FunctionDescription, lines: Iterable[str]) -> None:
        """Write what a function logs."""
        for line in lines:
            _LOG.info("backend", extra={"function": function.name, "line": line})


def read_outputs(function: FunctionDescription, answer: HandlerAnswer, unused: Unused) -> dict[str, bytes]:
    """What the ``signalR`` outputs of a function are to send, as JSON text by the name of the binding.

    What is for another binding, or for none, is left alone.
    """
    given = {name.lower(): (name, text) for name, text in answer.outputs.items()}
    outputs: dict[str, bytes] = {}
    for binding in function.outputs:
        _, text = given.pop(binding.name.lower(), ("", None))
        if binding.name == RETURN:
            text = answer.returned
        if binding.kind == Kind.SIGNALR and text is not None:
            outputs[binding.name] = text
        elif binding.kind not in {Kind.SIGNALR, Kind.HTTP} and text is not None:
            unused.say(function, binding.name, f"The bridge has no {binding.type} output.")
    for name, _ in given.values():
        unused.say(function, name, "The function has no output of this name.")
    return outputs


def read_reply(function: FunctionDescription, answer: HandlerAnswer) -> HttpReply:
    """What a function answers to a request: the value of its HTTP output, or what it returns.

    Raises ``BackendFailed`` for a value that is not an answer.
    """
    output = next((one for one in function.outputs if one.kind == Kind.HTTP), None)
    if output is None:
        return HttpReply(_NO_CONTENT)
    text = answer.returned if output.name == RETURN else _find(answer.outputs, output.name)
    if text is None or text.strip() == b"null":
        return HttpReply(_NO_CONTENT)
    value = _decode(text)
    if isinstance(value, str) and output.name != RETURN and isinstance(inner := _try_decode(value), dict):
        value = inner
    if isinstance(value, dict) and (members := _lower(value)).keys() & _MEMBERS:
        return _read_response(function, members)
    return _write(200, {}, value)


def _find(outputs: Mapping[str, bytes], name: str) -> bytes | None:
    return next((text for given, text in outputs.items() if given.lower() == name.lower()), None)


def _lower(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): one for name, one in value.items()}


def _decode(text: bytes) -> Any:
    try:
        return json_text.decode(text)
    except MalformedJson:
        raise BackendFailed("The backend's answer to the request is not JSON.") from None


def _try_decode(text: str) -> Any:
    try:
        return json_text.decode(text.encode())
    except (MalformedJson, UnicodeEncodeError):
        return None


def _read_response(function: FunctionDescription, members: Mapping[str, Any]) -> HttpReply:
    status = members.get("statuscode", members.get("status"))
    status = 200 if status in {None, ""} else status
    if isinstance(status, str) and status.isascii() and status.isdecimal():
        status = int(status)
    headers = members.get("headers") or {}
    if not isinstance(status, int) or not 100 <= status <= 599 or not isinstance(headers, dict):
        raise BackendFailed(f"The answer of {function.name} has a status or headers that HTTP does not have.")
    body = members.get("body")
    if members.get("isbase64encoded") is True and isinstance(body, str):
        try:
            return HttpReply(status, list(_list_headers(headers)), b64decode(body, validate=True))
        except ValueError:
            raise BackendFailed(f"The answer of {function.name} has a body that is no base64.") from None
    return _write(status, headers, body)


def _write(status: int, headers: Mapping[str, Any], body: Any) -> HttpReply:
    lines = list(_list_headers(headers))
    if body is None:
        return HttpReply(status, lines)
    media_type = _TEXT if isinstance(body, str) else _JSON
    if not any(name.lower() == "content-type" for name, _ in lines):
        lines.append(("Content-Type", media_type))
    if isinstance(body, str):
        return HttpReply(status, lines, body.encode("utf-8", "replace"))
    return HttpReply(status, lines, json_text.encode(body))


def _list_headers(headers: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, str) else json_text.encode(one).decode()
