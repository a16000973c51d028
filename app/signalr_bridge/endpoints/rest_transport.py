"""The transport over the service's REST API: it packs messages, signs calls and reads answers."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self

import msgspec
from msgspec.structs import replace

from signalr_bridge.endpoints.endpoint import ANSWERS, LARGEST_MESSAGE, Code, Endpoint, Outcome, Verdict, plain_outcome
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.endpoints.refreshing import CredentialFailure, explain_failure
from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol.payload import write_packed
from signalr_bridge.protocol.problem import MEDIA_TYPE
from signalr_bridge.protocol.rest import (
    ABSENT_CODES,
    API_VERSION,
    CLIENT_ERROR_CODE,
    ERROR_CODE_HEADER,
    Action,
    ClientAnswer,
    MemberPage,
    Message,
    Operation,
    media_type_of,
    read_client_error,
    read_member_page,
    read_result,
    write_message,
    write_path,
    write_target,
)
from signalr_bridge.settings.names import PREFIX
from signalr_bridge.tracing import TRACING, UNNAMED, Called
from signalr_bridge.web.trace import TRACE
from signalr_bridge.wire.client import (
    CallFailed,
    Client,
    ClientOptions,
    NotSent,
    PoolExhausted,
    Response,
    read_retry_after,
    render_headers,
)
from signalr_bridge.wire.proxies import Proxies

LARGEST_ANSWER = 16 * 1024 * 1024
"""The most bytes of an answer that are read."""
_OLD_EMULATOR = "answers as Microsoft's emulator up to 1.1.0 does"
_NOT_OFFERED = "the service does not have this operation"
_MOST_HEADERS = 1024
"""How many calls' header lines are kept."""


class RestTransport:
    """Calls the service by one HTTP client, which is opened and closed with the application.

    Args:
        messagepack: Whether messages go out finished for clients of JSON and of MessagePack, and not as JSON alone.
        connections: The most connections to one endpoint.
        proxies: Which endpoints are called through a proxy. None calls all of them directly.
    """

    def __init__(self, *, messagepack: bool = False, connections: int = 64, proxies: Proxies | None = None) -> None:
        self._write = write_packed if messagepack else write_message
        options = ClientOptions(dns_seconds=30, connections=connections, proxies=proxies)
        self._client = Client(options)
        self._headers: dict[tuple[str, str | None], bytes] = {}
        self._last: _Request | None = None

    async def __aenter__(self) -> Self:
        self._client.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    def fits(self, action: Action, message: Message) -> bool:
        """Whether the packed message has at most ``LARGEST_MESSAGE`` bytes. Raises ``MalformedJson``."""
        return len(self._pack(action, message)) <= LARGEST_MESSAGE

    def begin(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Pending[Outcome]:
        """One attempt of at most ``seconds``. When a token and a connection are at hand, it is written at once.

        Raises ``MalformedJson`` for a message that cannot be packed, and ``InvalidName``.
        """
        request = self._last  # a fan-out makes the same request of every endpoint
        if request is None or request.operation is not operation or request.message is not message:
            request = self._last = _write_request(operation, message, self._pack)
        try:
            token = endpoint.credential.ready_token(endpoint.server_url + request.path)
            if token is None:
                return Pending.run(self._wait_and_send(endpoint, request, seconds))
            headers = self._render_headers(token, request.media_type)
        except Exception as error:  # whatever a credential raises: its text may hold a secret
            return Pending.known(_without_credential(endpoint, explain_failure(error)))
        return self._send(endpoint, request, headers, seconds)

    def _pack(self, action: Action, message: Message) -> bytes:
        """The body of a call. An invocation goes out as JSON alone, because the service knows no other form of it."""
        return message.written(self._write if action.is_message else write_message)

    async def _wait_and_send(self, endpoint: Endpoint, request: "_Request", seconds: float) -> Outcome:
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        try:
            async with asyncio.timeout(seconds):
                token = await endpoint.credential.rest_token(endpoint.server_url + request.path)
            headers = self._render_headers(token, request.media_type)
        except Exception as error:  # whatever a credential's library raises: its text may hold a secret
            return _without_credential(endpoint, explain_failure(error))
        return await self._send(endpoint, request, headers, max(ends - loop.time(), 0))

    def _send(self, endpoint: Endpoint, request: "_Request", headers: bytes, seconds: float) -> Pending[Outcome]:
        action = request.operation.action
        response = self._client.begin(
            action.method,
            endpoint.origin,
            endpoint.base_path + request.target,
            headers,
            request.body,
            seconds=seconds,
            largest=LARGEST_ANSWER if action.has_answer else None,
            called=UNNAMED if TRACING.tracer is None else _describe_call(endpoint, request.operation),
        )
        return Pending(response, partial(_read_response, endpoint, request.operation))

    def _render_headers(self, token: str, media_type: str | None) -> bytes:
        """The header lines of a call. They are kept, because calls with the same token differ by their trace alone."""
        known = self._headers.get((token, media_type))
        if known is None:
            if len(self._headers) >= _MOST_HEADERS:
                self._headers.clear()
            headers = {"Authorization": f"Bearer {token}"}
            known = render_headers(headers if media_type is None else headers | {"Content-Type": media_type})
            self._headers[token, media_type] = known
        trace = None if TRACING.tracer is not None else TRACE.get().traceparent  # else the call has a span of its own
        return known if trace is None else known + render_headers({"traceparent": trace})


class _Request(msgspec.Struct, frozen=True):
    """An operation and its message, written. ``path`` is the part of the target that a token is made for."""

    operation: Operation
    message: Message | None
    target: str
    path: str
    body: bytes | None
    media_type: str | None

    def __repr__(self) -> str:
        return f"_Request({self.operation!r})"


def _write_request(operation: Operation, message: Message | None, pack: Callable[[Action, Message], bytes]) -> _Request:
    target = write_target(operation)
    body = None if message is None else pack(operation.action, message)
    media_type = None if body is None else media_type_of(body)
    return _Request(operation, message, target, write_path(target), body, media_type)


def _describe_call(endpoint: Endpoint, operation: Operation) -> Called:
    def judge(response: asyncio.Future[Response]) -> tuple[str, bool]:
        outcome = _read_response(endpoint, operation, response)
        return outcome.verdict, outcome.verdict in ANSWERS

    action = operation.action
    notes = {
        "signalr.endpoint": endpoint.name,
        "signalr.hub": operation.hub.lower(),
        "signalr.action": action.name.lower(),
    }
    return Called(f"{endpoint.base_path}/api/hubs/{{hub}}{action.path}", "service", notes, judge)


def _read_response(endpoint: Endpoint, operation: Operation, response: asyncio.Future[Response]) -> Outcome:
    """The outcome of a call that has ended."""
    try:
        found = response.result()
    except PoolExhausted:
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNREACHABLE, None, Code.OVERLOADED)
    except NotSent:
        return _outcome(endpoint, Verdict.UNREACHABLE)
    except CallFailed as error:
        return _read_failure(endpoint, operation, error)
    outcome = read_answer(endpoint, operation, found.status, found.headers)
    if operation.action.has_answer and outcome.verdict is Verdict.ACCEPTED:
        return replace(outcome, answer=read_content(operation.action, outcome, found.body))
    return outcome


def _read_failure(endpoint: Endpoint, operation: Operation, error: CallFailed) -> Outcome:
    """The outcome of a call whose answer did not come to its end. A head that says no is enough."""
    if error.response is not None:
        outcome = read_answer(endpoint, operation, error.response.status, error.response.headers)
        if outcome.verdict is not Verdict.ACCEPTED:
            return outcome
    return _outcome(endpoint, Verdict.UNKNOWN)


def read_answer(endpoint: Endpoint, operation: Operation, status: int, headers: Mapping[str, str]) -> Outcome:
    """The outcome of an HTTP answer, before its body is read.

    Source: ``docs/protocol/rest-and-management.md`` 5.3 and 10.3.
    """
    if 200 <= status < 300:
        return plain_outcome(endpoint.name, endpoint.endpoint_type, Verdict.ACCEPTED)
    code = headers.get(ERROR_CODE_HEADER, "").strip().lower()
    if operation.action is Action.INVOKE and code == CLIENT_ERROR_CODE.lower():
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.ACCEPTED, status, Code.CLIENT_ERROR)
    if status == 404:
        if code in ABSENT_CODES:
            return _outcome(endpoint, Verdict.ABSENT)
        misrouted = _rejected(endpoint, status, Code.ENDPOINT_MISROUTED)
        return misrouted if code else _read_bare_404(endpoint, operation, headers)
    if status in {401, 403}:
        return _rejected(endpoint, status, Code.DENIED)
    if status in {429, 503}:
        return _rejected(endpoint, status, Code.THROTTLED, read_retry_after(headers))
    if status >= 500 and not operation.action.may_repeat:
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNKNOWN, status)
    return _rejected(endpoint, status, None)


def _read_bare_404(endpoint: Endpoint, operation: Operation, headers: Mapping[str, str]) -> Outcome:
    """The outcome of a 404 without an error code.

    Microsoft's emulator up to 1.1.0 says so, in its own words, that something is not there. Of an operation that it
    does not have it says nothing at all, as does whatever stands at a wrong address. That is never an absence.

    Source: ``docs/protocol/service-emulation.md`` 1.2 and 1.4.
    """
    action = operation.action
    if action.api_version != API_VERSION:
        return _rejected(endpoint, 404, Code.ENDPOINT_MISROUTED, why=_NOT_OFFERED)
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if action.is_message or media_type != MEDIA_TYPE:
        return _rejected(endpoint, 404, Code.ENDPOINT_MISROUTED)
    if endpoint.lenient_404:
        return _outcome(endpoint, Verdict.ABSENT)
    advice = f"set {PREFIX}ENDPOINTS__{endpoint.name.upper()}__LENIENT_404=true"
    return _rejected(endpoint, 404, Code.ENDPOINT_MISROUTED, why=f"{_OLD_EMULATOR}: {advice}")


def read_content(action: Action, outcome: Outcome, body: bytes) -> ClientAnswer | MemberPage | None:
    """The client's answer or the page of members in the body of an accepted answer. None when it cannot be read."""
    try:
        if action is Action.LIST_MEMBERS:
            return read_member_page(body)
        if outcome.code is Code.CLIENT_ERROR:
            return ClientAnswer(error=read_client_error(body))
        return ClientAnswer(read_result(body))
    except MalformedMessage:
        return None


def _without_credential(endpoint: Endpoint, failure: CredentialFailure) -> Outcome:
    return Outcome(
        endpoint.name, endpoint.endpoint_type, Verdict.UNREACHABLE, None, Code.NO_CREDENTIAL, why=failure.reason
    )


def _outcome(endpoint: Endpoint, verdict: Verdict) -> Outcome:
    return plain_outcome(endpoint.name, endpoint.endpoint_type, verdict)


def _rejected(
    endpoint: Endpoint, status: int, code: Code | None, retry_after: float | None = None, why: str | None = None
) -> Outcome:
    return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.REJECTED, status, code, retry_after, why=why)
