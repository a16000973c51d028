"""The command ``tail``, which prints the events of a running bridge in columns as they come."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO, TypeAlias
from urllib.parse import urlsplit

import httpx

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.origin import is_loopback

Event = Mapping[str, Any]
"""An event as the bridge shows it, decoded from JSON."""

LONGEST_LINE = 1_048_576
"""The longest line in bytes, and the longest event in characters. The bridge cuts events far below that."""

_COLOURS = {"returned": "32", "refused": "33", "failed": "31", "rejected": "31"}
_KIND = {"kind": 9}
_WIDTHS = {"time": 12, "hub": 10, "event": 18, "user": 12, "client": 8, "took": 9, "code": 4}
_READ_SECONDS = 45.0  # the bridge sends something every 15 s
_LONGEST_PAUSE = 5.0
_ADVICE = {
    401: "The bridge wants another key: name it by --key or SIGNALR_BRIDGE_KEY.",
    403: "The bridge does not let this key, or this address, see events.",
    404: "The bridge shows no events: set BRIDGE_CONSOLE=true there, and check --url.",
}


async def watch(url: str, key: str | None, out: TextIO = sys.stdout, *, every_kind: bool = False) -> None:
    """Print the service's calls until it is interrupted. It reconnects when needed.

    Args:
        url: The address of the bridge.
        key: A caller's API key, if one is needed.
        out: Where to print. Only a terminal gets colours.
        every_kind: Whether to print negotiations and what is sent, too.

    Raises:
        SettingsError: The bridge refuses to show events, the address is malformed, or the disk is full.
    """
    line_of = _choose_form(out, every_kind)
    path = "/events?kind=upstream,negotiate,send" if every_kind else "/events"
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        try:
            _print(line_of(None), out)
            async for event in _follow(url.rstrip("/") + path, key):
                _show(event, line_of, out)
        except BrokenPipeError:  # `tail | head` has ended, and the interpreter must not flush into it at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _show(event: Event, line_of: Callable[[Event | None], str], out: TextIO) -> None:
    try:
        line = line_of(event)
    except Exception:  # whatever the event holds, later events are shown
        _leave_out()
    else:
        _print(line, out)


def _print(line: str, out: TextIO) -> None:
    try:
        print(line, file=out, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SettingsError(f"standard output takes nothing ({reason}).") from None


def _note(words: str) -> None:
    """Tell the user something that is not an event."""
    with suppress(OSError):
        print(words, file=sys.stderr, flush=True)


def _leave_out() -> None:
    _note("An event cannot be read, and is left out.")


def _choose_form(out: TextIO, every_kind: bool) -> Callable[[Event | None], str]:
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")  # clients may send characters that its encoding does not have
    if not out.isatty():
        return lambda event: write_line(event, every_kind=every_kind)
    colours = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return lambda event: write_line(event, shutil.get_terminal_size().columns, colours=colours, every_kind=every_kind)


async def _follow(url: str, key: str | None) -> AsyncIterator[Event]:
    headers = {"Accept": "text/event-stream"} | ({"X-API-Key": key} if key else {})
    last, pause = "", 0.25
    by_proxy = not is_loopback(urlsplit(url).netloc)
    timeout = httpx.Timeout(10, read=_READ_SECONDS)
    async with httpx.AsyncClient(timeout=timeout, headers=headers, trust_env=by_proxy) as client:
        while True:
            try:
                async with client.stream("GET", url, headers={"Last-Event-ID": last} if last else {}) as answer:
                    _check(answer.status_code)
                    pause = 0.25
                    async for id, event in read_events(read_lines(answer.aiter_bytes())):
                        last = id
                        yield event
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise SettingsError("--url is no address such as http://localhost:8080.") from None
            except httpx.TransportError:
                if pause == 0.25:
                    _note("The bridge does not answer; trying again.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _check(status: int) -> None:
    if status in _ADVICE:
        raise SettingsError(_ADVICE[status])
    if status != 200:
        raise httpx.TransportError(f"status {status}")


async def read_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """The lines of a stream, cut after ``LONGEST_LINE`` bytes. A last line without a line feed is dropped.

    httpx would also end lines at U+2028 and the like, which JSON does not escape, and which any client can send.
    """
    line = bytearray()
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line += end[: LONGEST_LINE - len(line)]
            yield line.removesuffix(b"\r").decode(errors="replace")
            line.clear()
        line += rest[: LONGEST_LINE - len(line)]


async def read_events(lines: AsyncIterable[str]) -> AsyncIterator[tuple[str, Event]]:
    """The ids and contents of server-sent events in the lines of a stream.

    An event that is not a JSON object is left out, with a line to stderr.
    """
    id, data = "", ""
    async for line in lines:
        name, _, value = line.partition(":")
        if name == "id":
            id = value.strip()
        elif name == "data":
            data += value[: LONGEST_LINE - len(data)]
        elif not line and data:
            event, data = _decode(data), ""
            if event is None:
                _leave_out()
            else:
                yield id, event


def _decode(data: str) -> Event | None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def write_line(
    event: Event | None, width: int | None = None, *, colours: bool = False, every_kind: bool = False
) -> str:
    """One event in columns, in at most ``width`` characters. None gives the line of headings.

    With ``every_kind`` there is a column for the kind.
    """
    widths = _KIND | _WIDTHS if every_kind else _WIDTHS
    if event is None:
        line = _align({name: name.upper() for name in widths}, f"{'BY' if every_kind else 'HANDLER'}  WHAT", widths)
        return _colour(line[:width], "1", colours)
    describe = _DESCRIBED.get(str(event.get("kind")), _describe_upstream)
    cells, who, what, colour = describe(event)
    cells = {
        "kind": event.get("kind"),
        "time": str(event.get("time", ""))[11:23],
        "hub": event.get("hub"),
        "took": f"{event.get('milliseconds', 0):.1f} ms",
        "code": event.get("status"),
    } | cells
    line = _align(cells, f"{_printable(who or '-')}  {what}", widths)
    shown = line if width is None or len(line) <= width else line[: width - 1] + "…"
    return _colour(shown, colour, colours)


Described: TypeAlias = tuple[dict[str, Any], str | None, str, str]
"""Of an event: the cells that are its kind's own, who acted, what happened, and the colour."""


def _describe_upstream(event: Event) -> Described:
    cells = {"event": event.get("event"), "user": event.get("userId") or "-", "client": event.get("connectionId")}
    return cells, event.get("handler"), _what(event), _COLOURS.get(str(event.get("outcome")), "")


def _describe_negotiate(event: Event) -> Described:
    cells = {"event": "negotiate", "user": event.get("userId") or "-", "client": "-"}
    code = event.get("code")
    what = f"! {code}" if code else f"-> {event.get('endpoint') or 'every endpoint'}"
    return cells, event.get("by"), _printable(what), _colour_of(event)


def _describe_send(event: Event) -> Described:
    to = event.get("to") or {}
    cells = {
        "event": event.get("target") or event.get("action"),
        "user": to.get("userId") or "-",
        "client": to.get("connectionId") or "-",
    }
    group = f"group {to['groupName']}" if "groupName" in to else "" if to else "everybody"
    given = _in_words(event["arguments"])[1:-1] if event.get("arguments") else ""
    arrived = ", ".join(map(_describe_outcome, event.get("endpoints", ()))) or event.get("result")
    words = (given, f"-> {group}:" if group else "->", arrived)
    return cells, event.get("by"), " ".join(_printable(str(one)) for one in words if one), _colour_of(event)


def _describe_outcome(outcome: Mapping[str, Any]) -> str:
    code = outcome.get("code") or outcome.get("statusCode")
    return f"{outcome.get('name')} {outcome.get('outcome')}" + (f" ({code})" if code else "")


def _colour_of(event: Event) -> str:
    """Green for what is done, yellow for what is done in part or refused, and red for what failed."""
    status = int(event.get("status") or 500)
    outcome = "returned" if status < 207 else "refused" if status < 500 else "failed"
    return _COLOURS[outcome]


_DESCRIBED = {"negotiate": _describe_negotiate, "send": _describe_send}


def _what(event: Event) -> str:
    """What the handler was given, and how it ended."""
    given = _in_words(event["arguments"])[1:-1] if "arguments" in event else event.get("reason") or ""
    match event.get("outcome"):
        case "returned":
            ending = f"-> {_in_words(event['result'])}" if "result" in event else ""
        case outcome:
            ending = f"! {outcome}: {event.get('error') or 'see the log'}"
    if "detail" in event:
        ending = f"{ending.removesuffix('.')}. {event['detail']}"
    return " ".join(_printable(part) for part in (given, ending) if part)


def _in_words(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _align(cells: Mapping[str, Any], rest: str, widths: Mapping[str, int]) -> str:
    columns = [_fit(_printable(str(cells[name])), width) for name, width in widths.items()]
    return "  ".join([*columns, rest]).rstrip()


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _printable(text: str) -> str:
    """The text without control characters. Clients choose names and texts, and must not control the terminal."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)


def _colour(line: str, code: str, wanted: bool) -> str:
    return f"\x1b[{code}m{line}\x1b[0m" if wanted and code else line
