"""What `serve` refuses about endpoints that identities open."""

from pathlib import Path

import pytest
from signalr_bridge.settings import judge_servable

from tests.unit.settings.given import loaded

CALLERS = {"BRIDGE_CALLERS__KEYS": "a-key-of-sixteen-characters"}
NAME = "AzureSignalRConnectionString"


def refusals(**settings: str) -> list[str]:
    return [str(one) for one in judge_servable(loaded(CALLERS | settings))]


@pytest.mark.parametrize(
    ("address", "server", "refused"),
    [
        ("https://x.example", None, False),
        ("http://localhost:8888", None, False),
        ("http://127.0.0.1:8888", None, False),
        ("http://127.0.0.2:8888", None, False),
        ("http://[::1]:8888", None, False),
        ("http://128.0.0.1:8888", None, True),
        ("http://x.example", None, True),
        ("http://localhost.x.example", None, True),
        ("https://x.example", "http://y.example", True),
        ("http://x.example", "https://y.example", False),
    ],
)
def test_a_token_goes_over_tls_alone(address: str, server: str | None, refused: bool) -> None:
    more = {} if server is None else {f"{NAME}__serverEndpoint": server}
    found = refusals(**{f"{NAME}__serviceUri": address}, **more)
    assert any("write https" in one for one in found) is refused


def test_an_access_key_signs_over_anything() -> None:
    assert refusals(**{NAME: "Endpoint=http://x.example;AccessKey=k;Version=1.0;"}) == []


def test_a_certificate_has_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "c.pem"
    below = {"serviceUri": "https://x.example", "tenantId": "t", "clientId": "c", "clientCertificate": str(file)}
    for prefix in (NAME, "Azure__SignalR__Endpoints__west"):
        file.unlink(missing_ok=True)
        settings = {f"{prefix}__{key}": text for key, text in below.items()}
        (found,) = refusals(**settings)
        assert found.startswith(f"{prefix}: clientCertificate")
        file.write_text("x")
        assert refusals(**settings) == []
