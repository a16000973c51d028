"""Which hosts the settings name, and which of them do not resolve."""

import logging
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from threading import Thread
from urllib.parse import urlsplit

from signalr_bridge.settings import Diagnostic, Settings
from signalr_bridge.settings.diagnosis import locate
from signalr_bridge.settings.names import write_name
from signalr_bridge.settings.rules import name_source
from signalr_bridge.settings.value import Values
from signalr_bridge.wire.proxies import Proxies

_LOG = logging.getLogger("signalr_bridge")


def list_hosts(settings: Settings, proxies: Proxies | None) -> dict[str, str]:
    """The hosts that the bridge itself has to look up, each with the first setting that names it.

    A proxy looks up the endpoints that are called through it. Backends are never called through one. An address needs
    no look-up.
    """
    urls = [(one.connection.server_endpoint or one.connection.endpoint, one) for one in settings.all_endpoints()]
    named = [(url, name_source(settings, endpoint)) for url, endpoint in urls if not _is_proxied(url, proxies)]
    named += [(one.url, write_name(("forward", name, "url"))) for name, one in settings.forward.items()]
    found: dict[str, str] = {}
    for url, setting in named:
        host = urlsplit(url).hostname or ""
        if not _is_address(host):
            found.setdefault(host, setting)
    return found


def _is_proxied(url: str, proxies: Proxies | None) -> bool:
    parts = urlsplit(url)
    return (
        parts.scheme == "https"
        and proxies is not None
        and proxies.find(parts.hostname or "", parts.port or 443) is not None
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host in {"", "localhost"}
    return True


def find_unknown_hosts(settings: Settings, values: Values, proxies: Proxies | None) -> Iterator[Diagnostic]:
    """An error for each host that does not resolve at this moment. It waits for each look-up."""
    for host, setting in list_hosts(settings, proxies).items():
        try:
            socket.getaddrinfo(host, None)
        except (OSError, UnicodeError):
            text = f"the host '{host}' does not resolve: write a name that this machine knows, or start that host."
            yield locate(Diagnostic.error(setting, text), values)


def watch_hosts(find: Callable[[], Iterator[Diagnostic]]) -> None:
    """Logs a warning for each diagnostic that ``find`` gives, and does not wait for it.

    A backend may be started after the bridge, as in compose and Kubernetes, so an unknown host is no reason to stop.
    A look-up cannot be cancelled and may take long, so it has a thread that the end of the process does not wait for.
    """

    def report() -> None:
        for one in find():
            _LOG.warning(str(one))

    Thread(target=report, name="hosts", daemon=True).start()
