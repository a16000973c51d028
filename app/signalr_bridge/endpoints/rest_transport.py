"""The transport over the service's REST API: it packs messages, signs calls and reads answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from signalr_bridge.endpoints.endpoint import LARGEST_MESSAGE, Code, Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.refreshing import CredentialFailure, explain_failure
from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol.payload import write_packed
from signalr_bridge.protocol.rest import (
    ABSENT_CODES,
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
from signalr_bridge.web.trace import trace_headers
from signalr_bridge.wire.client import CallFailed, Client, ClientOptions, NotSent, read_retry_after

LARGEST_ANSWER = 16 * 1024 * 1024
"""The most bytes of an answer that are read."""

_OPTIONS = ClientOptions(idle_seconds=30, dns_seconds=30)


class RestTransport:
    """Calls the service by one HTTP client, which is opened and closed with the application.

    With ``messagepack``, messages go out finished for clients of JSON and of MessagePack, and not as JSON alone.
    """

    def __init__(self, *, messagepack: bool = False) -> None:
        self._write = write_packed if messagepack else write_message
        self._client = Client(_OPTIONS)

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

    async def perform(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Outcome:
        """The outcome of one attempt of at most ``seconds``. Raises ``MalformedJson`` for an unpackable message."""
        body = None if message is None else self._pack(operation.action, message)
        target = write_target(operation)
        try:
            async with asyncio.timeout(seconds):
                token = await endpoint.credential.rest_token(endpoint.server_url + write_path(target))
        except Exception as error:  # whatever a credential's library raises: its text may hold a secret
            return _without_credential(endpoint, explain_failure(error))
        headers = {"Authorization": f"Bearer {token}"} | trace_headers()
        if body is not None:
            headers["Content-Type"] = media_type_of(body)
        try:
            return await self._request(endpoint, operation, target, headers, body, seconds)
        except NotSent:
            return _outcome(endpoint, Verdict.UNREACHABLE)
        except CallFailed:
            return _outcome(endpoint, Verdict.UNKNOWN)

    def _pack(self, action: Action, message: Message) -> bytes:
        """The body of a call. An invocation goes out as JSON alone, because the service knows no other form of it."""
        return message.written(self._write if action.is_message else write_message)

    async def _request(
        self,
        endpoint: Endpoint,
        operation: Operation,
        target: str,
        headers: dict[str, str],
        body: bytes | None,
        seconds: float,
    ) -> Outcome:
        assert self._client.is_open, "the transport is used before the application has started"
        url, action = endpoint.server_url + target, operation.action
        largest = LARGEST_ANSWER if action.has_answer else None
        response = await self._client.request(
            action.method, url, headers=headers, body=body, seconds=seconds, largest=largest
        )
        outcome = read_answer(endpoint, operation, response.status, response.headers)
        if action.has_answer and outcome.verdict is Verdict.ACCEPTED:
            return replace(outcome, answer=read_content(action, outcome, response.body))
        return outcome


def read_answer(endpoint: Endpoint, operation: Operation, status: int, headers: Mapping[str, str]) -> Outcome:
    """The outcome of an HTTP answer, before its body is read.

    Source: ``docs/protocol/rest-and-management.md`` 5.3 and 10.3.
    """
    if 200 <= status < 300:
        return _outcome(endpoint, Verdict.ACCEPTED)
    code = headers.get(ERROR_CODE_HEADER, "").strip().lower()
    if operation.action is Action.INVOKE and code == CLIENT_ERROR_CODE.lower():
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.ACCEPTED, status, Code.CLIENT_ERROR)
    if status == 404:
        absent = code in ABSENT_CODES or (endpoint.lenient_404 and not operation.action.is_message)
        return _outcome(endpoint, Verdict.ABSENT) if absent else _rejected(endpoint, status, Code.ENDPOINT_MISROUTED)
    if status in {401, 403}:
        return _rejected(endpoint, status, Code.DENIED)
    if status in {429, 503}:
        return _rejected(endpoint, status, Code.THROTTLED, read_retry_after(headers.get("Retry-After", "")))
    if status >= 500 and not operation.action.may_repeat:
        return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.UNKNOWN, status)
    return _rejected(endpoint, status, None)


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
    return Outcome(endpoint.name, endpoint.endpoint_type, verdict)


def _rejected(endpoint: Endpoint, status: int, code: Code | None, retry_after: float | None = None) -> Outcome:
    return Outcome(endpoint.name, endpoint.endpoint_type, Verdict.REJECTED, status, code, retry_after)
