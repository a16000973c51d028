"""One exchange over a bare socket: bytes are sent as they are, and everything that comes back is kept.

What differs from run to run is made the same by ``normalise``, and by nothing else.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

SECONDS = 20.0
"""How long one exchange may take. Nothing of it needs so long."""

_KEPT = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: kept\r\nConnection: close\r\n\r\n"
"""The request that only a connection that was kept answers."""

_DATE = re.compile(rb"(?<=\r\ndate: )[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)")
_ID = re.compile(rb"\r\nx-request-id: ([0-9a-f]{32})\r\n")
_BOUNDARY = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, and how its answer is read.

    Attributes:
        name: Tells the case from all others of its group.
        sent: The pieces in which it is sent. Each goes out when the one before was read by the server.
        answers: How many answers are awaited.
        after: ``kept`` asks whether the connection is open for another request, ``open`` does not, because the request
            is not complete, and ``stream`` reads the first chunk of an answer that does not end.
    """

    name: str
    sent: tuple[bytes, ...]
    answers: int = 1
    after: str = "kept"

    @property
    def methods(self) -> list[bytes]:
        """The method of each request, for its answer may have no body."""
        return re.findall(rb"(?:^|\n)([A-Za-z]+) [^\r\n]* HTTP/1\.[01]\r\n", b"".join(self.sent)) or [b""]


@dataclass(frozen=True, slots=True)
class Answered:
    """Each answer byte by byte, and what became of the connection: ``kept``, ``closed`` or ``open``."""

    answers: tuple[bytes, ...]
    after: str


async def exchange(port: int, case: Case) -> Answered:
    """Everything that the server on this port of loopback answers to the case. Raises ``TimeoutError``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        async with asyncio.timeout(SECONDS):
            return await _converse(reader, writer, case)
    finally:
        writer.transport.abort()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case) -> Answered:
    interim = await _send(reader, writer, case)
    if case.after == "stream":
        head = await reader.readuntil(_BOUNDARY)
        return Answered((head + await reader.readuntil(b"\n\n\r\n"),), "open")
    answers = [interim] if interim else []
    methods = case.methods
    for number in range(case.answers):
        answer = await read_answer(reader, methods[min(number, len(methods) - 1)])
        answers += [answer] if answer else []
        if not answer or _says_close(answer):
            return _end(answers, await _read_rest(reader))
    if case.after == "open":
        return Answered(tuple(answers), "open")
    with suppress(ConnectionError):
        writer.write(_KEPT)
        await writer.drain()
    return _end(answers, await _read_rest(reader))


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case) -> bytes:
    """Send all pieces. What the server answers to the first one, while it waits for the second, is the result."""
    interim = b""
    waits = b"100-continue" in case.sent[0].lower() and len(case.sent) > 1
    for number, piece in enumerate(case.sent):
        with suppress(ConnectionError):
            writer.write(piece)
            await writer.drain()
        if waits and number == 0:
            interim = await reader.readuntil(_BOUNDARY)
        elif number + 1 < len(case.sent):
            await asyncio.sleep(0.02)
    return interim


def _says_close(answer: bytes) -> bool:
    return b"\r\nconnection: close\r\n" in answer.partition(_BOUNDARY)[0].lower() + b"\r\n"


async def _read_rest(reader: asyncio.StreamReader) -> bytes:
    rest = b""
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            rest += piece
    return rest


def _end(answers: Sequence[bytes], rest: bytes) -> Answered:
    """What became of the connection, from all that came behind the answers."""
    before, found, _ = (
        rest.partition(b"HTTP/1.1 200 OK\r\n") if b"\r\nx-request-id: kept\r\n" in rest else (rest, b"", b"")
    )
    return Answered((*answers, before) if before else tuple(answers), "kept" if found else "closed")


async def read_answer(reader: asyncio.StreamReader, method: bytes) -> bytes:
    """One answer, head and body, or what came of it before the connection ended."""
    try:
        head = await reader.readuntil(_BOUNDARY)
        return head + await _read_body(reader, head.lower(), method)
    except asyncio.IncompleteReadError as error:
        return error.partial
    except ConnectionError:
        return b""


async def _read_body(reader: asyncio.StreamReader, head: bytes, method: bytes) -> bytes:
    status = int(head.split(b" ")[1])
    if method == b"HEAD" or status < 200 or status in {204, 304}:
        return b""
    if b"\r\ntransfer-encoding: chunked\r\n" in head:
        return await reader.readuntil(b"0\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
    return await _read_rest(reader) if length is None else await reader.readexactly(int(length[1]))


def normalise(answer: bytes, sent: bytes, ports: Mapping[int, int]) -> bytes:
    """The answer without what differs from run to run. Its length stays, so that the lengths in it stay true.

    The date becomes that of the epoch. An id that the bridge has given the request becomes zeros, here and in the
    body, but not one that stands in ``sent``. A port of this run becomes the number that stands for it.
    """
    answer = _DATE.sub(b"Thu, 01 Jan 1970 00:00:00 GMT", answer)
    for found in set(_ID.findall(answer)):
        answer = answer if found in sent else answer.replace(found, b"0" * len(found))
    for port, number in ports.items():
        answer = re.sub(rb"(?<=://)(127\.0\.0\.1|localhost):%d(?!\d)" % port, rb"\g<1>:%d" % number, answer)
    return answer
