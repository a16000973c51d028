"""Hosts and origins of requests: which are this machine's, and which of them a list allows.

Source: https://fetch.spec.whatwg.org/#origin-header says what a browser sends with the requests of a page.
"""

import ipaddress
import re
from collections.abc import Iterable

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,]+", re.IGNORECASE)
_OF_A_PAGE = re.compile(r"https?://([^\s/?#@,\\]+)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]{0,5})?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_loopback(host: str) -> bool:
    """Whether the value of a ``Host`` header names this machine: ``localhost``, ``127.0.0.0/8`` or ``[::1]``."""
    match = _HOST.fullmatch(host)
    return match is not None and is_loopback_name(match[1] or match[2].lower())


def is_loopback_name(name: str) -> bool:
    """The same for a name or an address alone, without brackets and port."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_loopback_origin(origin: str) -> bool:
    """Whether a page of this origin was served by this machine, at whatever port. ``null`` is nobody's origin."""
    match = _OF_A_PAGE.fullmatch(origin)
    return match is not None and is_loopback(match[1])


def is_origin(text: str) -> bool:
    """Whether the text is ``scheme://host[:port]``, or a pattern of such."""
    return _ORIGIN.fullmatch(text) is not None


def allows(origin: str, allowed: Iterable[str]) -> bool:
    """Whether a request's ``Origin`` is allowed. ``*`` in a pattern is one label. ``null`` is never allowed."""
    given = _normalise(origin)
    return given != "null" and any(_matches(_normalise(one), given) for one in allowed)


def _matches(pattern: str, origin: str) -> bool:
    if "*" not in pattern:
        return pattern == origin
    return re.fullmatch(r"[a-z0-9_-]+".join(map(re.escape, pattern.split("*"))), origin) is not None


def _normalise(origin: str) -> str:
    lowered = origin.lower()
    return lowered.removesuffix(_DEFAULT_PORTS.get(lowered.partition("://")[0], "/"))
