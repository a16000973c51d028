"""A program beside the bridge that runs functions: how it is called, by the Functions host's custom-handler contract.

Source: https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from signalr_bridge.functions.description import RETURN, Direction, FunctionDescription, Kind
from signalr_bridge.functions.handler_answer import Unused, read_outputs, read_reply
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, HttpCall, HttpReply, Invocation
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.upstream_event import JSON
from signalr_bridge.runtime import Runtime
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import OutsideFailure
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.formats import (
    Address,
    BackendFailed,
    BackendVerdict,
    Envelope,
    Reply,
    Signers,
    read_result,
)
from signalr_bridge.upstream.forward.functions import (
    join_values,
    name_arguments,
    read_answer,
    spell_header,
    write_call,
    write_context,
    write_headers,
    write_metadata,
)
from signalr_bridge.web.trace import TRACE

SOURCE = "functions"
"""The section of the settings, and what signs calls."""

MOST_LISTED = 1_048_576
"""The most bytes of a program's list of its functions."""

PREFIX_HEADER = "X-Functions-Route-Prefix"
"""The header of the list that says what stands in front of routes."""

_SETTING = "BRIDGE_FUNCTIONS__URL"
_LIST_SECONDS = 5.0
_NO_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_BINARY = ("application/octet-stream", "multipart/")
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "accept-encoding",
    }
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A program's list of its functions. ``prefix`` stands in front of routes. None where nothing is said of it."""

    text: bytes
    prefix: str | None


class Program:
    """The program that runs functions.

    Args:
        url: Its address.
        signers: Gives what signs. It signs nothing where no secrets are set.
        backends: Calls it.
        runtime: The clocks and the ids.
        on_failure: Told when a call could not be made, or when the program does not know a function.
    """

    def __init__(
        self, url: str, signers: Signers, backends: Backends, runtime: Runtime, on_failure: Callable[[], None]
    ) -> None:
        self.url = url.rstrip("/")
        self.origin = Address(self.url, _SETTING).origin
        self.on_failure = on_failure
        self._signers, self._backends, self._runtime = signers, backends, runtime

    def address(self, function: str) -> Address:
        """Where a function is called."""
        return Address(self.url, _SETTING, function)

    def now(self) -> datetime:
        """This moment, in UTC."""
        return datetime.fromtimestamp(self._runtime.wall_clock(), UTC)

    def new_id(self) -> str:
        """32 random hexadecimal digits."""
        return self._runtime.new_id()

    async def list_functions(self) -> Listing:
        """What the program says of its functions. Raises ``BackendFailed`` when it does not answer."""
        headers = self._sign(f"msg_{self.new_id()}", b"") | {"Accept": JSON}
        response = await self._backends.call("GET", self.origin, f"{self.url}/functions", None, headers, _LIST_SECONDS)
        if response.status != 200:
            raise BackendFailed(f"The program answered {response.status} to GET /functions.")
        if len(response.body) > MOST_LISTED:
            raise BackendFailed(f"The program's list has more than {MOST_LISTED:,} bytes.")
        return Listing(response.body, response.headers.get(PREFIX_HEADER))

    async def call(self, function: str, body: bytes, id: str, seconds: float) -> Reply:
        """Call a function. Raises ``BackendFailed`` when there is no reply."""
        headers = write_headers(id) | self._sign(id, body)
        url = self.address(function).write("", "")
        with _telling(self.on_failure):
            reply = await self._backends.post(self.origin, url, body, headers, seconds)
        if reply.status == 404:
            self.on_failure()
        return reply

    async def hand_over(self, call: HttpCall, id: str, seconds: float) -> HttpReply:
        """Send the request itself, with its own path. Raises ``BackendFailed`` when there is no response."""
        body = None if call.method in _NO_BODY and not call.body else call.body
        headers = {
            spell_header(name): ("; " if name == "cookie" else ", ").join(values)
            for name, values in call.headers.items()
            if name not in _HOP_BY_HOP
        }
        headers |= {"X-Azure-Functions-InvocationId": id} | self._sign(id, body or b"")
        query = "&".join(
            f"{quote(name, safe='')}={quote(one, safe='')}" for name, values in call.query.items() for one in values
        )
        url = f"{self.url}{call.path}" + (f"?{query}" if query else "")
        with _telling(self.on_failure):
            response = await self._backends.call(call.method, self.origin, url, body, headers, seconds)
        lines = [(name.decode("latin-1"), value.decode("latin-1").strip()) for name, value in response.lines]
        return HttpReply(response.status, [one for one in lines if one[0].lower() not in _HOP_BY_HOP], response.body)

    def _sign(self, id: str, body: bytes) -> dict[str, str]:
        signer = self._signers().get(SOURCE)
        trace = TRACE.get().traceparent
        headers = {} if trace is None else {"traceparent": trace}
        return headers if signer is None else headers | _sign_safely(signer.sign, id, self.now(), body)


def _sign_safely(
    sign: Callable[[str, datetime, bytes], Mapping[str, str]], id: str, moment: datetime, body: bytes
) -> dict[str, str]:
    """The headers of the signature. A body that is not UTF-8 text is signed as its base64."""
    try:
        return dict(sign(id, moment, body))
    except UnicodeDecodeError:
        return dict(sign(id, moment, b64encode(body)))


class _telling:
    """Tells of a call that could not be made, and lets its error go on."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BackendFailed):
            self._tell()


class ProgramRunner:
    """Runs functions in a program beside the bridge, for requests and timers.

    Args:
        program: The program.
        seconds: How long a call may take.
        forwards: Whether a function without other bindings than those of its request is sent the request itself.
        unused: Says once of each output that is left alone.
    """

    def __init__(self, program: Program, seconds: float, unused: Unused, *, forwards: bool) -> None:
        self._program, self._seconds, self._unused, self._forwards = program, seconds, unused, forwards

    async def run(self, invocation: Invocation) -> FunctionResult:
        """Run a function, as ``Runner`` says."""
        try:
            return await self._run(invocation)
        except OutsideFailure as error:
            raise FunctionFailed(f"The function {invocation.function.name} failed: {error}") from None

    async def _run(self, invocation: Invocation) -> FunctionResult:
        function, trigger = invocation.function, invocation.trigger
        if isinstance(trigger, HttpCall) and self._forwards and is_http_alone(function):
            return FunctionResult(reply=await self._program.hand_over(trigger, invocation.id, self._seconds))
        body = write_invocation(invocation, self._program.now(), self._program.new_id())
        reply = await self._program.call(function.name, body, invocation.id, self._seconds)
        answer = read_answer(reply, function.name)
        self._unused.log(function, answer.logs)
        outputs = read_outputs(function, answer, self._unused)
        if isinstance(trigger, HttpCall):
            return FunctionResult(outputs, reply=read_reply(function, answer))
        return FunctionResult(outputs, read_result(answer.returned))


def is_http_alone(function: FunctionDescription) -> bool:
    """Whether a function has no other bindings than its HTTP trigger and one HTTP output."""
    kinds = sorted((one.kind, one.direction) for one in function.bindings)
    return kinds == [(Kind.HTTP, Direction.OUT), (Kind.HTTP_TRIGGER, Direction.IN)]


def write_invocation(invocation: Invocation, moment: datetime, id: str) -> bytes:
    """The body of a call. Input bindings are JSON text, and so are the values that a trigger names.

    Args:
        invocation: The call.
        moment: When it came, in UTC.
        id: 32 random hexadecimal digits.
    """
    function, trigger = invocation.function, invocation.trigger
    name = "" if function.trigger is None else function.trigger.name
    if isinstance(trigger, Context):
        value: object = write_context(trigger)
    else:
        value = write_request(trigger) if isinstance(trigger, HttpCall) else trigger.describe()
    data = {name: value, **write_inputs(invocation.inputs)}
    named = invocation.named or (trigger.route if isinstance(trigger, HttpCall) else {})
    return write_call(data, write_metadata(function.name, moment, id, named))


def write_inputs(inputs: Mapping[str, object]) -> dict[str, str]:
    """The values of input bindings as JSON text."""
    return {name: json_text.encode(value).decode() for name, value in inputs.items()}


def write_request(call: HttpCall) -> dict[str, object]:
    """A request as the host gives it. A body that is binary by its media type is base64, and any other one is text."""
    written: dict[str, object] = {
        "Url": call.url,
        "Method": call.method,
        "Query": join_values(call.query),
        "Headers": {spell_header(name): list(values) for name, values in call.headers.items()},
        "Params": dict(call.route),
    }
    if call.body:
        written["Body"] = _write_body(call)
    return written


def _write_body(call: HttpCall) -> str:
    media_type = next(iter(call.headers.get("content-type", ())), "").strip().lower()
    if media_type.startswith(_BINARY):
        return b64encode(call.body).decode()
    return call.body.decode("utf-8", "replace")


class ProgramFormat:
    """How an event is written for a function in a program, and how its answer is read.

    Args:
        program: The program.
        function: The function.
        unused: Says once of each output that is left alone.
        inputs: The values of its input bindings.
    """

    def __init__(
        self,
        program: Program,
        function: FunctionDescription,
        unused: Unused,
        inputs: Mapping[str, object] | None = None,
    ) -> None:
        self._program, self._function, self._unused = program, function, unused
        self._inputs = inputs or {}
        trigger = function.trigger
        self._name = "" if trigger is None else trigger.name
        self._names = None if trigger is None else trigger.texts("parameterNames") or None
        self._returns_item = any(one.name == RETURN and one.kind == Kind.SIGNALR for one in function.outputs)

    def name_arguments(self, context: Context) -> dict[str, Payload]:
        """The arguments of a message by the names of the trigger. Raises ``Rejected`` for another number of them."""
        return name_arguments(self._names, context)

    def write(self, context: Context, id: str, moment: datetime) -> Envelope:
        """The request for an event, as ``Format`` says."""
        metadata = write_metadata(
            self._function.name, moment, self._program.new_id(), name_arguments(self._names, context)
        )
        body = write_call({self._name: write_context(context), **write_inputs(self._inputs)}, metadata)
        url = self._program.address(self._function.name).write("", "")
        return Envelope(id, url, body, write_headers(id))

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means, as ``Format`` says."""
        if reply.status == 404:
            self._program.on_failure()
        answer = read_answer(reply, event)
        outputs = read_outputs(self._function, answer, self._unused)
        result = None if self._returns_item else read_result(answer.returned)
        return BackendVerdict(result, logs=answer.logs, bound=outputs)
