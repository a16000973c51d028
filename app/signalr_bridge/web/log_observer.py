"""The observer that writes the log: a line for each request, upstream call and send, and other lines seldom."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.runtime import WallClock
from signalr_bridge.web.log_lines import (
    MOST_CHARACTERS,
    AccessLine,
    UpstreamLine,
    write_line,
)
from signalr_bridge.web.log_users import NameUser, abbreviate_users
from signalr_bridge.web.logs import name_span
from signalr_bridge.web.observer import Observer, ResultLike
from signalr_bridge.web.trace import NO_TRACE, TRACE, Trace

_LONGEST_PATH = 2048
"""In characters, of a path in a line of the log."""

_PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})
"""What machines ask every few seconds: probes of health, and scrapes of metrics. It has no lines."""

_SETTINGS = "settings"
"""Who changes settings, for the audit: their sources do not say which person wrote them."""

_UNWANTED = object()
"""Stands for an upstream call whose line is below the level of its logger."""


_MOST_TEXTS = 64
_TEXTS: dict[int, tuple[ResultLike, str]] = {}
"""By the identity of the result, which is kept so that no other object gets its identity."""

_REJECTED = "rejected"
"""The result of a call that was refused before any handler, as the feed has it."""

_MISROUTED = "endpoint-misrouted"
_NO_INSTANCE = "it answers 404, and not in the service's words: check its address"


class _Sent:
    """What the endpoints said to what was sent for one request. Most requests send once."""

    __slots__ = ("_counts", "_first")

    def __init__(self, result: ResultLike) -> None:
        self._first = result
        self._counts: dict[tuple[str, str], int] | None = None

    def add(self, result: ResultLike) -> None:
        """Count what was said to one more."""
        if self._counts is None:
            self._counts = {}
            self._count(self._first, self._counts)
        self._count(result, self._counts)

    def write(self) -> str:
        """Such as ``east accepted, west unreachable 2 times``. Without endpoints it is the result in one word."""
        if self._counts is None:
            return _write_result(self._first)
        said = self._counts.items()
        return ", ".join(
            [f"{name} {verdict}" if n == 1 else f"{name} {verdict} {n} times" for (name, verdict), n in said]
        )

    @staticmethod
    def _count(result: ResultLike, counts: dict[tuple[str, str], int]) -> None:
        for one in result.outcomes:
            said = (one.name, one.verdict)
            counts[said] = counts.get(said, 0) + 1


def _write_result(result: ResultLike) -> str:
    """A registry gives the same object each time all of its endpoints accept, so its text is kept."""
    known = _TEXTS.get(id(result))
    if known is None:
        if len(_TEXTS) >= _MOST_TEXTS:
            _TEXTS.clear()
        text = ", ".join([f"{one.name} {one.verdict}" for one in result.outcomes]) or str(result.status)
        known = _TEXTS[id(result)] = result, text
    return known[1]


def _write_sent(sent: object) -> str | msgspec.UnsetType:
    """What is written of ``Trace.sent``."""
    return sent.write() if isinstance(sent, _Sent) else msgspec.UNSET


class LogObserver(Observer):
    """Writes the facts that people look for in a log. It leaves out facts that are counted rather than read.

    The methods are those of ``Observer``.

    Args:
        wall_clock: The time of a request's line, which does not always come by way of ``logging``.
        name_user: Makes of a user id what stands for it in a line. None abbreviates by a key of this observer's own.
    """

    def __init__(self, wall_clock: WallClock = time.time, name_user: NameUser | None = None) -> None:
        self._wall_clock, self._name_user = wall_clock, name_user or abbreviate_users(None)
        self._access = logging.getLogger("signalr_bridge.access")
        self._upstream = logging.getLogger("signalr_bridge.upstream")
        self._sends = logging.getLogger("signalr_bridge.sends")
        self._endpoints = logging.getLogger("signalr_bridge.endpoints")
        self._tokens = logging.getLogger("signalr_bridge.tokens")
        self._credentials = logging.getLogger("signalr_bridge.credentials")
        self._settings = logging.getLogger("signalr_bridge.settings")
        self._misrouted: set[str] = set()
        self._audit = logging.getLogger("signalr_bridge.audit")

    def audited(self, *, who: str, what: str, result: str) -> None:
        """Somebody has done, or was refused, what people want to know of long after. Nothing in it is secret."""
        self._audit.info("audit", extra={"who": who, "what": what, "result": result})

    def request_ended(
        self, *, method: str, path: str, route: str, status: int, seconds: float, caller: str | None, request_id: str
    ) -> None:
        trace = TRACE.get()
        event, sent, milliseconds = trace.event, trace.sent, round(seconds * 1000, 2)
        if trace is not NO_TRACE:
            trace.is_told, trace.event, trace.sent = True, None, None
        if event is not None:
            if isinstance(event, UpstreamLine):
                event.status, event.request_id = status, request_id
                self._write_call(event, sent, milliseconds)
            return
        if path in _PROBES or not self._access.isEnabledFor(logging.INFO):
            return
        line = AccessLine(
            method=method,
            path=path[:_LONGEST_PATH],
            status=status,
            request_id=request_id,
            caller=msgspec.UNSET if caller is None else caller,
            outcomes=_write_sent(sent),
            **name_span(),
            milliseconds=milliseconds,
            timestamp=datetime.fromtimestamp(self._wall_clock(), UTC),
        )
        if write_line(self._access, line):
            return
        extra = {"method": line.method, "path": line.path, "status": status, "request_id": request_id}
        extra |= {} if caller is None else {"caller": caller}
        extra |= {} if line.outcomes is msgspec.UNSET else {"outcomes": line.outcomes}
        extra |= {"milliseconds": milliseconds}
        self._access.info(line.message, extra=extra)

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
        self._keep_call(hub, category, event, connection_id, user_id, handler, result, endpoint, None, seconds)

    def event_refused(
        self, *, reason: str, hub: str, category: str, event: str, connection_id: str, user_id: str, seconds: float
    ) -> None:
        self._keep_call(hub, category, event, connection_id, user_id, "", _REJECTED, None, reason, seconds)

    def _keep_call(
        self,
        hub: str,
        category: str,
        event: str,
        connection_id: str,
        user_id: str,
        handler: str,
        result: str,
        endpoint: str | None,
        reason: str | None,
        seconds: float,
    ) -> None:
        """Keeps the line of a call until its request has ended. A call without a request has its line at once."""
        trace = TRACE.get()
        if not self._upstream.isEnabledFor(logging.INFO):
            if trace is not NO_TRACE:
                trace.event = _UNWANTED
            return
        line = UpstreamLine(
            hub=hub[:MOST_CHARACTERS],
            category=category[:MOST_CHARACTERS],
            event=event[:MOST_CHARACTERS],
            connection=connection_id[:MOST_CHARACTERS],
            user=self._name_user(user_id) if user_id else None,
            handler=handler or None,
            result=result,
            reason=msgspec.UNSET if reason is None else reason,
            endpoint=msgspec.UNSET if endpoint is None else endpoint,
        )
        if trace is NO_TRACE:
            self._write_call(line, None, round(seconds * 1000, 2))
        else:
            trace.event = line

    def _write_call(self, line: UpstreamLine, sent: object, milliseconds: float) -> None:
        line.outcomes, line.milliseconds = _write_sent(sent), milliseconds
        if span := name_span():
            line.trace_id, line.span_id = span["trace_id"], span["span_id"]
        line.timestamp = datetime.fromtimestamp(self._wall_clock(), UTC)
        if write_line(self._upstream, line):
            return
        extra: dict[str, object] = {
            "hub": line.hub,
            "category": line.category,
            "event": line.event,
            "connection": line.connection,
            "user": line.user,
            "handler": line.handler,
            "result": line.result,
        }
        extra |= {} if line.reason is msgspec.UNSET else {"reason": line.reason}
        extra |= {} if line.endpoint is msgspec.UNSET else {"endpoint": line.endpoint}
        extra |= {} if line.outcomes is msgspec.UNSET else {"outcomes": line.outcomes}
        extra |= {} if line.status is msgspec.UNSET else {"status": line.status}
        extra |= {} if line.request_id is msgspec.UNSET else {"request_id": line.request_id}
        extra |= {"milliseconds": milliseconds}
        self._upstream.info(line.message, extra=extra)

    def send_ended(self, *, operation: Operation, result: ResultLike) -> None:
        trace = TRACE.get()
        if trace is NO_TRACE or trace.is_told:
            self._tell_send(operation, result, trace)
            return
        if isinstance(trace.sent, _Sent):
            trace.sent.add(result)
        else:
            trace.sent = _Sent(result)

    def _tell_send(self, operation: Operation, result: ResultLike, trace: Trace) -> None:
        """Writes the line of what was sent outside of a request, or after its end."""
        if not self._sends.isEnabledFor(logging.INFO):
            return
        extra = {"hub": operation.hub, "operation": operation.action.name, "outcomes": _Sent(result).write()}
        extra |= {"request_id": trace.request_id} if trace.request_id else {}
        self._sends.info("sent", extra=extra)

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
        self._note_credential(endpoint, reason, has_credential)

    def probe_ended(
        self, *, endpoint: str, outcome: str, code: str | None, reason: str | None, has_credential: bool
    ) -> None:
        self._note_credential(endpoint, reason, has_credential)
        if code != _MISROUTED:
            self._misrouted.discard(endpoint)
        elif endpoint not in self._misrouted:  # once, for it stays so until somebody does something
            self._misrouted.add(endpoint)
            extra = {"endpoint": endpoint, "reason": reason or _NO_INSTANCE}
            self._endpoints.warning("endpoint is misrouted and gets no clients", extra=extra)

    def _note_credential(self, endpoint: str, reason: str | None, has_credential: bool) -> None:
        if not has_credential:
            self._endpoints.info("no credential", extra={"endpoint": endpoint, "reason": reason})

    def connections_closed(self, *, who: str, what: str, hub: str, result: str, request_id: str) -> None:
        extra = {"who": who, "what": what, "result": result, "hub": hub, "request_id": request_id}
        self._audit.info("audit", extra=extra)

    def key_fetch_failed(self, *, issuer: str, error: str, seconds: float) -> None:
        extra = {"issuer": issuer, "error": error}
        self._tokens.warning("the token issuer's keys could not be fetched", extra=extra)

    def credential_refreshed(self, *, credential: str, failures: int) -> None:
        if failures:
            self._credentials.info("credential is back", extra={"credential": credential})

    def credential_failed(self, *, credential: str, reason: str, failures: int, is_news: bool) -> None:
        if is_news:
            self._credentials.warning("no credential", extra={"credential": credential, "reason": reason})

    def settings_changed(self, *, changes: Sequence[str]) -> None:
        self._settings.info("settings changed", extra={"changes": "; ".join(changes)})
        self.audited(who=_SETTINGS, what="; ".join(changes), result="taken")

    def settings_waiting(self, *, settings: Sequence[str]) -> None:
        extra = {"settings": ", ".join(settings)}
        self._settings.warning("settings changed that wait for a restart", extra=extra)
        self.audited(who=_SETTINGS, what=f"{', '.join(settings)} changed", result="refused until a restart")

    def settings_opening(self, *, openings: Sequence[str]) -> None:
        extra = {"settings": "; ".join(openings)}
        self._settings.warning("settings refused that would open something, they wait for a restart", extra=extra)
        self.audited(who=_SETTINGS, what="; ".join(openings), result="refused until a restart")

    def settings_refused(self, *, reason: str) -> None:
        self._settings.error("settings refused, the old ones stay", extra={"reason": reason})
        self.audited(who=_SETTINGS, what=reason, result="refused")
