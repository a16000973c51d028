"""The values that functions in Python take and give, in the types of Microsoft's library.

Source: https://learn.microsoft.com/azure/azure-functions/functions-reference-python
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import azure.functions as func
from azure.functions.timer import TimerRequest

from signalr_bridge.functions.invocation import HttpCall, HttpReply, Invocation, TimerCall, TriggerData
from signalr_bridge.protocol import json_text
from signalr_bridge.upstream.forward.functions import write_context
from signalr_bridge.web.trace import TRACE

NO_CONTENT = 204
_PLAIN_TEXT = ("content-type", "text/plain; charset=utf-8")
_SET_COOKIE = "set-cookie"
_LOCAL = threading.local()


class OutValue(func.Out[Any]):
    """What a function puts into an output that is one of its parameters."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Put a value there, in place of the one before."""
        self._value = val

    def get(self) -> Any:
        """What is there. None before anything was put there."""
        return self._value


@dataclass(frozen=True, slots=True)
class CallTrace:
    """The trace of a call, by the names that the Functions worker gives it. The capital ones are older."""

    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def Traceparent(self) -> str:
        return self.trace_parent

    @property
    def Tracestate(self) -> str:
        return self.trace_state

    @property
    def Attributes(self) -> Mapping[str, str]:
        return self.attributes


@dataclass(frozen=True, slots=True)
class CallRetry:
    """How often a call was tried again, which is never here."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


class CallContext(func.Context):
    """What a function is told of its call.

    Args:
        invocation: The call.
        directory: The folder of the function's code.
    """

    def __init__(self, invocation: Invocation, directory: str) -> None:
        self._invocation, self._directory = invocation, directory
        trace = TRACE.get().traceparent or ""
        self._trace, self._retry = CallTrace(trace), CallRetry()

    @property
    def invocation_id(self) -> str:
        """The id of the call."""
        return self._invocation.id

    @property
    def thread_local_storage(self) -> Any:
        """Where threads of the function's own note whose call they work for."""
        return _LOCAL

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._invocation.function.name

    @property
    def function_directory(self) -> str:
        """The folder of the function's code."""
        return self._directory

    @property
    def trace_context(self) -> Any:
        """The trace that the call belongs to. The library does not export the type."""
        return self._trace

    @property
    def retry_context(self) -> Any:
        """How often the call was tried again. The library does not export the type."""
        return self._retry


def read_trigger(trigger: TriggerData) -> Any:
    """The value of a trigger: a request, a timer, or the JSON text of the context of an event."""
    if isinstance(trigger, HttpCall):
        return _make_request(trigger)
    if isinstance(trigger, TimerCall):
        described: dict[str, Any] = dict(trigger.describe())
        return TimerRequest(
            past_due=trigger.is_past_due,
            schedule_status=described["ScheduleStatus"],
            schedule=described["Schedule"],
        )
    return json_text.encode(write_context(trigger)).decode()


def _make_request(call: HttpCall) -> func.HttpRequest:
    return func.HttpRequest(
        method=call.method,
        url=call.url,
        headers={name: ("; " if name == "cookie" else ",").join(values) for name, values in call.headers.items()},
        params={name: ",".join(values) for name, values in call.query.items()},
        route_params=dict(call.route),
        body=call.body,
    )


def read_input(value: object, *, as_bytes: bool) -> str | bytes:
    """The value of an input binding: JSON text, or its bytes where the binding says so."""
    text = json_text.encode(value)
    return text if as_bytes else text.decode()


def write_output(value: Any) -> bytes | None:
    """What an output is to send, as JSON text. None where it holds nothing. Raises ``TypeError`` for other objects."""
    if isinstance(value, bytes | bytearray):
        text = bytes(value)
    elif isinstance(value, str):
        text = value.encode()
    else:
        text = b"" if value is None else json_text.encode(value)
    return text if text.strip() else None


def write_reply(value: Any, function: str) -> HttpReply:
    """What a function answers to a request. Raises ``TypeError`` for what is no answer."""
    if value is None:
        return HttpReply(NO_CONTENT)
    if isinstance(value, str):
        return HttpReply(200, (_PLAIN_TEXT,), value.encode())
    if not isinstance(value, func.HttpResponse):
        given = type(value).__name__
        raise TypeError(f"The function '{function}' answers a request by func.HttpResponse or str, and gave {given}.")
    headers = [one for name, text in value.headers.items() for one in _split_header(str(name), str(text))]
    if not any(name.lower() == "content-type" for name, _ in headers):
        charset = f"; charset={value.charset}" if value.mimetype.startswith("text/") else ""
        headers.append(("content-type", f"{value.mimetype}{charset}"))
    return HttpReply(int(value.status_code), headers, value.get_body())


def _split_header(name: str, text: str) -> list[tuple[str, str]]:
    """The headers of this name. The worker reads each text of ``Set-Cookie`` as cookies, of which it may hold some."""
    if name.lower() != _SET_COOKIE:
        return [(name, text)]
    return [(name, one.OutputString()) for one in SimpleCookie(text).values()] or [(name, text)]
