"""The first words, for what a test with processes does not start: nobody, every hub, and very many."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from signalr_bridge.banner import MOST_LINES, Banner, write_url
from signalr_bridge.hosts import list_hosts
from signalr_bridge.hubs import Admits, HubFacts
from signalr_bridge.settings import gather, load
from signalr_bridge.wire.proxies import read_proxies

from tests.unit.settings.given import connection


def say(
    caplog: pytest.LogCaptureFixture, hubs: list[HubFacts], others: Any = None, given: Mapping[str, str] | None = None
) -> list[str]:
    caplog.set_level(logging.INFO, "signalr_bridge")
    settings = load(gather({"AzureSignalRConnectionString": connection()} | dict(given or {}), {}))
    Banner(settings, hubs, others, ["http://[::1]:80"], is_text=True).say()
    return caplog.messages[1:]


ENDPOINT = "endpoint default: Primary, https://contoso.service.signalr.net, access key"


def test_without_any_hub(caplog: pytest.LogCaptureFixture) -> None:
    first, second = say(caplog, [])
    assert first == ENDPOINT
    assert second.startswith("No hub is named, so that no client may connect: set BRIDGE_NEGOTIATE__HUBS or ")
    assert [one.levelname for one in caplog.records] == ["INFO", "INFO", "WARNING"]


def test_every_hub_and_nobody_admitted(caplog: pytest.LogCaptureFixture) -> None:
    assert say(caplog, [], [])[1:] == [
        "hub *: handlers none; clients nobody, but callers may negotiate for them",
        "No client may connect by itself: set BRIDGE_NEGOTIATE__ANONYMOUS=true or BRIDGE_NEGOTIATE__JWT, or write a "
        "negotiate handler. Callers may negotiate for their clients.",
    ]


def test_every_hub_for_whom_a_rule_admits(caplog: pytest.LogCaptureFixture) -> None:
    assert say(caplog, [HubFacts("chat", [], [], [])], ["jwt", "handler"])[1:] == [
        "hub chat: handlers none; clients nobody, but callers may negotiate for them",
        "hub *: handlers none; clients whom its negotiate handler admits, and where it leaves it to the rules, "
        "who has a JWT",
    ]


@pytest.mark.parametrize(
    ("clients", "words"),
    [
        (["anonymous"], "anybody"),
        (["jwt", "platform"], "who has a JWT or whom the platform names"),
        (["handler"], "whom its negotiate handler admits"),
        (["anonymous", "handler"], "whom its negotiate handler admits, and where it leaves it to the rules, anybody"),
        (
            ["jwt", "platform", "handler"],
            "whom its negotiate handler admits, and where it leaves it to the rules, who has a JWT or whom the "
            "platform names",
        ),
    ],
)
def test_a_negotiate_handler_decides_before_the_rules(
    caplog: pytest.LogCaptureFixture, clients: list[Admits], words: str
) -> None:
    assert say(caplog, [HubFacts("chat", [], clients, [])])[1] == f"hub chat: handlers none; clients {words}"


def test_very_many_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    more = {f"Azure__SignalR__Endpoints__e{number}": connection(f"e{number}") for number in range(29)}
    said = say(caplog, [HubFacts(f"h{number}", [], ["anonymous"], []) for number in range(25)], given=more)
    assert [one for one in said if one.startswith("and ")] == ["and 10 more endpoints", "and 5 more hubs"]
    assert len(said) == 2 * (MOST_LINES + 1)


def test_the_hosts_that_have_to_be_looked_up() -> None:
    """Each once; not addresses, not this machine, and not what a proxy looks up."""
    given = {
        "AzureSignalRConnectionString": connection(),
        "Azure__SignalR__Endpoints__a__primary": connection(),
        "Azure__SignalR__Endpoints__b": "Endpoint=http://localhost;AccessKey=k;",
        "Azure__SignalR__Endpoints__c": "Endpoint=https://c.example;ServerEndpoint=http://inside.example;AccessKey=k;",
        "BRIDGE_FORWARD__X__URL": "http://[::1]:9000/{hub}",
        "BRIDGE_FORWARD__Y__URL": "https://backend.example/x?code=canary",
    }
    settings = load(gather(given, {}))
    assert list_hosts(settings, None) == {
        "contoso.service.signalr.net": "AzureSignalRConnectionString",
        "inside.example": "Azure__SignalR__Endpoints__c",
        "backend.example": "BRIDGE_FORWARD__Y__URL",
    }
    proxies = read_proxies({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": ".local"})
    assert list(list_hosts(settings, proxies)) == ["inside.example", "backend.example"]


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://0.0.0.0:80"), ("::", "http://[::]:80")])
def test_the_url_of_a_listener(host: str, url: str) -> None:
    assert write_url(host, 80) == url
