"""The endpoints of every hub, built from settings, and what stays the same when settings change."""

from collections.abc import Mapping

import pytest
from signalr_bridge.endpoints.directory import Builder, Built, EndpointDirectory
from signalr_bridge.endpoints.endpoint import Outcome, Verdict
from signalr_bridge.endpoints.health import Health
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import Settings, gather, load
from signalr_bridge.web.observer import SILENT

from tests.unit.endpoints.fakes import NOW, Clock, FakeTransport


def connection(name: str, key: str = "k") -> str:
    return f"Endpoint=https://{name}.example;AccessKey={key};Version=1.0;"


BASE = {
    "AzureSignalRConnectionString": connection("one"),
    "Second": connection("two"),
    "Azure__SignalR__Endpoints__shared": connection("shared"),
    "BRIDGE_HUBS__CHAT__CONNECTION": "Second",
}


def settings(given: Mapping[str, str]) -> Settings:
    return load(gather(given, {}))


@pytest.fixture
def health() -> Health:
    return Health(lambda: NOW)


@pytest.fixture
def builder(health: Health) -> Builder:
    runtime = Runtime(clock=Clock(), wall_clock=lambda: NOW, random=lambda: 0.0)
    return Builder(FakeTransport(), health, runtime=runtime, observer=SILENT)


def urls(directory: EndpointDirectory, hub: str) -> list[str]:
    return [one.url.removeprefix("https://").removesuffix(".example") for one in directory.find(hub).endpoints]


def build(builder: Builder, given: Mapping[str, str], before: Built | None = None) -> tuple[EndpointDirectory, Built]:
    built = builder.build(settings(given), before)
    return EndpointDirectory(lambda: built.endpoint_map), built


def test_every_hub_has_the_endpoints_of_its_connection(builder: Builder) -> None:
    directory, _ = build(builder, BASE)
    assert (urls(directory, "chat"), urls(directory, "CHAT"), urls(directory, "other")) == (
        ["two", "shared"],
        ["two", "shared"],
        ["one", "shared"],
    )
    assert len(directory.endpoints) == 3
    assert directory.find("chat").endpoints[1] is directory.find("other").endpoints[1], "one instance, one object"


def test_whoever_has_asked_keeps_what_it_was_given(builder: Builder) -> None:
    _, built = build(builder, BASE)
    maps = [built.endpoint_map]
    directory = EndpointDirectory(lambda: maps[-1])
    before = directory.find("other")
    maps += [builder.build(settings({"AzureSignalRConnectionString": connection("three")}), built).endpoint_map]
    assert [one.url for one in before.endpoints] == ["https://one.example", "https://shared.example"]
    assert (urls(directory, "other"), urls(directory, "chat")) == (["three"], ["three"])


def test_what_has_not_changed_stays_the_same_object(builder: Builder) -> None:
    directory, built = build(builder, BASE)
    after, _ = build(builder, BASE | {"Azure__SignalR__Endpoints__new": connection("new")}, built)
    assert after.find("x").endpoints[0] is directory.find("x").endpoints[0]
    assert [one.name for one in after.find("x").endpoints] == ["default", "new", "shared"]


def test_a_change_of_weight_keeps_the_credential_and_a_new_key_does_not(builder: Builder) -> None:
    directory, built = build(builder, BASE)
    lighter, _ = build(builder, BASE | {"BRIDGE_ENDPOINTS__SHARED__WEIGHT": "0"}, built)
    rotated, _ = build(builder, BASE | {"Azure__SignalR__Endpoints__shared": connection("shared", "new")}, built)
    before = directory.find("x").endpoints[1]
    assert (lighter.find("x").endpoints[1].weight, rotated.find("x").endpoints[1].weight) == (0, 1)
    assert lighter.find("x").endpoints[1].credential.verifying_keys == before.credential.verifying_keys
    assert rotated.find("x").endpoints[1].credential.verifying_keys == ("new",)


def test_it_is_ready_once_every_connection_has_an_endpoint_that_works(builder: Builder, health: Health) -> None:
    _, built = build(builder, {name: text for name, text in BASE.items() if "shared" not in name})
    maps = [built.endpoint_map]
    directory = EndpointDirectory(lambda: maps[-1])
    assert not directory.has_worked()
    health.record_probe("https://one.example", Outcome("default", "Primary", Verdict.ACCEPTED, 200))
    assert not directory.has_worked()
    health.record_probe("https://two.example", Outcome("default", "Primary", Verdict.ACCEPTED, 200))
    assert directory.has_worked()
    assert directory.has_worked(now=True)
    maps += [builder.build(settings({"AzureSignalRConnectionString": connection("three")})).endpoint_map]
    assert directory.has_worked(), "what joins later takes nothing away"
    assert not directory.has_worked(now=True)


def test_a_connection_without_endpoints_is_not_waited_for(builder: Builder, health: Health) -> None:
    directory, _ = build(builder, {"Second": connection("two"), "BRIDGE_HUBS__CHAT__CONNECTION": "Second"})
    health.record_probe("https://two.example", Outcome("default", "Primary", Verdict.ACCEPTED, 200))
    assert directory.has_worked()
    assert not build(builder, {})[0].has_worked()


def test_a_thousand_rounds_leave_nothing_behind(builder: Builder) -> None:
    """Former endpoints and their keys are let go of."""
    built: Built | None = None
    for number in range(1000):
        built = builder.build(settings({"AzureSignalRConnectionString": connection("one", f"k{number}")}), built)
    assert built is not None
    assert len(built.endpoints) == 1
