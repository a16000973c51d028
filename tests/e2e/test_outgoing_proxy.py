"""Identity and service behind a proxy, by certificates of a team's own authority: nothing is called past it."""

from pathlib import Path

import httpx
import trustme

from tests.azure.connect_proxy import led_by_a_proxy
from tests.azure.issuer import Issuer
from tests.azure.signalr import SignalR
from tests.azure.standin import running
from tests.e2e.processes import API_KEY, Process, app_command, eventually, free_port, wait_until_answered
from tests.unit.upstream.issued import TENANT

LOGIN, SERVICE = "login.contoso.example", "contoso.service.signalr.net"
SECRET = "canary-secret-of-an-application"


def test_identity_and_service_are_called_through_the_proxy(tmp_path: Path) -> None:
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with running(Issuer(authority, LOGIN)) as issuer, running(SignalR(issuer, authority, SERVICE)) as service:
        issuer.secrets["an-application"] = SECRET
        with led_by_a_proxy({LOGIN: issuer.port, SERVICE: service.port}) as proxy:
            settings = {
                **proxy.environment,
                "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
                "AZURE_AUTHORITY_HOST": f"https://{LOGIN}",
                "Azure__SignalR__Endpoints__east__serviceUri": f"https://{SERVICE}",
                "Azure__SignalR__Endpoints__east__tenantId": TENANT,
                "Azure__SignalR__Endpoints__east__clientId": "an-application",
                "Azure__SignalR__Endpoints__east__clientSecret": SECRET,
                "BRIDGE_CALLERS__KEYS": API_KEY,
                "BRIDGE_HOST": "127.0.0.1",
            }
            with Process("bridge", app_command("serve", "--port", str(port)), settings) as bridge:
                url = f"http://127.0.0.1:{port}"
                wait_until_answered(bridge, f"{url}/health/live")

                def ready() -> bool | None:
                    return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200 or None

                eventually(ready, "an endpoint that took the identity's token")
                message = {"target": "x", "arguments": []}
                sent = httpx.post(
                    f"{url}/hubs/chat/send", json=message, headers={"X-API-Key": API_KEY}, trust_env=False
                )
                assert sent.status_code == 202, sent.text
        assert set(proxy.asked) == {f"CONNECT {LOGIN}:443", f"CONNECT {SERVICE}:443"}
        assert "/api/hubs/chat/:send" in [one.partition("?")[0] for one in service.asked]
    assert SECRET not in bridge.output
