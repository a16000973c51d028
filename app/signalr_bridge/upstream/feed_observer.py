"""The feed's ear: it puts negotiations, and what was sent, into the feed as the observer is told of them."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from signalr_bridge.protocol.rest import Action, ClientAnswer, Message, Operation
from signalr_bridge.upstream.event_feed import EventFeed, Kind, Stamp
from signalr_bridge.upstream.values import cut, preview_json
from signalr_bridge.web.observer import Observer, ResultLike
from signalr_bridge.web.trace import NOTE

_SEND, _ADD, _REMOVE, _REMOVE_ALL, _CLOSE = "send", "add", "remove", "removeAll", "close"
ACTIONS = {
    Action.SEND_TO_ALL: _SEND,
    Action.SEND_TO_USER: _SEND,
    Action.SEND_TO_GROUP: _SEND,
    Action.SEND_TO_CONNECTION: _SEND,
    Action.ADD_CONNECTION: _ADD,
    Action.ADD_USER: _ADD,
    Action.REMOVE_CONNECTION: _REMOVE,
    Action.REMOVE_USER: _REMOVE,
    Action.REMOVE_CONNECTION_FROM_ALL: _REMOVE_ALL,
    Action.REMOVE_USER_FROM_ALL: _REMOVE_ALL,
    Action.CLOSE_ALL: _CLOSE,
    Action.CLOSE_USER: _CLOSE,
    Action.CLOSE_GROUP: _CLOSE,
    Action.CLOSE_CONNECTION: _CLOSE,
    Action.INVOKE: "invoke",
}
"""The words for actions, which are those of the output binding. A question has none, because it sends nothing."""


@dataclass(frozen=True, slots=True)
class NegotiateRecord:
    """A request to negotiate. It holds no token, no query and no claims."""

    kind: ClassVar = Kind.NEGOTIATE
    size: ClassVar = 0

    hub: str
    by: str
    user_id: str | None
    endpoint: str | None
    status: int
    code: str | None

    def describe(self, stamp: Stamp) -> bytes:
        """The event as one line of JSON."""
        user_id = None if self.user_id is None else cut(self.user_id)
        more = {"by": cut(self.by), "userId": user_id, "endpoint": self.endpoint}
        return stamp.write(self.kind, self.hub, self.status, self.code, more)


@dataclass(frozen=True, slots=True)
class SendRecord:
    """What was sent, and where it arrived. ``by`` is None where nobody has noted who acts."""

    kind: ClassVar = Kind.SEND

    by: str | None
    operation: Operation
    message: Message | None = field(repr=False)
    result: ResultLike
    status: int
    code: str | None
    answer: ClientAnswer | None = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes it keeps."""
        answered = b"" if self.answer is None or self.answer.result is None else bytes(self.answer.result)
        return len(answered) + (0 if self.message is None else len(self.message.arguments))

    def describe(self, stamp: Stamp) -> bytes:
        """The event as one line of JSON."""
        operation, result = self.operation, self.result.as_json()
        more = {
            "by": None if self.by is None else cut(self.by),
            "action": ACTIONS[operation.action],
            "target": None if self.message is None else cut(self.message.target),
            "to": {name: cut(value) for name, value in find_target(operation).items()} or None,
            "arguments": None if self.message is None else preview_json(self.message.arguments),
            "result": result["status"],
            "endpoints": result.get("endpoints", []),
            **({} if operation.reason is None else {"reason": cut(operation.reason)}),
            **({} if self.answer is None else {"answer": _describe_answer(self.answer)}),
        }
        return stamp.write(self.kind, operation.hub, self.status, self.code, more)


def find_target(operation: Operation) -> dict[str, str]:
    """Whom it concerns, by ``userId``, ``groupName`` and ``connectionId``. It is empty for everybody."""
    named = {"userId": operation.user, "groupName": operation.group, "connectionId": operation.connection}
    return {name: value for name, value in named.items() if value}


def _describe_answer(answer: ClientAnswer) -> dict[str, Any]:
    if answer.error is not None:
        return {"error": cut(answer.error)}
    return {"result": None if answer.result is None else preview_json(answer.result)}


class FeedObserver(Observer):
    """Puts negotiations, and what was sent, into the feed. The methods are those of ``Observer``."""

    def __init__(self, events: EventFeed) -> None:
        self._events = events

    def negotiation_ended(
        self,
        *,
        hub: str,
        by: str,
        user_id: str | None,
        endpoint: str | None,
        status: int,
        code: str | None,
        seconds: float,
    ) -> None:
        self._events.put(NegotiateRecord(hub, by, user_id, endpoint, status, code), seconds)

    def item_ended(
        self,
        *,
        operation: Operation,
        message: Message | None,
        result: ResultLike,
        status: int,
        code: str | None,
        answer: ClientAnswer | None,
        seconds: float,
    ) -> None:
        if operation.action in ACTIONS:
            note = NOTE.get()
            by = None if note is None else note.by or None
            self._events.put(SendRecord(by, operation, message, result, status, code, answer), seconds)
