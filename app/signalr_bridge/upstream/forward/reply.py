"""What a backend's answer means, and the errors when there is none."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from signalr_bridge.errors import MalformedJson, Rejected
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.json_text import DuplicateMember
from signalr_bridge.upstream.dispatch import failure_text

LONGEST_DETAIL = 1024
"""How many characters of a backend's refusal reach the client."""

PROBLEM_JSON = "application/problem+json"
_REFUSALS = frozenset({400, 403, 409, 422})


class BackendFailed(Exception):
    """The backend gave no answer, or one that means a failure. The text says which, without what was sent."""


class NotSent(BackendFailed):
    """The backend certainly never got the request. It is ``wire.client.NotSent``, as a kind of ``BackendFailed``."""


class NoResponse(BackendFailed):
    """The backend may have got the request, and did not answer: ``wire.client.NoResponse``, or the time was over."""


class CircuitOpen(BackendFailed):
    """The backend was not called, because it did not answer several times in a row."""


class BackendUnavailable(BackendFailed):
    """The backend answered 429 or 5xx: it cannot do it just now. ``retry_after`` is in seconds."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP. The media type is in lower case and without parameters.

    ``retry_after`` is how many seconds the backend asks to wait.
    """

    status: int
    media_type: str = ""
    body: bytes = b""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class BackendVerdict:
    """What a backend that succeeded wants.

    Attributes:
        result: The result for the client.
        outputs: A JSON array of items, which are sent before the client gets its result. It is empty without items.
        logs: Lines for our log.
    """

    result: Payload = None
    outputs: bytes = b""
    logs: tuple[str, ...] = ()


def read_reply(reply: Reply, event: str) -> BackendVerdict:
    """What an answer in the formats ``json`` and ``cloudevents`` means.

    Args:
        reply: The backend's answer.
        event: The name of the event, for the text of a refusal without one.

    Raises:
        Rejected: The backend refused the event. The text is meant for the client.
        BackendFailed: The answer means a failure.
    """
    if reply.status == 204 or (reply.status == 200 and not reply.body):
        return BackendVerdict()
    if reply.status != 200:
        raise read_failure(reply, event)
    members = read_members(reply)
    outputs = members.get("outputs", b"null")
    if json_text.first_character(outputs) != b"[" and outputs != b"null":
        raise BackendFailed("The backend's outputs are no array.")
    return BackendVerdict(
        read_result(members.get("result")), join_outputs(json_text.elements(outputs)) if outputs != b"null" else b""
    )


def read_failure(reply: Reply, event: str) -> Rejected | BackendFailed:
    """What an answer other than success means: a refusal, or one of the failures."""
    if reply.status == 429 or reply.status >= 500:
        return BackendUnavailable(f"The backend answered {reply.status}.", reply.retry_after)
    if reply.status not in _REFUSALS or reply.media_type != PROBLEM_JSON:
        return BackendFailed(f"The backend answered {reply.status}.")
    detail = _read_detail(reply)
    return BackendFailed(_no_object(reply)) if detail is None else Rejected(detail or failure_text(event))


def read_members(reply: Reply) -> dict[str, bytes]:
    """The members of the answer's JSON object as JSON text, by their names in lower case. Raises ``BackendFailed``."""
    members: dict[str, bytes] = {}
    try:
        for name, value in json_text.members(reply.body).items():
            if members.setdefault(name.lower(), value) is not value:
                raise DuplicateMember(name)
    except (MalformedJson, DuplicateMember):
        raise BackendFailed(_no_object(reply)) from None
    return members


def read_result(text: bytes | None) -> Payload:
    """The result of an answer, which is passed on as it is written."""
    return None if text is None else msgspec.Raw(text)


def join_outputs(items: Iterable[bytes]) -> bytes:
    """A JSON array of the items, or an empty text when there are none."""
    joined = b",".join(items)
    return b"[" + joined + b"]" if joined else b""


def _read_detail(reply: Reply) -> str | None:
    try:
        problem = json_text.decode(reply.body)
    except MalformedJson:
        return None
    if not isinstance(problem, dict):
        return None
    detail = problem.get("detail")
    return detail[:LONGEST_DETAIL] if isinstance(detail, str) else ""


def _no_object(reply: Reply) -> str:
    return f"The backend answered {reply.status} with a body that is no JSON object."
