"""Transport, time-out, retries and payloads: Azure's names and what they mean.

Source: ``docs/protocol/functions-bindings.md`` 4.2.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from signalr_bridge.settings import gather, review
from signalr_bridge.settings.model import CallSettings, RetrySettings
from signalr_bridge.settings.value import Level

from tests.unit.settings.given import loaded

RETRY = "AzureSignalRRetry__"


def calls(**given: str) -> CallSettings:
    return loaded(given).calls


def test_without_any_of_them_the_bridge_decides() -> None:
    assert calls() == CallSettings(attempt_seconds=None, retry=None, messagepack=False)


@pytest.mark.parametrize(
    ("text", "persistent"), [("Transient", False), ("Persistent", True), ("0", False), ("1", True), ("", False)]
)
def test_a_persistent_transport_is_served_over_rest_which_a_warning_says(text: str, persistent: bool) -> None:
    found = review(gather({"AzureSignalRServiceTransportType": text}, {}))
    warned = [one.setting for one in found.diagnostics if "Persistent is served over REST" in one.text]
    assert warned == (["AzureSignalRServiceTransportType"] if persistent else [])
    assert not any(one.level is Level.ERROR and one.setting in warned for one in found.diagnostics)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:01:40", 100), ("00:00:00.5", 0.5), ("1:2:3", 3723), ("00:02", 120), ("1.00:00:01", 86_401), (" ", None)],
)
def test_time_out(text: str, seconds: float | None) -> None:
    assert calls(AzureSignalRHttpClientTimeout=text).attempt_seconds == seconds


@pytest.mark.parametrize(
    ("given", "retry"),
    [
        ({"Default": ""}, RetrySettings()),
        ({"MaxRetries": "5"}, RetrySettings(max_retries=5)),
        ({"Delay": "00:00:02"}, RetrySettings(delay_seconds=2)),
        ({"MaxDelay": "00:00:09", "Mode": "exponential"}, RetrySettings(max_delay_seconds=9, mode="Exponential")),
    ],
)
def test_any_child_switches_retries_on(given: Mapping[str, str], retry: RetrySettings) -> None:
    assert calls(**{RETRY + name: value for name, value in given.items()}).retry == retry


def test_the_defaults_are_those_of_the_extension() -> None:
    found = RetrySettings()
    assert (found.max_retries, found.delay_seconds, found.max_delay_seconds, found.mode) == (3, 0.8, 60, "Fixed")


@pytest.mark.parametrize(("text", "wanted"), [("true", True), ("TRUE", True), ("false", False)])
def test_messagepack(text: str, wanted: bool) -> None:
    given: Any = {"Azure__SignalR__HubProtocol__MessagePack__Enabled": text}
    assert calls(**given).messagepack is wanted
