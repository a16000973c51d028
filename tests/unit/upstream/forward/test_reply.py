"""What a backend's answer means, without a network."""

from typing import Any

import msgspec
import pytest
from signalr_bridge.errors import Rejected
from signalr_bridge.protocol import json_text
from signalr_bridge.upstream.forward.formats import BackendFailed, BackendUnavailable, BackendVerdict, Reply, read_reply

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (Reply(204), BackendVerdict()),
        (Reply(204, "text/plain", b"ignored"), BackendVerdict()),
        (Reply(200), BackendVerdict()),
        (Reply(200, "", b"{}"), BackendVerdict()),
        (Reply(200, "", b'{"result":null,"outputs":null}'), BackendVerdict(None)),
        (Reply(200, "", b'{"outputs":[]}'), BackendVerdict()),
        (Reply(200, "", b'{"outputs":[ ],"more":1}'), BackendVerdict()),
        (Reply(200, "", b'{"outputs":[{"target":"x"}]}'), BackendVerdict(None, b'[{"target":"x"}]')),
        (Reply(200, "", b'{"Result":1.10,"Outputs":[1]}'), BackendVerdict(1.1, b"[1]")),
        (
            Reply(200, "", b'{"result":{"n":123456789012345678901234567890}}'),
            BackendVerdict({"n": 123456789012345678901234567890}),
        ),
    ],
)
def test_a_success(reply: Reply, verdict: BackendVerdict) -> None:
    given = read_reply(reply, "send")
    result: Any = json_text.decode(given.result) if isinstance(given.result, msgspec.Raw) else given.result
    assert BackendVerdict(result, given.outputs) == verdict


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


@pytest.mark.parametrize("status", [429, 500, 502, 503, 599])
def test_a_backend_that_cannot_just_now_says_so(status: int) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        read_reply(Reply(status, PROBLEM, b'{"detail":"no"}', retry_after=3.0), "send")
    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize("status", [301, 401, 404, 410, 413, 418])
def test_other_failures_are_final(status: int) -> None:
    with pytest.raises(BackendFailed) as caught:
        read_reply(Reply(status), "send")
    assert type(caught.value) is BackendFailed
