"""How logs look: one JSON object a line, or text on a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import structlog

_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; the rest are the fields that were logged."""


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
    """Every request writes a line; source: https://docs.python.org/3/howto/logging.html#optimization."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _JsonLines(logging.Formatter):
    """Written here, and not by structlog: that made the log a third of what an event costs."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
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
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Not the default: it shows local variables, and so keys and tokens.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
    )
