"""How logs look: one JSON object a line, or text on a terminal."""

import logging
import sys
from typing import Any, Literal

import msgspec
import structlog
from structlog.typing import Processor

_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logs(level: str, form: Literal["json", "text"] | None) -> None:
    """Send all logs of the process to standard error. Without ``form`` it is text on a terminal, else JSON."""
    text = form == "text" or (form is None and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_text_formatter() if text else _json_formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("signalr_bridge").setLevel(level.upper())


def _json_formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.processors.format_exc_info],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_write_json),
        ],
    )


def _write_json(fields: Any, **_: Any) -> str:
    return msgspec.json.encode(fields, enc_hook=repr).decode()


def _text_formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Not the default: it shows local variables, and so keys and tokens.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
    )
