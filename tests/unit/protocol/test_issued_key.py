"""What the service issues to identities: read as written, and asked for only where nothing is lost."""

from typing import Any

import pytest
from signalr_bridge.errors import InvalidName, InvalidQuery, MalformedMessage
from signalr_bridge.protocol.access_token import client_claims
from signalr_bridge.protocol.issued_key import (
    IssuedKey,
    TokenRequest,
    ask_instead,
    read_generated_token,
    read_issued_key,
    read_token_request,
    write_generated_token,
    write_issued_key,
    write_token_request,
)


def said(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"user_id": "ann", "claims": {}, "now": 1000, "lifetime": 3600} | more
    return client_claims(audience="https://x/client/?hub=chat", **given)


def test_a_key_has_the_members_of_the_service() -> None:
    # docs/protocol/rest-and-management.md 4.1
    assert read_issued_key(b'{ "AccessKey": "k", "KeyId": "i", "More": 1 }') == IssuedKey("i", "k")
    assert write_issued_key(IssuedKey("i", "k")) == b'{"AccessKey":"k","KeyId":"i"}'
    assert "canary" not in repr(IssuedKey("i", "canary"))


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"{}", b'{"AccessKey":"k"}', b'{"KeyId":"i"}', b'{"KeyId":"i","AccessKey":""}',
             b'{"KeyId":1,"AccessKey":"k"}', b'{"keyId":"i","accessKey":"k"}', b'{"KeyId":"","AccessKey":"k"}'],
)  # fmt: skip
def test_what_is_no_key(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_issued_key(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"token":""}', b'{"token":1}', b'"t"'])
def test_what_is_no_token(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_generated_token(body)
    assert read_generated_token(write_generated_token("t")) == "t"


@pytest.mark.parametrize(
    ("claims", "request_"),
    [
        (said(), TokenRequest("chat", "ann", 60)),
        (said(lossless=False), TokenRequest("chat", "ann", 60)),
        (said(user_id=None), TokenRequest("chat", None, 60)),
        (said(lifetime=1), TokenRequest("chat", "ann", 1)),
        (said(lifetime=61), TokenRequest("chat", "ann", 2)),
        (said(claims={"role": ["admin"]}), None),
        (said(claims={"role": ["admin"]}, lossless=False), None),
        (said(close_on_expiry=True), None),
        (said(user_id="x, bridge.claims: e30"), None),
    ],
)
def test_when_the_service_can_be_asked_instead(claims: dict[str, Any], request_: TokenRequest | None) -> None:
    assert ask_instead(claims) == request_


@pytest.mark.parametrize("user", ["ann", None, "a&minutesToExpire=9", "é /?#%", "a+b c"])
def test_a_request_is_read_as_written(user: str | None) -> None:
    wanted = TokenRequest("chat", user, 7)
    path, _, query = write_token_request(wanted).partition("?")
    assert read_token_request(path, query) == wanted


def test_other_paths_and_wrong_values() -> None:
    assert read_token_request("/api/hubs/chat/:send", "") is None
    assert read_token_request("/api/v1/hubs/chat/:generateToken", "") == TokenRequest("chat", None, 60)
    for query in ("minutesToExpire=0", "minutesToExpire=99999999999", "minutesToExpire=1.5", "userId=%FF"):
        with pytest.raises(InvalidQuery):
            read_token_request("/api/hubs/chat/:generateToken", query)
    with pytest.raises(InvalidName):
        read_token_request("/api/hubs/1chat/:generateToken", "")
