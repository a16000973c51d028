"""A rule as it stands in a file or the environment, and what is wrong with one that could never work."""

from datetime import UTC, datetime
from typing import Any

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings import gather, load
from signalr_bridge.settings.model import ForwardSettings
from signalr_bridge.upstream.forward.formats import JsonFormat
from signalr_bridge.upstream.forward.functions import FunctionsFormat
from signalr_bridge.upstream.forward.rule import Rule, build_signers, read_negotiate_rule, read_rule

from tests.unit.upstream.fakes import context

MOMENT = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def settings(**given: Any) -> ForwardSettings:
    return ForwardSettings.model_validate({"url": "http://b", "secrets": [SECRET]} | given)


def read(**given: Any) -> Rule:
    build_signers({"chat": settings(**given)})
    return read_rule("chat", settings(**given), RUNTIME.new_id)


def test_the_environment_has_every_setting_of_a_rule() -> None:
    given = {
        "HUB": "Chat",
        "CATEGORY": "messages",
        "EVENT": "send",
        "URL": "http://Handler:7071",
        "UNSIGNED": "true",
        "FORMAT": "functions",
        "FUNCTION": "run",
        "BINDING": "trigger",
        "PARAMETER_NAMES": "text, urgent",
        "TIMEOUT_SECONDS": "2.5",
        "RETRY_SECONDS": "0",
    }
    environment = {f"BRIDGE_FORWARD__CHAT__{name}": value for name, value in given.items()}
    rule = read_rule("chat", load(gather(environment, {})).forward["chat"], RUNTIME.new_id)
    assert (rule.source, rule.hub, rule.category, rule.event) == ("forward.chat", "chat", "messages", "send")
    assert (rule.origin, rule.seconds, rule.retry_seconds) == ("http://handler:7071", 2.5, 0)
    assert isinstance(rule.format, FunctionsFormat)


def test_without_further_words_it_is_json_for_a_minute() -> None:
    rule = read()
    assert isinstance(rule.format, JsonFormat)
    assert (rule.hub, rule.category, rule.event, rule.seconds, rule.retry_seconds) == ("*", "*", "*", 10, 60)


def test_a_rule_of_negotiation_waits_for_five_seconds_unless_it_says_more() -> None:
    given = {
        "CATEGORY": "negotiate",
        "HUB": "Chat",
        "URL": "http://b/{event}",
        "SECRETS": SECRET,
        "HEADERS": "Cookie, x",
    }
    for more, seconds in (({}, 5), ({"TIMEOUT_SECONDS": "10"}, 10)):
        environment = {f"BRIDGE_FORWARD__CLIENTS__{name}": value for name, value in (given | more).items()}
        rule = read_negotiate_rule("clients", load(gather(environment, {})).forward["clients"])
        assert (rule.source, rule.hub, rule.headers, rule.seconds) == (
            "forward.clients",
            "chat",
            ("cookie", "x"),
            seconds,
        )
        assert rule.address.write("chat", "negotiate") == "http://b/negotiate"


def test_cloudevents_are_marked() -> None:
    formats = [read(format=name).format for name in ("json", "cloudevents")]
    plain, cloud = (one.write(context(), "msg_1", MOMENT).headers for one in formats)
    assert "ce-id" not in plain
    assert cloud["ce-id"] == "msg_1"


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"hub": "no hub"}, "hub"),
        ({"event": ""}, "event"),
        ({"category": "connections", "event": "send"}, "event"),
        ({"url": "canary"}, "url"),
        ({"secrets": ["canary!"]}, "secrets"),
        ({"function": "run"}, "function"),
        ({"format": "cloudevents", "parameter_names": ["a"]}, "parameter_names"),
        ({"format": "functions"}, "function"),
        ({"format": "functions", "function": ".."}, "function"),
        ({"format": "functions", "function": "run", "parameter_names": ["a", "A"]}, "parameter_names"),
    ],
)
def test_an_error_is_named_by_its_setting(given: dict[str, Any], setting: str) -> None:
    with pytest.raises(SettingsError, match=rf"^BRIDGE_FORWARD__CHAT__{setting.upper()}: ") as caught:
        read(**given)
    assert "canary" not in str(caught.value)


def test_a_rule_is_signed_unless_it_says_otherwise() -> None:
    with pytest.raises(SettingsError, match="has no secrets"):
        read(secrets=[])
    signers = build_signers({"chat": settings(secrets=[], unsigned=True)})
    assert "webhook-signature" not in signers["forward.chat"].sign("msg_1", MOMENT, b"{}")
    assert SECRET not in repr(read()) + repr(build_signers({"chat": settings()}))
