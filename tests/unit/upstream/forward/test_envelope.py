"""An event as a call of a backend, and the backend's answer, without a network."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.errors import Rejected, SettingsError
from app.protocol import json_text
from app.upstream.forward.envelope import Address, BackendFailed, Reply, Seal, Verdict, read_reply, write_body
from tests.unit.upstream.fakes import context

PROBLEM = "application/problem+json"
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
def test_placeholders_elsewhere_are_a_mistake(template: str) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.url: .*whole path segments"):
        Address(template, "forward.chat.url")


@pytest.mark.parametrize(
    "template", ["", "b/x", "/x", "ftp://b/x", "http:///x", "http://b:x/", "http://[b/", "http://b/a b", "http://b/ë"]
)
def test_what_is_no_url_is_a_mistake(template: str) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.url is no http"):
        Address(template, "forward.chat.url")


# --- signatures


def test_the_schemes_own_library_verifies_each_signature() -> None:
    moment = datetime.now(UTC)
    headers = Seal(SECRETS, "test").sign("msg_1", moment, b'{"a":"\xc3\xab"}')
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in SECRETS:
        assert Webhook(secret).verify(b'{"a":"\xc3\xab"}', headers) == {"a": "ë"}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(b'{"a":"b"}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_c29tZWJvZHkgZWxzZSdz").verify(b'{"a":"\xc3\xab"}', headers)


def test_without_secrets_there_is_no_signature() -> None:
    assert Seal([], "test").sign("msg_1", MOMENT, b"{}") == {"webhook-id": "msg_1", "webhook-timestamp": "1795341600"}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_canary!", "whsec_\u00e9", "c", "canary secret"])
def test_a_secret_that_is_none_is_a_mistake(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"^forward\.chat\.secrets") as caught:
        Seal([secret], "forward.chat.secrets")
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


def test_the_body_of_a_connection_event() -> None:
    body = json.loads(write_body(context(category="connections", event="disconnected", error="lost"), "1", MOMENT))
    assert (body["category"], body["event"], body["error"]) == ("connections", "disconnected", "lost")
    assert (body["arguments"], body["userId"], body["invocationId"], body["endpoint"]) == ([], None, None, None)


# --- answers


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (Reply(204), Verdict()),
        (Reply(204, "text/plain", b"ignored"), Verdict()),
        (Reply(200), Verdict()),
        (Reply(200, "", b"{}"), Verdict()),
        (Reply(200, "", b'{"result":null,"outputs":null}'), Verdict(None)),
        (Reply(200, "", b'{"outputs":[]}'), Verdict()),
        (Reply(200, "", b'{"outputs":[ ],"more":1}'), Verdict()),
        (Reply(200, "", b'{"outputs":[{"target":"x"}]}'), Verdict(None, b'[{"target":"x"}]')),
        (Reply(200, "", b'{"Result":1.10,"Outputs":[1]}'), Verdict(1.1, b"[1]")),
        (
            Reply(200, "", b'{"result":{"n":123456789012345678901234567890}}'),
            Verdict({"n": 123456789012345678901234567890}),
        ),
    ],
)
def test_a_success(reply: Reply, verdict: Verdict) -> None:
    given = read_reply(reply, "send")
    result: Any = json_text.decode(given.result) if isinstance(given.result, msgspec.Raw) else given.result
    assert Verdict(result, given.outputs) == verdict


def test_the_result_is_passed_on_as_it_is() -> None:
    given = read_reply(Reply(200, "", b'{"result": {"price": 1.10, "n": 1e2} }'), "send")
    assert json_text.encode(given.result) == b'{"price": 1.10, "n": 1e2}'


@pytest.mark.parametrize("status", [400, 403, 409, 422])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"detail":"Too late."}', "Too late."),
        (b'{"title":"x"}', "Method 'send' failed."),
        (b'{"detail":""}', "Method 'send' failed."),
        (b'{"detail":5}', "Method 'send' failed."),
        (b'{"detail":"' + b"x" * 1025 + b'"}', "x" * 1024),
    ],
)
def test_a_refusal(status: int, body: bytes, text: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_reply(Reply(status, PROBLEM, body), "send")
    assert caught.value.detail == text


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status, PROBLEM, b'{"detail":"canary"}') for status in (401, 404, 410, 429, 500, 503)),
        *(Reply(status, "", b'{"result":"canary"}') for status in (100, 201, 202, 206, 301, 302, 307, 308)),
        Reply(400, "application/json", b'{"detail":"canary"}'),
        Reply(400, "", b""),
        Reply(422, PROBLEM, b"canary"),
        Reply(422, PROBLEM, b'["canary"]'),
        Reply(422, PROBLEM, b""),
        Reply(200, "", b"canary"),
        Reply(200, "", b" "),
        Reply(200, "", b'"canary"'),
        Reply(200, "", b'{"result":1'),
        Reply(200, "", b'{"result":1} canary'),
        Reply(200, "", b'{"result":"\xff"}'),
        Reply(200, "", b'{"result":1,"result":2}'),
        Reply(200, "", b'{"result":1,"Result":2}'),
        Reply(200, "", b'{"outputs":{"target":"canary"}}'),
        Reply(200, "", b'{"outputs":"canary"}'),
        Reply(200, "", b'{"outputs":false}'),
    ],
)
def test_everything_else_is_a_failure(reply: Reply) -> None:
    with pytest.raises(BackendFailed) as caught:
        read_reply(reply, "send")
    assert "canary" not in str(caught.value)
