"""The bridge behind an outgoing proxy: the service is called through it. A proxy that is no URL stops the start."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
from signalr_bridge.errors import SettingsError
from signalr_bridge.web.issuer_keys import openid_discovery
from signalr_bridge.wire import dialer

from tests.azure.issuer import Issuer
from tests.azure.standin import running
from tests.contract.bridge.running import AUTH, build, client
from tests.unit.wire.client_calls import Certificates
from tests.unit.wire.scripted_peer import Visit, scripted
from tests.unit.wire.test_client_proxy import Tunnel

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


async def accept(visit: Visit) -> None:
    with contextlib.suppress(EOFError):
        while True:
            await visit.answer(ACCEPTED)


@asynccontextmanager
async def service_and_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> AsyncIterator[tuple[str, Tunnel]]:
    """The URL of a service whose certificate is believed meanwhile, and the proxy that the environment names."""
    certificates = Certificates()
    with certificates.authority.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        dialer.default_tls.cache_clear()
        async with scripted(accept, certificates.server(host)) as service:
            tunnel = Tunnel(service.port)
            async with scripted(tunnel.script) as proxy:
                monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
                yield f"https://{host}:{service.port}", tunnel
    monkeypatch.undo()
    dialer.default_tls.cache_clear()


@pytest.mark.parametrize(
    ("host", "exempt", "through", "status"),
    [
        ("service.test", "fd00::/8,[::1]:8443", True, 202),
        ("service.test", ".test", False, 502),  # no name of this machine
        ("localhost", "", False, 202),
    ],
)
async def test_the_service_is_called_through_it(
    host: str, exempt: str, through: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service_and_proxy(monkeypatch, host) as (url, tunnel):
        monkeypatch.setenv("NO_PROXY", exempt)
        app = build(url)
        async with app.router.lifespan_context(app), client(app, **AUTH) as http:
            answer = await http.post("/hubs/chat/send", json={"target": "t"})
    assert answer.status_code == status
    asked = f"CONNECT {url.removeprefix('https://')} HTTP/1.1".encode()
    assert {head.split(b"\r\n")[0] for head in tunnel.heads} == ({asked} if through else set())


class NamedIssuer(Issuer):
    """An issuer that is known by the last name of its certificate."""

    @property
    def url(self) -> str:
        return f"https://{self.hosts[-1]}:{self.port}"


@pytest.mark.parametrize(
    ("host", "exempt", "through"),
    [("issuer.test", "fd00::/8,[::1]:8443,10.0.0.0/8", True), ("localhost", "", False)],
)
async def test_keys_of_an_issuer_are_fetched_by_the_same_rules(
    host: str, exempt: str, through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """httpx alone fails at such an entry, and each client with a token would be refused."""
    with running(NamedIssuer(trustme.CA(), host)) as issuer:
        tunnel = Tunnel(issuer.port)
        async with scripted(tunnel.script) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://us%40er:pass@127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", exempt)
            keys = await openid_discovery(issuer.discovery, issuer.certificates).fetch()
    assert keys
    said = {tuple(head.split(b"\r\n")[0].split()[:2]) for head in tunnel.heads}
    assert said == ({(b"CONNECT", f"{host}:{issuer.port}".encode())} if through else set())
    assert all(b"Proxy-Authorization: Basic dXNAZXI6cGFzcw==" in head for head in tunnel.heads)


def test_a_proxy_that_is_no_url_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "https://user:canary@proxy.example")
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        build("https://localhost:1")
    assert "canary" not in caught.value.detail
