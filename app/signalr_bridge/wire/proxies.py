"""The outgoing proxy, as the environment names it: which calls go through it."""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is asked by ``CONNECT``. ``repr`` does not show its credentials.

    Args:
        host: Its name or address, without brackets.
        port: Its port.
        authorization: The value of ``Proxy-Authorization``. It is empty for a proxy that asks for nothing.
    """

    host: str
    port: int
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy for https, and the hosts that are called without it.

    Args:
        https: The proxy.
        exempt: Names, suffixes and networks, as in ``NO_PROXY``.
    """

    https: Proxy
    exempt: tuple[str, ...] = ()

    def find(self, host: str, port: int) -> Proxy | None:
        """The proxy for an https origin. None when it is called directly, as this machine always is.

        ``host`` is without brackets.
        """
        host = host.lower().rstrip(".")
        if _is_loopback(host) or any(_matches(entry, host, port) for entry in self.exempt):
            return None
        return self.https


def read_proxies(environment: Mapping[str, str]) -> Proxies | None:
    """What ``HTTPS_PROXY`` and ``NO_PROXY`` say. None when there is no proxy. Names in lower case come first.

    ``NO_PROXY`` holds names, which are suffixes too, with a port or without, addresses, networks such as
    ``10.0.0.0/8``, or ``*`` for everything. Calls over plain http never go through a proxy.

    Raises ``ValueError`` for a proxy that cannot be used. The text does not hold its URL.
    """
    url = _find(environment, "https_proxy")
    if not url:
        return None
    exempt = (entry.strip().lower() for entry in _find(environment, "no_proxy").split(","))
    return Proxies(_read_proxy(url), tuple(entry for entry in exempt if entry))


def _find(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, environment.get(name.upper(), "")).strip()


def _read_proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = parts = None
    if parts is None or parts.scheme != "http" or not host:
        raise ValueError("HTTPS_PROXY is not a URL such as http://proxy.example:8080.") from None
    userinfo, found, _ = parts.netloc.rpartition("@")
    return Proxy(host, port or 80, write_basic(userinfo) if found else "")


def write_basic(userinfo: str) -> str:
    """The value of an authorization header for a name and password as they stand in a URL.

    Source: https://www.rfc-editor.org/rfc/rfc7617.html#section-2.
    """
    name, _, password = userinfo.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _is_loopback(host: str) -> bool:
    """Whether the host is this machine, which a proxy cannot reach. Source: RFC 6761, section 6.3, for the names."""
    if f".{host}".endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether an entry of ``NO_PROXY`` names the host."""
    if entry == "*":
        return True
    if "/" in entry:
        return _is_inside(entry, host)
    if _is_inside(entry.strip("[]"), host):  # an address without a port
        return True
    name, _, asked = entry.rpartition(":") if entry.rpartition(":")[2].isdigit() else (entry, "", "")
    if asked and int(asked) != port:
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".")
    return bool(name) and f".{host}".endswith(f".{name}")


def _is_inside(network: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
