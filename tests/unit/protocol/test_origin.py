"""Which origins are allowed: exact ones, patterns of one label, and never null."""

import pytest
from signalr_bridge.protocol.origin import allows

ALLOWED = ["https://app.contoso.com", "https://*.fabrikam.com", "http://localhost:3000", "HTTPS://Upper.example:443"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.contoso.com",
        "https://APP.contoso.com",
        "https://app.contoso.com:443",
        "https://a.fabrikam.com",
        "https://a-b.fabrikam.com",
        "http://localhost:3000",
        "https://upper.example",
    ],
)
def test_allowed(origin: str) -> None:
    assert allows(origin, ALLOWED)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "NULL",
        "",
        "*",
        "http://app.contoso.com",
        "https://app.contoso.com:8443",
        "https://app.contoso.com/",
        "https://app.contoso.com.evil.example",
        "https://evil.example/https://app.contoso.com",
        "https://xapp.contoso.com",
        "https://fabrikam.com",
        "https://a.b.fabrikam.com",
        "https://.fabrikam.com",
        "https://evil.example#.fabrikam.com",
        "https://evil.example\n.fabrikam.com",
        "https://a:b@x.fabrikam.com",
        "https://afabrikam.com",
        "http://localhost",
        "http://localhost:30000",
        "https://app.contoso.com https://evil.example",
    ],
)
def test_not_allowed(origin: str) -> None:
    assert not allows(origin, ALLOWED)
    assert not allows(origin, [])


def test_null_is_never_allowed() -> None:
    assert not allows("null", ["null"])
