"""An event as a call of a backend, and the backend's answer, without a network."""

import base64
import json
from datetime import UTC, datetime

import msgspec
import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.forward.formats import (
    Address,
    BackendFailed,
    JsonFormat,
    WebhookSigner,
    escape_header,
    write_body,
)
from standardwebhooks import Webhook, WebhookVerificationError

from tests.unit.upstream.fakes import context

SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgcm90YXRpb24="]
MOMENT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


# --- addresses


@pytest.mark.parametrize(
    ("template", "event", "url"),
    [
        ("http://b:9000/signalr/{hub}/{event}", "send", "http://b:9000/signalr/chat/send"),
        ("https://b/x?code=a%2Fb", "send", "https://b/x?code=a%2Fb"),
        ("http://b/{event}/{event}/", "a", "http://b/a/a/"),
        ("http://b/{event}", "a/../b", "http://b/a%2F..%2Fb"),
        ("http://b/{event}", "a?b#c%41+d e", "http://b/a%3Fb%23c%2541%2Bd%20e"),
        ("http://b/{event}", "zoë\u4f60", "http://b/zo%C3%AB%E4%BD%A0"),
        ("http://b/{event}", "{hub}", "http://b/%7Bhub%7D"),
        ("http://b/{event}", "@evil:80", "http://b/%40evil%3A80"),
        ("http://[::1]:9/{hub}", "x", "http://[::1]:9/chat"),
    ],
)
def test_names_become_whole_segments(template: str, event: str, url: str) -> None:
    assert Address(template, "test").write("chat", event) == url


@pytest.mark.parametrize(
    "template",
    [
        "http://{hub}/x",
        "http://b/x-{event}",
        "http://b/{event}.json",
        "http://b/x?event={event}",
        "http://b/x#{event}",
        "http://b/{category}",
        "http://b/{}",
        "http://b/{Hub}",
    ],
)
def test_placeholders_elsewhere_are_refused(template: str) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.url: .*whole path segments"):
        Address(template, "forward.chat.url")


@pytest.mark.parametrize(
    "template", ["", "b/x", "/x", "ftp://b/x", "http:///x", "http://b:x/", "http://[b/", "http://b/a b", "http://b/ë"]
)
def test_what_is_no_url_is_refused(template: str) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.url: is no http"):
        Address(template, "forward.chat.url")


# --- signatures


def test_the_schemes_own_library_verifies_each_signature() -> None:
    moment = datetime.now(UTC)
    headers = WebhookSigner(SECRETS, "test").sign("msg_1", moment, b'{"a":"\xc3\xab"}')
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in SECRETS:
        assert Webhook(secret).verify(b'{"a":"\xc3\xab"}', headers) == {"a": "ë"}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(b'{"a":"b"}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_c29tZWJvZHkgZWxzZSdz").verify(b'{"a":"\xc3\xab"}', headers)


def test_without_secrets_there_is_no_signature() -> None:
    assert WebhookSigner([], "test").sign("msg_1", MOMENT, b"{}") == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1795341600",
    }


SIZED = {size: base64.b64encode(b"c" * size).decode() for size in (3, 23, 24, 64, 65)}


@pytest.mark.parametrize("size", [24, 64])
def test_a_secret_has_24_to_64_bytes(size: int) -> None:
    headers = WebhookSigner([f"whsec_{SIZED[size]}"], "test").sign("msg_1", datetime.now(UTC), b"{}")
    assert Webhook(SIZED[size]).verify(b"{}", headers) == {}


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", "whsec_canary!", "whsec_\u00e9", "c", "canary secret"),
        *(f"whsec_{SIZED[size]}" for size in (3, 23, 65)),
        SIZED[24],
    ],
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.secrets") as caught:
        WebhookSigner([secret], "forward.chat.secrets")
    assert "canary" not in str(caught.value)


# --- bodies


def test_the_body_of_a_message() -> None:
    given = context(
        arguments=["hi", 1, 1.5, 2**70, None, {"b": [True]}],
        invocation_id="0",
        endpoint="eastus",
        user_id="ann",
        claims_line="role: admin, role: editor",
        client_query="?room=7&access_token=canary&id=canary",
    )
    body = write_body(given, "msg_1", MOMENT)
    assert json.loads(body) == {
        "id": "msg_1",
        "hub": "chat",
        "category": "messages",
        "event": "send",
        "connectionId": "c1",
        "userId": "ann",
        "invocationId": "0",
        "arguments": ["hi", 1, 1.5, 2**70, None, {"b": [True]}],
        "error": None,
        "claims": {"role": ["admin", "editor"]},
        "query": {"room": ["7"]},
        "endpoint": "eastus",
        "time": "2026-11-22T10:00:00Z",
    }


def test_arguments_that_only_messagepack_has_are_text() -> None:
    arguments = [b"\x00\xff", msgspec.msgpack.Ext(5, b"\x01"), MOMENT, {1: {None: b""}}, float("nan"), "end"]
    body = json.loads(write_body(context(arguments=arguments), "1", MOMENT))
    assert body["arguments"] == ["AP8=", "AQ==", "2026-11-22T10:00:00.123456Z", {"1": {"null": ""}}, None, "end"]


def test_the_body_of_a_connection_event() -> None:
    body = json.loads(write_body(context(category="connections", event="disconnected", error="lost"), "1", MOMENT))
    assert (body["category"], body["event"], body["error"]) == ("connections", "disconnected", "lost")
    assert (body["arguments"], body["userId"], body["invocationId"], body["endpoint"]) == ([], None, None, None)


# --- CloudEvents


def test_cloudevents_are_the_same_body_and_headers() -> None:
    given = context(event="Send it", user_id="zo\u00eb \U0001f600", invocation_id="0", connection_id="a/b c")
    sent = JsonFormat(Address("http://b/{event}", "test"), cloud=True).write(given, "msg_1", MOMENT)
    assert sent.body == write_body(given, "msg_1", MOMENT)
    assert sent.headers == {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "msg_1",
        "ce-source": "/hubs/chat/connections/a%252Fb%2520c",
        "ce-type": "signalr.message",
        "ce-time": "2026-11-22T10:00:00Z",
        "ce-hub": "chat",
        "ce-event": "Send%20it",
        "ce-connectionid": "a/b%20c",
        "ce-userid": "zo%C3%AB%20%F0%9F%98%80",
        "ce-invocationid": "0",
    }


@pytest.mark.parametrize("event", ["connected", "disconnected"])
def test_a_connection_event_has_a_type_of_its_own_and_no_empty_attributes(event: str) -> None:
    given = context(category="connections", event=event)
    headers = JsonFormat(Address("http://b/", "test"), cloud=True).write(given, "msg_1", MOMENT).headers
    assert headers["ce-type"] == f"signalr.{event}"
    assert not {"ce-userid", "ce-invocationid"} & headers.keys()


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("Euro \u20ac \U0001f600", "Euro%20%E2%82%AC%20%F0%9F%98%80"),  # the binding's own example
        ("a\r\nx: y", "a%0D%0Ax:%20y"),
        ('100% "sure"', "100%25%20%22sure%22"),
        ("~!#$&'()*+,-./:;<=>?@[\\]^_`{|}", "~!#$&'()*+,-./:;<=>?@[\\]^_`{|}"),
        ("\x00\x7f\x85", "%00%7F%C2%85"),
    ],
)
def test_header_values_are_escaped_as_the_binding_says(value: str, escaped: str) -> None:
    assert escape_header(value) == escaped


# --- too long


def test_a_url_that_no_server_takes_is_not_tried() -> None:
    address = Address("http://b/{event}", "test")
    assert len(address.write("chat", "x" * 7_900)) < 8_000
    with pytest.raises(BackendFailed, match="8,000 bytes"):
        address.write("chat", "x" * 10_000)


def test_more_is_behind_the_path_and_before_the_query() -> None:
    assert Address("http://B:1/api/?code=1", "test", "a/b").write("h", "e") == "http://B:1/api/a%2Fb?code=1"
    assert Address("http://u:p@B:1/api", "test").origin == "http://b:1"
