"""HAProxy and nginx before a bridge: real processes with settings as people write them, and no file of the system's."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.e2e.processes import Process, eventually, free_port, wait_until_answered
from tests.install import find

_HAPROXY = """\
defaults
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    option httpchk GET /health/ready
    http-check expect status 200
    default-server check inter {interval}

# Reads HTTP, and keeps connections of its own to the bridges.
listen http
    mode http
    bind 127.0.0.1:{http}
{servers}

# Passes connections on, as a Service of Kubernetes does: the client itself keeps its connection to a bridge.
listen tcp
    mode tcp
    bind 127.0.0.1:{tcp}
{servers}

listen statistics
    mode http
    bind 127.0.0.1:{statistics}
    stats enable
    stats uri /
"""

_NGINX = """\
daemon off;
master_process off;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 1h;  # of the clients' connections
{upstreams}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
{locations}
    }}
}}
"""


@dataclass(frozen=True)
class HAProxy:
    """A running HAProxy: the ports of its two ways to the same bridges, and of its statistics."""

    http: int
    tcp: int
    statistics: int

    def wait_until_up(self, port: int) -> None:
        """Returns once the bridge on this port has been found ready, by the checks of both ways."""
        eventually(lambda: self._states(port) == {"UP"} or None, f"HAProxy finds the bridge on port {port} ready")

    def _states(self, port: int) -> set[str]:
        """``UP`` and ``DOWN``, which may have the number of good or failed checks behind them."""
        text = httpx.get(f"http://127.0.0.1:{self.statistics}/;csv", trust_env=False).text
        return {row["status"] for row in csv.DictReader(text.splitlines()) if row["svname"] == name_server(port)}


def name_server(port: int) -> str:
    return f"bridge-{port}"


@contextmanager
def run_haproxy(folder: Path, bridges: list[int], interval: str) -> Iterator[HAProxy]:
    """Asks each bridge whether it is ready. Three times no takes it out, and two times yes brings it back."""
    proxy = HAProxy(free_port(), free_port(), free_port())
    servers = "\n".join(f"    server {name_server(port)} 127.0.0.1:{port}" for port in bridges)
    file = folder / "haproxy.cfg"
    file.write_text(
        _HAPROXY.format(interval=interval, servers=servers, http=proxy.http, tcp=proxy.tcp, statistics=proxy.statistics)
    )
    with Process("haproxy", [find("haproxy"), "-db", "-f", str(file)]) as process:
        wait_until_answered(process, f"http://127.0.0.1:{proxy.statistics}/")
        yield proxy


@contextmanager
def run_nginx(folder: Path, bridges: Sequence[int], lanes: Mapping[str, float]) -> Iterator[str]:
    """Its URL. Below ``/<lane>/`` the bridges are called over connections of this lane alone.

    It asks nobody for health. A bridge that refuses a connection is asked again for the next request, as without
    ``max_fails=0`` it would be left out for ten seconds, in which the other one may end.

    Args:
        folder: Where its files may be.
        bridges: The bridges' ports.
        lanes: For how many seconds each lane keeps a connection that nothing is asked on.
    """
    port, file = free_port(), folder / "nginx.conf"
    servers = " ".join(f"server 127.0.0.1:{bridge} max_fails=0;" for bridge in bridges)
    upstreams = (
        f"    upstream {lane} {{ {servers} keepalive 8; keepalive_timeout {seconds * 1000:.0f}ms; }}"
        for lane, seconds in lanes.items()
    )
    locations = (f"        location /{lane}/ {{ proxy_pass http://{lane}/; }}" for lane in lanes)
    file.write_text(
        _NGINX.format(folder=folder, port=port, upstreams="\n".join(upstreams), locations="\n".join(locations))
    )
    with Process("nginx", [find("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(file)]) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_answered(process, f"{url}/{next(iter(lanes))}/health/live")
        yield url
