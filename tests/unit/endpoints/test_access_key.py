"""The tokens of an access key: used again for a minute, never near their end, and never before they begin."""

from typing import Any

import jwt
import pytest
from signalr_bridge.endpoints.access_key import KEPT_SECONDS, MOST_TOKENS, REST_TOKEN_SECONDS, AccessKey
from signalr_bridge.protocol.access_token import rest_claims, sign_token

from tests.unit.endpoints.fakes import NOW, Clock, key_of

KEY = key_of("a")
URL = "https://a.example/api/hubs/chat/:send"


def decode(token: str, audience: str = URL) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token, KEY, algorithms=["HS256"], audience=audience, options={"verify_exp": False, "verify_iat": False}
    )
    return claims


def test_a_token_is_the_one_that_would_be_made_for_this_url() -> None:
    assert AccessKey(KEY, lambda: NOW).ready_token(URL) == sign_token(rest_claims(URL, now=NOW, lifetime=300), KEY)


async def test_it_is_used_again_for_a_minute_and_ends_long_after_that() -> None:
    clock = Clock(NOW)
    key = AccessKey(KEY, clock)
    first = key.ready_token(URL)
    clock.now += KEPT_SECONDS - 0.1
    assert key.ready_token(URL) is first
    assert await key.rest_token(URL) is first
    assert decode(first)["exp"] - clock.now >= REST_TOKEN_SECONDS - KEPT_SECONDS
    late = key.ready_token(URL + "/later")
    assert decode(late, URL + "/later")["iat"] == int(clock.now)
    clock.now += 0.1
    assert decode(key.ready_token(URL))["iat"] == int(clock.now)


def test_a_clock_that_was_set_back_gets_a_token_that_is_valid_by_then() -> None:
    clock = Clock(NOW)
    key = AccessKey(KEY, clock)
    key.ready_token(URL)
    clock.now -= 3600
    assert decode(key.ready_token(URL))["nbf"] == clock.now


def test_each_url_has_a_token_of_its_own_and_few_are_kept() -> None:
    key = AccessKey(KEY, lambda: NOW)
    urls = [f"https://a.example/api/hubs/chat/users/{number}/:send" for number in range(MOST_TOKENS * 3)]
    for url in urls:
        assert decode(key.ready_token(url), url)["aud"] == url
        assert len(key._tokens) <= MOST_TOKENS


async def test_an_empty_key_signs_nothing() -> None:
    key = AccessKey("", lambda: NOW)
    with pytest.raises(ValueError, match="empty"):
        key.ready_token(URL)
    with pytest.raises(ValueError, match="empty"):
        await key.client_token({})
