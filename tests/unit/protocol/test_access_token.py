"""Tokens: byte for byte as outside programs make them, with the claims that Azure's libraries write."""

import hmac
import json
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import given
from signalr_bridge.errors import BadToken, BridgeError, ReservedClaim, TokenTooLong
from signalr_bridge.protocol.access_token import (
    LONGEST_TOKEN,
    check_length,
    client_audience,
    client_claims,
    client_url,
    read_token,
    rest_claims,
    sign_token,
)
from signalr_bridge.protocol.claims import write_lossless

from tests.unit.protocol.legal import any_text, claims
from tests.vectors import read_vectors

TOKENS = read_vectors("tokens")
NOW = 1_700_000_000
KEY = "canary-5ecret"


def made(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"audience": "aud", "user_id": None, "claims": {}, "now": NOW, "lifetime": 3600}
    return client_claims(**(arguments | changes))


def part(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("row", read_vectors("addresses")["address"], ids=lambda row: row["url"])
def test_a_client_connects_there_and_its_token_says_so_without_port(row: dict[str, str]) -> None:
    assert client_url(row.get("client_endpoint", row["endpoint"]), row["hub"]) == row["url"]
    assert client_audience(row["endpoint"], row["hub"]) == row["audience"]


@pytest.mark.parametrize("row", read_vectors("claim_payloads")["payload"], ids=lambda row: row["what"])
def test_what_a_clients_token_says(row: dict[str, Any]) -> None:
    asked = {name: value for name, value in row.items() if name not in {"what", "json"}}
    assert json.dumps(made(**asked), separators=(",", ":")) == row["json"]


def test_a_clients_token_is_the_one_that_node_makes() -> None:
    audience = client_audience("https://contoso.service.signalr.net", "Chat")
    said = made(audience=audience, user_id="alice", claims={"role": ["admin", "editor"]})
    assert sign_token(said, TOKENS["client"]["key"]) == TOKENS["client"]["token"]


def test_a_rest_token_is_for_one_url_without_its_query() -> None:
    said = rest_claims(TOKENS["rest"]["url"], now=NOW, lifetime=3600)
    assert sign_token(said, TOKENS["rest"]["key"]) == TOKENS["rest"]["token"]


def test_an_issued_key_is_named_in_the_header() -> None:
    vector = TOKENS["issued_key"]
    assert sign_token(rest_claims("x", now=NOW, lifetime=3600), vector["key"], vector["key_id"]) == vector["token"]


def test_the_example_of_jwt_io() -> None:
    vector = TOKENS["outside"]
    assert sign_token(vector["claims"], vector["key"]) == vector["token"]
    assert read_token(vector["token"], ["another", vector["key"]]) == vector["claims"]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@given(claims)
def test_pyjwt_reads_what_we_sign_and_we_read_what_it_signs(values: dict[str, Any]) -> None:
    said = made(user_id="алиса", claims=values)
    key = "a long enough access key, of a well-known length"
    assert (
        jwt.decode(
            sign_token(said, key),
            key,
            algorithms=["HS256"],
            options={
                "verify_signature": True,
                "verify_aud": False,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
        == said
    )
    assert read_token(jwt.encode(said, key, algorithm="HS256"), [key]) == said


def test_a_user_id_cannot_forge_claims() -> None:
    forged = "x, bridge.claims: " + write_lossless({"role": ["admin"]})
    assert made(user_id=forged)["bridge.claims"] == write_lossless({}), "ours stands beside it, so two are seen"
    for attempt in ({"user_id": forged}, {"claims": {"name": [forged]}}, {"claims": {forged: ["x"]}}):
        with pytest.raises(ReservedClaim):
            made(lossless=False, **attempt)


def test_a_token_longer_than_the_service_takes_is_refused() -> None:
    assert check_length("x" * LONGEST_TOKEN)
    with pytest.raises(TokenTooLong, match="4097"):
        check_length("x" * (LONGEST_TOKEN + 1))


def test_nothing_is_signed_with_an_empty_key() -> None:
    with pytest.raises(ValueError, match="empty"):
        sign_token({}, "")


@pytest.mark.parametrize(
    ("seconds", "good"), [(-301, False), (-300, True), (0, True), (3600, True), (3900, True), (3901, False)]
)
def test_a_token_is_good_for_its_time_and_five_minutes_around(seconds: int, good: bool) -> None:
    token = sign_token(rest_claims("x", now=NOW, lifetime=3600), KEY)
    assert read_token(token, [KEY])
    if good:
        assert read_token(token, [KEY], now=NOW + seconds)
    else:
        with pytest.raises(BadToken, match="expired or is not valid yet"):
            read_token(token, [KEY], now=NOW + seconds)


HS256 = part('{"alg":"HS256"}')
SIGNED = sign_token({"exp": NOW}, KEY)


def hand_signed(header: str, key: str) -> str:
    """Correctly signed, whatever the header says."""
    signed = f"{part(header)}.{part('{}')}"
    return signed + "." + urlsafe_b64encode(hmac.digest(key.encode(), signed.encode(), "sha256")).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d",
        SIGNED[:-1],
        SIGNED + "A",
        SIGNED + "=",
        SIGNED + "!",
        SIGNED + "!!!!",
        hand_signed("{}", KEY),
        hand_signed('{"alg":"none"}', KEY),
        hand_signed('{"alg":["HS256"]}', KEY),
        SIGNED + "\n",
        "." + SIGNED,
        SIGNED.replace(".", "..", 1),
        SIGNED.rpartition(".")[0] + ".",
        sign_token({"exp": NOW}, "other"),
        jwt.encode({"exp": NOW}, "", algorithm="none"),
        jwt.encode({"exp": NOW}, KEY * 6, algorithm="HS512"),
        f"{part('{}')}.{part('{}')}.",
        f"{part('[]')}.{part('{}')}.",
        f"{part('[' * 100_000)}.{part('{}')}.",
        SIGNED + "é",
        "\udc80." + SIGNED,
    ],
)
def test_no_other_token_is_good(token: str) -> None:
    with pytest.raises(BadToken) as refusal:
        read_token(token, [KEY])
    assert "5ecret" not in repr(refusal.value)


@pytest.mark.parametrize("said", [{}, {"exp": "tomorrow"}, {"exp": NOW, "nbf": "now"}, {"exp": None}])
def test_a_token_says_until_when_it_is_valid(said: dict[str, Any]) -> None:
    with pytest.raises(BadToken, match="until when"):
        read_token(sign_token(said, KEY), [KEY], now=NOW)


def test_an_empty_key_verifies_nothing() -> None:
    for keys in ([], [""], ["", KEY]):
        with pytest.raises(BadToken):
            read_token(hand_signed('{"alg":"HS256"}', ""), keys)


@given(any_text, any_text, any_text)
def test_any_text_ends_in_good_order(header: str, payload: str, signature: str) -> None:
    for token in (f"{header}.{payload}.{signature}", f"{HS256}.{payload}.{signature}", payload):
        with suppress(BridgeError):
            read_token(token, [KEY], now=NOW)
