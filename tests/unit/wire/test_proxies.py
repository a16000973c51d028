"""What ``HTTPS_PROXY`` and ``NO_PROXY`` say, as common tools read them."""

import pytest
from signalr_bridge.wire.proxies import Proxies, Proxy, read_proxies

URL = "http://proxy.example:3128"
PROXY = Proxy("proxy.example", 3128)


@pytest.mark.parametrize(
    ("environment", "proxies"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": " "}, None),
        ({"HTTP_PROXY": URL, "http_proxy": URL, "ALL_PROXY": URL, "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": URL}, Proxies(PROXY)),
        ({"https_proxy": URL}, Proxies(PROXY)),
        ({"HTTPS_PROXY": "http://other.example:1", "https_proxy": URL}, Proxies(PROXY)),
        ({"HTTPS_PROXY": URL, "https_proxy": ""}, None),
        ({"HTTPS_PROXY": "proxy.example:3128"}, Proxies(PROXY)),
        ({"HTTPS_PROXY": "http://proxy.example/"}, Proxies(Proxy("proxy.example", 80))),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, Proxies(Proxy("::1", 3128))),
        ({"HTTPS_PROXY": URL, "NO_PROXY": "A.example, .b.example,, 10.0.0.0/8 "}, "a.example .b.example 10.0.0.0/8"),
        ({"HTTPS_PROXY": URL, "NO_PROXY": "a", "no_proxy": "b"}, "b"),
    ],
)
def test_the_environment(environment: dict[str, str], proxies: Proxies | str | None) -> None:
    expected = Proxies(PROXY, tuple(proxies.split())) if isinstance(proxies, str) else proxies
    assert read_proxies(environment) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("https://user:secret@proxy.example", "socks5://user:secret@proxy.example:1080", "http://user:secret@"),
        *("http://user:secret@proxy.example:port", "http://user:secret@proxy.example:99999", "http://[secret"),
    ],
)
def test_a_proxy_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ValueError, match=r"^HTTPS_PROXY is not a URL such as") as caught:
        read_proxies({"HTTPS_PROXY": url})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_do_not_show() -> None:
    proxies = read_proxies({"HTTPS_PROXY": "http://us%65r:se%3Acret@proxy.example:3128"})
    assert proxies is not None
    assert proxies.https.authorization == "Basic dXNlcjpzZTpjcmV0"
    assert "dXNlcjpzZTpjcmV0" not in repr(proxies)
    assert "cret" not in repr(proxies)


@pytest.mark.parametrize(
    ("entry", "host", "port", "direct"),
    [
        ("*", "service.example", 443, True),
        ("service.example", "service.example", 443, True),
        ("service.example", "SERVICE.example", 443, True),
        ("service.example", "service.example.", 443, True),
        ("service.example", "a.service.example", 443, True),
        ("service.example", "notservice.example", 443, False),
        ("service.example", "service.example.net", 443, False),
        (".service.example", "a.service.example", 443, True),
        (".service.example", "service.example", 443, True),
        ("*.service.example", "a.b.service.example", 443, True),
        ("*.service.example", "other.example", 443, False),
        (".", "service.example", 443, False),
        ("service.example:443", "service.example", 443, True),
        ("service.example:443", "service.example", 8443, False),
        (".service.example:8443", "a.service.example", 8443, True),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3:443", "10.1.2.3", 443, True),
        ("10.1.2.3", "110.1.2.3", 443, False),
        ("10.0.0.0/8", "10.255.0.1", 443, True),
        ("10.0.0.7/8", "10.255.0.1", 443, True),
        ("10.0.0.0/8", "11.0.0.1", 443, False),
        ("10.0.0.0/8", "service.example", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("fd00::/8", "fd12::1", 443, True),
        ("fd00::/8", "fe80::1", 443, False),
        ("10.0.0.0/8", "fd00::1", 443, False),
        ("fd00::1", "fd00::1", 443, True),
        ("[fd00::1]", "fd00::1", 443, True),
        ("[fd00::1]:443", "fd00::1", 443, True),
        ("[fd00::1]:443", "fd00::1", 8443, False),
        ("fd00:0:0:0:0:0:0:1", "fd00::1", 443, True),
        ("none.example", "localhost", 443, True),
        ("none.example", "A.LocalHost.", 8443, True),
        ("none.example", "127.8.9.1", 443, True),
        ("none.example", "::1", 443, True),
        ("none.example", "notlocalhost", 443, False),
        ("none.example", "localhost.example", 443, False),
    ],
)
def test_who_is_called_without_the_proxy(entry: str, host: str, port: int, direct: bool) -> None:
    for text in (entry, f"other.test, {entry} "):
        proxies = read_proxies({"HTTPS_PROXY": URL, "NO_PROXY": text})
        assert proxies is not None
        assert proxies.find(host, port) == (None if direct else PROXY)
