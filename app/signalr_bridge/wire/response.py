"""What a call by HTTP brings: a response, or an error that says whether the request went out."""

from collections.abc import Iterator, Mapping

import msgspec


class ResponseHeaders(Mapping[str, str]):
    """The header lines of a response. A name is found in any case, and of repeated lines the first one is."""

    __slots__ = ("_lines",)

    def __init__(self, lines: list[tuple[bytes, bytes]]) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1", "replace")
        for found, value in self._lines:
            if found.lower() == wanted:
                return value.decode("latin-1").strip(" \t")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self._lines))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Response(msgspec.Struct, frozen=True, gc=False):
    """A response. ``repr`` shows neither header lines nor the body, which may hold a secret.

    Args:
        status: The HTTP status, from 200 on.
        lines: The header lines as they came. Trailers are not among them.
        body: The body. It is empty where it was not wanted.
    """

    status: int
    lines: list[tuple[bytes, bytes]]
    body: bytes = b""

    @property
    def headers(self) -> ResponseHeaders:
        """The header lines by their names."""
        return ResponseHeaders(self.lines)

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


class CallFailed(Exception):
    """A call got no response that can be used.

    The text is the kind of failure, in one word. It never holds the URL, which may hold a key.
    """

    response: Response | None = None
    """The head of the response, when it had come."""


class NotSent(CallFailed):
    """Nothing of the request went out. There was no such host, connection, TLS or valid URL, or not in time."""


class ConnectTimedOut(NotSent):
    """No connection could be made until the request's time was over."""


class PoolExhausted(NotSent):
    """All connections that may be open at once were busy until the request's time was over, or too many waited."""


class NoResponse(CallFailed):
    """The request may have been received. The connection broke, or the response did not come, or not all of it."""


class TimedOut(NoResponse):
    """The response did not come in time, after the request had been written."""


class BadResponse(CallFailed):
    """What came is not an HTTP response, or not one that is taken."""


class ResponseTooLarge(BadResponse):
    """The body has more bytes than its reader takes."""
