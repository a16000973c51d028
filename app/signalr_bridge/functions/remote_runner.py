"""Runs functions in a program beside the bridge, which speaks the Functions host's custom-handler contract."""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from signalr_bridge.errors import Rejected
from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.binding_data import gather
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import BindingData
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, HttpCall, HttpReply, Invocation
from signalr_bridge.functions.remote_payload import NOT_PASSED_ON, read_result_of, write_payload
from signalr_bridge.protocol.upstream_event import JSON
from signalr_bridge.runtime import Runtime
from signalr_bridge.tracing import Called
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.forward.backends import LARGEST_ANSWER, Backends
from signalr_bridge.upstream.forward.formats import Address, BackendFailed, WebhookSigner
from signalr_bridge.upstream.forward.functions import INVOCATION_ID, name_arguments, read_answer
from signalr_bridge.wire import client

_LOG = logging.getLogger("signalr_bridge.functions")
_OURS = frozenset({"accept-encoding", INVOCATION_ID.lower()})
_NOT_PASSED_BACK = NOT_PASSED_ON | {"date", "server"}


def list_bound(function: FunctionDescription) -> frozenset[str]:
    """The names of its ``signalR`` outputs, in lower case."""
    return frozenset(one.name.lower() for one in function.outputs if one.kind == Kind.SIGNALR)


class LeftAlone:
    """Notes outputs of other bindings in the log, each of them once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def note(self, function: FunctionDescription, names: Iterable[str]) -> None:
        """Log outputs of a function that the bridge leaves alone. What an ``http`` binding takes is none."""
        for name in names:
            binding = function.find(name)
            if (binding is None or binding.kind != Kind.HTTP) and (function.name, name) not in self._seen:
                self._seen.add((function.name, name))
                kind = "no binding" if binding is None else binding.type
                extra = {"function": function.name, "output": name, "reason": f"it is bound to {kind}"}
                _LOG.warning("output left alone", extra=extra)


@dataclass(frozen=True, slots=True)
class Program:
    """The program beside the bridge.

    Attributes:
        url: Its address.
        setting: The setting that says it, for errors.
        sign: Gives what signs each call. It signs nothing without secrets.
        note_failure: Is told of each call that failed: the program may have been started anew.
        left_alone: Notes outputs that the bridge leaves alone.
    """

    url: str
    setting: str
    sign: Callable[[], WebhookSigner]
    note_failure: Callable[[], None]
    left_alone: LeftAlone

    def address(self, function: str) -> Address:
        """Where a function is called. Raises ``SettingsError`` for an address that is not one."""
        return Address(self.url, self.setting, function)


class RemoteRunner:
    """Runs functions in the program.

    Args:
        program: The program.
        host: What its ``host.json`` says.
        backends: Posts calls.
        requests: Passes requests on.
        runtime: The clock, and new ids.
        seconds: How long a call may take. Its caller may have less time.
    """

    def __init__(
        self,
        program: Program,
        host: HostFile,
        backends: Backends,
        requests: client.Client,
        runtime: Runtime,
        seconds: float,
    ) -> None:
        self._program, self._host = program, host
        self._backends, self._requests = backends, requests
        self._runtime, self._seconds = runtime, seconds

    async def run(self, invocation: Invocation) -> FunctionResult:
        """Run a function to its end. Raises ``FunctionFailed``, also where the program refuses."""
        called = invocation.trigger
        try:
            if isinstance(called, HttpCall) and self._host.forwards_requests and is_plain(invocation.function):
                return FunctionResult(reply=await self._pass_on(invocation, called))
            return await self._post(invocation)
        except BackendFailed as failure:
            self._program.note_failure()
            raise FunctionFailed(f"Function '{invocation.function.name}': {failure}") from None

    async def _post(self, invocation: Invocation) -> FunctionResult:
        function, moment = invocation.function, datetime.fromtimestamp(self._runtime.wall_clock(), UTC)
        address, id = self._program.address(function.name), f"msg_{invocation.id}"
        body = write_payload(invocation, moment, self._runtime.new_id)
        headers = {"Content-Type": JSON, INVOCATION_ID: invocation.id} | self._program.sign().sign(id, moment, body)
        called = Called(address.path, "functions", {"faas.invoked_name": function.name})
        url = address.write("", "")
        reply = await self._backends.post(address.origin, url, body, headers, self._seconds, called=called)
        try:
            answer = read_answer(reply, function.name)
        except Rejected:
            raise BackendFailed(f"The backend answered {reply.status}.") from None
        for line in answer.logs:
            _LOG.info("function", extra={"function": function.name, "line": line})
        bound = list_bound(function)
        self._program.left_alone.note(function, answer.sort(bound)[1])
        return read_result_of(invocation, answer, bound)

    async def _pass_on(self, invocation: Invocation, call: HttpCall) -> HttpReply:
        """Send the request itself, by its own path, and give back what is answered."""
        id, name = invocation.id, invocation.function.name
        query = urlsplit(call.url).query
        url = f"{self._program.url.rstrip('/')}{call.path}{'?' if query else ''}{query}"
        headers = {name: _join(name, values) for name, values in call.headers.items() if not _is_ours(name)}
        moment = datetime.fromtimestamp(self._runtime.wall_clock(), UTC)
        signed = self._program.sign().sign(f"msg_{id}", moment, call.body) if _is_text(call.body) else {}
        try:
            response = await self._requests.request(
                call.method,
                url,
                headers={**headers, INVOCATION_ID: id, **signed},
                body=call.body or None,
                seconds=self._seconds,
                largest=LARGEST_ANSWER,
                called=Called(of="functions", notes={"faas.invoked_name": name}),
            )
        except client.CallFailed as error:
            raise BackendFailed(f"The backend gave no answer ({error}).") from None
        except ValueError:
            raise BackendFailed("The request cannot be passed on: its method, path or a header is not plain.") from None
        lines = [(name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in response.lines]
        return HttpReply(
            response.status, [one for one in lines if one[0].lower() not in _NOT_PASSED_BACK], response.body
        )


def is_plain(function: FunctionDescription) -> bool:
    """Whether it has an ``httpTrigger`` and an ``http`` output, and no other binding."""
    return sorted(one.kind for one in function.bindings) == sorted([Kind.HTTP_TRIGGER, Kind.HTTP])


def _is_ours(name: str) -> bool:
    return name in NOT_PASSED_ON or name in _OURS


def _join(name: str, values: Sequence[str]) -> str:
    return ("; " if name == "cookie" else ", ").join(values)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


class RemoteBindings:
    """The bindings of one function that events start, for ``Forward``.

    Args:
        function: The function.
        trigger: Its trigger.
        bindings: Fills inputs and sends outputs.
        program: Where it runs.
        runtime: The clock, and new ids.
    """

    def __init__(
        self, function: FunctionDescription, trigger: Binding, bindings: Bindings, program: Program, runtime: Runtime
    ) -> None:
        self._function, self._names = function, trigger.texts("parameterNames") or None
        self._bindings, self._program, self._runtime = bindings, program, runtime

    async def read_inputs(self, context: Context) -> Mapping[str, object]:
        """The values of its input bindings, as ``EventBindings`` says."""
        if not self._function.inputs:
            return {}
        return await self._bindings.read_inputs(self._function, self._gather(context))

    async def send_outputs(self, context: Context, outputs: Mapping[str, bytes], others: Sequence[str]) -> None:
        """Send what its outputs hold, as ``EventBindings`` says."""
        self._program.left_alone.note(self._function, others)
        await self._bindings.send_outputs(self._function, self._gather(context), outputs)

    def note_failure(self) -> None:
        """Take notice of a call that failed, as ``EventBindings`` says."""
        self._program.note_failure()

    def _gather(self, context: Context) -> BindingData:
        moment = datetime.fromtimestamp(self._runtime.wall_clock(), UTC)
        guid = str(uuid.UUID(hex=self._runtime.new_id(), version=4))
        named = name_arguments(self._names, context, context.arguments)
        return gather(self._function.name, moment, guid, context, named)
