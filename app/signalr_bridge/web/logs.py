"""The form of the logs, which is one JSON object a line or text, and where the lines go."""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec
import structlog

from signalr_bridge.settings.log_levels import LOGGERS, read_log_levels
from signalr_bridge.tracing import TRACING
from signalr_bridge.web.line_writer import LineWriter, make_write
from signalr_bridge.web.standard_streams import QueuedStream
from signalr_bridge.web.trace import TRACE

_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""The attributes of every record. The others are the fields that were logged."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What ends a line, steers a terminal or turns the direction of writing. Clients can put it into names and texts."""

_BEYOND_ASCII = re.compile("[\x80-\x9f\u2028-\u202e\u2066-\u2069]")
"""Those of them that JSON leaves as they are."""

_LOG = logging.getLogger("signalr_bridge.log")


def configure_logs(levels: str, form: Literal["json", "text"] | None) -> LineWriter:
    """Send all logs of the process to standard error. Without ``form`` it is text on a terminal, else JSON.

    ``levels`` is a level, or levels by logger, as ``read_log_levels`` takes them.
    Returns what writes the lines, and counts those that it drops.
    """
    handler = _LineHandler(sys.stderr, _text_formatter() if is_text(form) else _JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name, level in {**dict.fromkeys(LOGGERS, "notset"), **read_log_levels(levels)}.items():
        logging.getLogger(f"signalr_bridge.{name}" if name else "signalr_bridge").setLevel(level.upper())
    _leave_out_what_is_not_shown()
    return handler.writer


def log_uncaught() -> None:
    """Make lines of the log of warnings, and of errors that nobody can catch: those in threads, and of finalizers."""
    logging.captureWarnings(True)
    threading.excepthook = _log_of_thread
    sys.unraisablehook = _log_unraisable


def _log_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        _LOG.error("error in a thread", exc_info=args.exc_value)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    _LOG.error("error that nobody can catch", exc_info=args.exc_value)


def is_text(form: Literal["json", "text"] | None) -> bool:
    """Whether the log is text for people. Without ``form`` it is so on a terminal."""
    return form == "text" or (form is None and _is_terminal(sys.stderr))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _leave_out_what_is_not_shown() -> None:
    """Save time, because every request writes a line.

    Source: https://docs.python.org/3/howto/logging.html#optimization.
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _LineHandler(logging.Handler):
    """Makes lines of records in the thread that logs, and leaves it to another thread to write them."""

    def __init__(self, stream: TextIO | None, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        if isinstance(stream, QueuedStream):  # what is printed there and the lines of the log stay in order
            self.writer = stream.writer
            self.writer.describe_dropped = self._describe_dropped
        else:
            self.writer = LineWriter(make_write(stream), self._describe_dropped)
        self._owns_writer = not isinstance(stream, QueuedStream)
        self.json_writer = self.writer if isinstance(formatter, _JsonLines) else None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.writer.put(self._make_line(record))
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """The defect of a call is a line, too. Python's own method writes to the stream, and may wait for it."""
        self.writer.put(traceback.format_exc().encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        if self._owns_writer:
            self.writer.close()
        super().close()

    def _make_line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "backslashreplace")

    def _describe_dropped(self, lines: int) -> bytes:
        """It is not logged, because it is to stand where the lines are missing."""
        message = "log lines dropped"
        record = _LOG.makeRecord(_LOG.name, logging.WARNING, "", 0, message, (), None, extra={"count": lines})
        return self._make_line(record)


class _JsonLines(logging.Formatter):
    """Writes a record as one JSON object. With structlog, the log was a third of what an event costs."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"message": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        fields |= {name: value for name, value in vars(record).items() if name not in _OF_RECORDS}
        fields |= name_span()
        fields["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _write_json(fields)


def name_span() -> dict[str, str]:
    """The trace and the span that a line belongs to. They are nowhere without a tracer, or outside of a request."""
    if TRACING.tracer is None or (span := TRACE.get().span) is None:
        return {}
    return {"trace_id": span.trace_id, "span_id": span.span_id}


def _add_span(_: object, name: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**fields, **name_span()}


def _write_json(fields: dict[str, Any]) -> str:
    try:
        return escape_json(msgspec.json.encode(fields, enc_hook=repr)).decode()
    except UnicodeEncodeError:  # half a character, perhaps in the text of an exception
        return json.dumps(fields, default=repr)


def escape_json(line: bytes) -> bytes:
    """The line with the controls escaped that JSON may hold as they are."""
    if line.isascii():
        return line
    return _BEYOND_ASCII.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()


def _show_controls(text: str) -> str:
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def _show_all_controls(_: object, name: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let nothing that was logged look like another line, or steer the terminal."""
    return {name: _show_controls(one) if isinstance(one, str) else one for name, one in fields.items()}


def _write_stack(stream: TextIO, error: structlog.typing.ExcInfo) -> None:
    """The stack, without local variables, which hold keys and tokens. No line of it begins as a line of the log."""
    for line in "".join(traceback.format_exception(*error)).splitlines():
        stream.write(f"\n    {_show_controls(line)}")


def _text_formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            # The message is called ``event`` so far. A field of ours has this name, too, and is added below.
            structlog.processors.EventRenamer("message"),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            _add_span,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _show_all_controls,
            structlog.dev.ConsoleRenderer(
                event_key="message",
                colors=_is_terminal(sys.stderr),
                exception_formatter=_write_stack,
            ),
        ],
    )


def find_json_writer(logger: logging.Logger) -> LineWriter | None:
    """What writes JSON lines, when records of this logger go there and nowhere else. A program may add handlers."""
    top = logger
    while not top.handlers and top.propagate and top.parent is not None:
        top = top.parent
    if len(top.handlers) != 1 or (top.propagate and top.parent is not None):
        return None
    handler = top.handlers[0]
    if logger.filters or handler.filters or not isinstance(handler, _LineHandler):
        return None
    return handler.json_writer


def count_dropped_lines() -> int:
    """How many lines of the process's log were dropped, because they found no room."""
    return sum(one.writer.dropped for one in logging.getLogger().handlers if isinstance(one, _LineHandler))
