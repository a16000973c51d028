"""The interface by which the parts of the bridge tell a listener what happens."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from signalr_bridge.protocol.rest import Action, ClientAnswer, Message, Operation


class OutcomeLike(Protocol):
    """What one endpoint said."""

    @property
    def name(self) -> str:
        """The endpoint's name."""
        ...

    @property
    def verdict(self) -> str:
        """The outcome, such as ``accepted`` or ``unreachable``."""
        ...


class ResultLike(Protocol):
    """What became of an item over all endpoints."""

    @property
    def status(self) -> str:
        """It in one word."""
        ...

    @property
    def outcomes(self) -> Sequence[OutcomeLike]:
        """What each endpoint said. It is empty when none was asked."""
        ...

    def as_json(self) -> dict[str, Any]:
        """The result as it stands in answers."""
        ...


class Observer:
    """Hears of facts and does nothing about them. A listener overrides the methods whose facts it wants.

    Facts are keyword arguments, so that nothing is built for a listener that does not need it. A method must not raise
    and must not block, because requests wait for it. Durations are in seconds. No argument ever holds a secret.
    """

    def request_ended(
        self, *, method: str, path: str, route: str, status: int, seconds: float, caller: str | None, request_id: str
    ) -> None:
        """An HTTP request to us has been answered.

        Args:
            path: As it was sent, without the query.
            route: The template that the path was found by. It is empty when no route has the path.
            status: The status of the answer. 0 when no answer was begun.
            caller: The name of the backend that called. None when no caller was identified.
        """

    def request_shed(self, *, share: str, reason: str) -> None:
        """A request was turned away under load.

        Args:
            share: ``clients``, ``callers``, ``service``, or ``common`` for all others.
            reason: ``rate``, ``in-flight``, or ``bytes``.
        """

    def operation_ended(
        self,
        *,
        endpoint: str,
        hub: str,
        action: Action,
        outcome: str,
        code: str | None,
        reason: str | None,
        has_credential: bool,
        seconds: float,
    ) -> None:
        """An operation on one endpoint has ended, after all attempts, or because the endpoint is down and is not asked.

        Args:
            outcome: The verdict, such as ``accepted`` or ``unreachable``.
            code: What the verdict alone does not say, as a stable word.
            reason: The same in a few words, for people.
            has_credential: Whether there was a credential to call the endpoint with. Nothing is sent without one.
        """

    def operation_retried(
        self, *, endpoint: str, hub: str, action: Action, outcome: str, code: str | None, attempt: int, delay: float
    ) -> None:
        """An attempt has failed, and another one follows after ``delay`` seconds. ``attempt`` counts from 1."""

    def probe_ended(
        self, *, endpoint: str, outcome: str, code: str | None, reason: str | None, has_credential: bool
    ) -> None:
        """An endpoint has been asked how it is. The arguments are those of ``operation_ended``."""

    def event_ended(
        self,
        *,
        hub: str,
        category: str,
        event: str,
        registered_event: str | None,
        connection_id: str,
        user_id: str,
        handler: str,
        result: str,
        endpoint: str | None,
        handler_seconds: float | None,
        seconds: float,
    ) -> None:
        """An upstream call that was authenticated and in order has been answered.

        Args:
            hub: As the call names it. This text, ``category`` and ``event`` have not always been checked.
            registered_event: The event as the handlers spell it. None when no handler names it, because one takes all
                events, or none takes this one. Clients choose the case of ``event``, and may invent events.
            connection_id: The client's connection.
            user_id: The client's user in the clear. It is empty when the client has none.
            handler: The sources of the handlers that were asked, with commas. It is empty when none was.
            result: ``returned``, ``refused``, ``failed``, or ``unhandled`` when there is no handler, whatever the
                answer is then.
            endpoint: The name of the endpoint that called. None when that is not known.
            handler_seconds: How long the handlers took. None when none was asked.
        """

    def event_refused(
        self, *, reason: str, hub: str, category: str, event: str, connection_id: str, user_id: str, seconds: float
    ) -> None:
        """An upstream call was refused before any handler. The texts are as the call has them, and may be forged.

        Args:
            reason: ``code``, ``signature`` or ``entra`` when the call was not authenticated. ``routing`` when its
                headers do not say what it is about, and ``body`` when its body cannot be taken.
        """

    def message_limited(self, *, hub: str, event: str, answered: bool) -> None:
        """A client has sent more messages than it may, and this one has reached no handler.

        Args:
            hub: As the call names it.
            event: The method that the client called. It is a text of the client's.
            answered: Whether the client waits for an answer, which then says so.
        """

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
        """A request to negotiate has been answered. It is told only while somebody may watch.

        Args:
            hub: As the request names it, when it is not valid.
            by: The name of the caller, or ``client``.
            user_id: The user in the client's token. None when there is no token, or no user.
            endpoint: The name of the endpoint that the client was sent to. None when there is none.
            status: The status of the answer.
            code: The code of an answer that is a problem.
        """

    def send_ended(self, *, operation: Operation, result: ResultLike) -> None:
        """A message, a group action, a close, a call or a question has been sent, by a request, a handler or a program.

        It is told in the task that sends. What was skipped is not told.

        Args:
            operation: What was asked for.
            result: What each endpoint said.
        """

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
        """A message, a group action, a close or a call has been sent. It is told only while somebody may watch.

        Args:
            operation: What was asked for.
            message: What was sent, if something was.
            result: What each endpoint said.
            status: The status with which a request for this alone would be answered.
            code: The code of the problem that it would then be.
            answer: What a client that was called has returned.
        """

    def connections_closed(self, *, who: str, what: str, hub: str, result: str, request_id: str) -> None:
        """All connections of a user, a group or a hub have been closed, or should have been.

        Args:
            who: The name of the caller, the source of the handler, or ``program`` for code outside of an event.
            what: What was asked for, in a few words. It never holds a user.
            result: What became of it over all endpoints, as in answers, such as ``accepted``.
            request_id: The id of the request that led to it. Empty outside of a request.
        """

    def forward_retried(self, *, handler: str, hub: str, event: str, reason: str, attempt: int, delay: float) -> None:
        """A backend has not taken an event. It is posted again after ``delay`` seconds. ``attempt`` counts from 1."""

    def forward_attempted(self, *, handler: str, result: str) -> None:
        """An event was posted to a backend. ``result`` is ``done``, ``refused`` by it, or ``failed``."""

    def forward_given_up(self, *, handler: str) -> None:
        """An event is posted no more, and its backend may never have seen it."""

    def keys_fetched(self, *, issuer: str, seconds: float) -> None:
        """The keys of a token issuer have been fetched."""

    def key_fetch_failed(self, *, issuer: str, error: str, seconds: float) -> None:
        """The keys of a token issuer could not be fetched. ``error`` is the name of the exception's class."""

    def credential_refreshed(self, *, credential: str, failures: int) -> None:
        """A token or signing key of ours is new. ``failures`` is how many attempts in a row had failed before."""

    def credential_failed(self, *, credential: str, reason: str, failures: int, is_news: bool) -> None:
        """A token or signing key of ours could not be renewed.

        Args:
            failures: How many attempts in a row have failed by now.
            is_news: Whether the attempt before went well, or failed for another reason.
        """

    def settings_changed(self, *, changes: Sequence[str]) -> None:
        """New settings are in force. Each change is said in a few words, without values."""

    def settings_waiting(self, *, settings: Sequence[str]) -> None:
        """Settings of these names have changed, and take effect by a restart only."""

    def settings_opening(self, *, openings: Sequence[str]) -> None:
        """Changes are refused because something would open. Each is named in a few words, without values."""

    def settings_refused(self, *, reason: str) -> None:
        """New settings were refused whole. The old ones stay in force."""


SILENT = Observer()
"""The observer without a listener."""

_FACTS = [name for name in vars(Observer) if not name.startswith("_")]


def tell_all(listeners: Iterable[Observer]) -> Observer:
    """An observer that tells each of these. A fact that none or one of them wants costs no more than that one."""
    listeners, told = list(listeners), Observer()
    for name in _FACTS:
        unwanted = getattr(Observer, name)
        wanted = [getattr(one, name) for one in listeners if getattr(type(one), name) is not unwanted]
        if wanted:
            setattr(told, name, wanted[0] if len(wanted) == 1 else _tell_each(wanted))
    return told


def _tell_each(methods: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def tell(**facts: Any) -> None:
        for method in methods:
            method(**facts)

    return tell
