"""Which template an event takes, the URL it becomes, and the file templates come from."""

import json

import pytest
from signalr_bridge.emulator.upstream import UpstreamTemplate, find_template, read_upstream_settings, to_templates
from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.upstream_event import EventHeaders

URL = "http://localhost:7071/runtime/webhooks/signalr"


def event(hub: str = "chat", category: str = "messages", name: str = "send") -> EventHeaders:
    return EventHeaders(hub=hub, category=category, event=name)


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("*", "send", True),
        ("send", "send", True),
        ("send", "Send", False),
        ("join, send ,leave", "send", True),
        ("join,*", "anything", True),
        ("se*", "send", False),
        ("", "send", False),
    ],
)
def test_a_pattern_is_a_star_a_name_or_several(pattern: str, value: str, fits: bool) -> None:
    assert UpstreamTemplate(URL, event_pattern=pattern).matches(event(name=value)) is fits


def test_hub_category_and_event_must_all_fit() -> None:
    template = UpstreamTemplate(URL, hub_pattern="chat", category_pattern="messages", event_pattern="send")
    assert template.matches(event())
    assert not template.matches(event(hub="other"))
    assert not template.matches(event(category="connections"))
    assert not template.matches(event(name="other"))


def test_the_first_template_that_fits_wins() -> None:
    chat, rest = UpstreamTemplate("http://a/", hub_pattern="chat"), UpstreamTemplate("http://b/")
    assert find_template([chat, rest], event()) is chat
    assert find_template([chat, rest], event(hub="other")) is rest
    assert find_template([chat], event(hub="other")) is None


def test_names_in_a_url_are_escaped_and_other_braces_stay() -> None:
    template = UpstreamTemplate("http://h/{hub}/{category}/{event}?x={Hub}")
    assert template.url_for(event(name="a/b {hub}ü")) == "http://h/chat/messages/a%2Fb%20%7Bhub%7D%C3%BC?x={Hub}"


@pytest.mark.parametrize(
    "url", ["", "localhost:7071/api", "/api", "ftp://h/", "http://", "http://h:99999/", "http://[x/"]
)
def test_a_url_is_absolute(url: str) -> None:
    with pytest.raises(SettingsError, match="absolute http or https URL"):
        UpstreamTemplate(url)


def test_a_url_alone_takes_every_event() -> None:
    (template,) = to_templates(URL)
    assert template == UpstreamTemplate(URL, "*", "*", "*")


def test_the_reference_emulators_file_is_read_in_any_case() -> None:
    text = b"""\xef\xbb\xbf{"upstreamSettings": {"TEMPLATES": [
        {"UrlTemplate": "http://a/{event}", "EventPattern": "send",
         "HubPattern": "chat", "CategoryPattern": "messages"},
        {"urltemplate": "http://b/", "Auth": {"Type": "None"}}]}}"""
    assert read_upstream_settings(text) == [
        UpstreamTemplate("http://a/{event}", "chat", "messages", "send"),
        UpstreamTemplate("http://b/"),
    ]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ([], "not a JSON object"),
        ({}, "no UpstreamSettings.Templates"),
        ({"UpstreamSettings": 1}, "UpstreamSettings is not"),
        ({"UpstreamSettings": {"Templates": {}}}, "not an array"),
        ({"UpstreamSettings": {"Templates": [1]}}, r"Templates\[0\] is not a JSON object"),
        ({"UpstreamSettings": {"Templates": [{"HubPattern": "*"}]}}, r"Templates\[0\] has no UrlTemplate"),
        ({"UpstreamSettings": {"Templates": [{"UrlTemplate": 1}]}}, "not a text"),
        ({"UpstreamSettings": {"Templates": [{"UrlTemplate": "x"}]}}, r"Templates\[0\]: UrlTemplate is not"),
        (
            {"UpstreamSettings": {"Templates": [{"UrlTemplate": URL, "Auth": {"Type": "ManagedIdentity"}}]}},
            "no managed identity",
        ),
    ],
)
def test_a_wrong_file_is_named_at_the_spot(settings: object, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read_upstream_settings(json.dumps(settings).encode())


def test_a_file_that_is_no_json_is_refused() -> None:
    with pytest.raises(SettingsError, match="not well-formed JSON"):
        read_upstream_settings(b"{")
