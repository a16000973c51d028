"""What an endpoint can do to a request, from taking it to talking nonsense."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.contract.endpoints.programmable import Server, answer_of

Break = Callable[[Server], None]

ABSENT = answer_of(404, x_ms_error_code="Warning.Connection.NotExisted")


@dataclass(frozen=True, slots=True)
class Fault:
    """``words`` stand in the README. ``seen`` is how often a request that must not be repeated arrives, at most."""

    words: str
    cause: Break
    seen: int = 1
    again: bool = False
    """The endpoint certainly did nothing, so that even a message is sent again, up to its deadline."""
    hangs: bool = False
    offline: bool = False
    """Health knows that it is down."""


def _say(status: int, **headers: str) -> Break:
    return lambda server: server.say(status, **headers)


def _write(answer: bytes | None, *, close: bool = True, wait_for_body: bool = True) -> Break:
    def cause(server: Server) -> None:
        server.answer, server.close, server.wait_for_body = answer, close, wait_for_body

    return cause


def _answer_slowly(server: Server) -> None:
    server.delay = 0.05


FAULTS = (
    Fault("takes it", lambda server: None),
    Fault("takes it slowly", _answer_slowly),
    Fault("404 with x-ms-error-code", lambda server: setattr(server, "answer", ABSENT)),
    Fault("404 without it", _say(404)),
    Fault("400", _say(400)),
    Fault("401", _say(401)),
    Fault("413", _say(413)),
    Fault("429", _say(429), again=True),
    Fault("500", _say(500)),
    Fault("503", _say(503), again=True),
    Fault("refuses the connection", lambda server: server.refuse(), seen=0),
    Fault("hangs before it has read the body", _write(None, close=False, wait_for_body=False), hangs=True),
    Fault("hangs after that", _write(None, close=False), hangs=True),
    Fault("closes without an answer", _write(None)),
    Fault("breaks off in its answer", _write(b"HTTP/1.1 202 Acc")),
    Fault("answers garbage", _write(b"\x00\x01 no HTTP\r\n\r\n")),
    Fault("known to be down", lambda server: None, offline=True),
)
