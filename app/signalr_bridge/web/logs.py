"""The form of the logs, which is one JSON object a line or text, and the observer that writes them."""

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import structlog

from signalr_bridge.protocol.rest import Action
from signalr_bridge.web.observer import Observer

_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""The attributes of every record. The others are the fields that were logged."""

_LONGEST_PATH = 2048
"""In characters, of a path in a line of the log."""


def configure_logs(level: str, form: Literal["json", "text"] | None) -> None:
    """Send all logs of the process to standard error. Without ``form`` it is text on a terminal, else JSON."""
    text = form == "text" or (form is None and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_text_formatter() if text else _JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("signalr_bridge").setLevel(level.upper())
    _leave_out_what_is_not_shown()


def _leave_out_what_is_not_shown() -> None:
    """Save time, because every request writes a line.

    Source: https://docs.python.org/3/howto/logging.html#optimization.
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _JsonLines(logging.Formatter):
    """Writes a record as one JSON object. With structlog, the log was a third of what an event costs."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"message": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        fields |= {name: value for name, value in vars(record).items() if name not in _OF_RECORDS}
        fields["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _write_json(fields)


def _write_json(fields: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(fields, enc_hook=repr).decode()
    except UnicodeEncodeError:  # half a character, perhaps in the text of an exception
        return json.dumps(fields, default=repr)


def _text_formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            # The message is called ``event`` so far. A field of ours has this name, too, and is added below.
            structlog.processors.EventRenamer("message"),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # The default would show local variables, and with them keys and tokens.
            structlog.dev.ConsoleRenderer(
                event_key="message",
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ],
    )


class LogObserver(Observer):
    """Writes the facts that people look for in a log. It leaves out facts that are counted rather than read.

    The methods are those of ``Observer``.
    """

    def __init__(self) -> None:
        self._access = logging.getLogger("signalr_bridge.access")
        self._endpoints = logging.getLogger("signalr_bridge.endpoints")
        self._tokens = logging.getLogger("signalr_bridge.tokens")
        self._credentials = logging.getLogger("signalr_bridge.credentials")
        self._settings = logging.getLogger("signalr_bridge.settings")

    def request_ended(
        self, *, method: str, path: str, status: int, seconds: float, caller: str | None, request_id: str
    ) -> None:
        if self._access.isEnabledFor(logging.INFO):
            extra = {"method": method, "path": path[:_LONGEST_PATH], "status": status, "request_id": request_id}
            extra |= {} if caller is None else {"caller": caller}
            extra |= {"milliseconds": round(seconds * 1000, 2)}
            self._access.info("request", extra=extra)

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

    def _note_credential(self, endpoint: str, reason: str | None, has_credential: bool) -> None:
        if not has_credential:
            self._endpoints.info("no credential", extra={"endpoint": endpoint, "reason": reason})

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

    def settings_waiting(self, *, settings: Sequence[str]) -> None:
        extra = {"settings": ", ".join(settings)}
        self._settings.warning("settings changed that wait for a restart", extra=extra)

    def settings_refused(self, *, reason: str) -> None:
        self._settings.error("settings refused, the old ones stay", extra={"reason": reason})
