"""Where a client is sent, and what its token says (read by PyJWT)."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import jwt
import pytest
from signalr_bridge.endpoints.endpoint import make_endpoint
from signalr_bridge.errors import NoEndpointAvailable, ReservedClaim, TokenTooLong, UnknownEndpoint
from signalr_bridge.negotiate.negotiator import ClientToken, ConnectionInfo, Negotiator
from signalr_bridge.protocol.connection_string import parse_connection_string

from tests.unit.endpoints.fakes import NOW, FakeTransport, directory, endpoint, key_of, offline, registry

URL = "https://a.example/client/?hub=chat"


def negotiator(*, lossless: bool = True) -> Negotiator:
    known = registry([endpoint("a"), endpoint("x", "Secondary")], FakeTransport())
    return Negotiator(directory(known), clock=lambda: NOW + 0.9, is_lossless=lambda hub: lossless)


def read(token: str, key: str = key_of("a"), audience: str = URL) -> dict[str, Any]:
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"], audience=audience, options=options)
    return claims


def lossless_claims(claims: dict[str, Any]) -> Any:
    text = claims["bridge.claims"]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


async def test_an_anonymous_client() -> None:
    info = await negotiator().negotiate("chat", ClientToken())
    assert info.url == URL
    assert read(info.access_token) == {"nbf": NOW, "exp": NOW + 3600, "iat": NOW, "aud": URL}
    assert info.as_json() == {"url": info.url, "accessToken": info.access_token}
    assert info.access_token not in repr(info)


@pytest.mark.parametrize("url", [URL, "https://a.example/pfad/é/client/?hub=chat", 'https://a.example/"\\\x7f\x01\n'])
def test_the_answer_is_the_json_text_of_url_and_token(url: str) -> None:
    text = json.dumps({"url": url, "accessToken": "ey.J.0"}, ensure_ascii=False, separators=(",", ":"))
    assert ConnectionInfo(url, "ey.J.0").write() == text.encode()


async def test_each_endpoint_and_hub_has_its_own_audience_however_often_it_is_asked_for() -> None:
    found = negotiator()
    for hub, name in [("chat", "a"), ("news", "a"), ("chat", "x"), ("chat", "a"), ("news", "x")]:
        info = await found.negotiate(hub, ClientToken(endpoint=name))
        assert info.url == f"https://{name}.example/client/?hub={hub}"
        assert read(info.access_token, key_of(name), info.url)["aud"] == info.url


async def test_everything_a_caller_can_ask_for() -> None:
    wanted = ClientToken("ann", {"role": ["admin", "editor"], "age": (7,)}, 60, "X", True)
    info = await negotiator().negotiate("chat", wanted)
    assert info.url == "https://x.example/client/?hub=chat"
    claims = read(info.access_token, key_of("x"), info.url)
    assert lossless_claims(claims) == {"role": ["admin", "editor"], "age": "7"}
    del claims["bridge.claims"]
    assert claims == {
        "asrs.s.uid": "ann",
        "asrs.s.coae": "true",
        "asrs.s.aeo": NOW + 60,
        "role": ["admin", "editor"],
        "age": 7,
        "nbf": NOW,
        "exp": NOW + 60,
        "iat": NOW,
        "aud": info.url,
    }


async def test_claims_outside_ascii_travel_encoded_alone_and_a_user_id_is_warned_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wanted = ClientToken("zoë", {"role": ["a"], "città": ["b"], "team": ["red", "grün"], "sub": ["é"], "age": [7, "é"]})
    exact, plain = negotiator(), negotiator(lossless=False)
    await exact.negotiate("chat", wanted)
    claims = read((await exact.negotiate("chat", wanted)).access_token)
    assert lossless_claims(claims).keys() == wanted.claims.keys()
    assert claims.keys() == {"asrs.s.uid", "role", "bridge.claims", "nbf", "exp", "iat", "aud"}
    await exact.negotiate_all("chat", wanted)
    assert [one.message for one in caplog.records] == ["user id outside ASCII"]
    assert "reference emulator" in vars(caplog.records[0])["reason"]
    await plain.negotiate("chat", ClientToken("ann", wanted.claims))
    claims = read((await plain.negotiate("chat", ClientToken("ann", wanted.claims))).access_token)
    assert claims["team"] == ["red", "grün"]
    assert [one.message for one in caplog.records[1:]] == ["claim outside ASCII"]
    assert "zoë" not in caplog.text


async def test_a_claim_that_the_service_would_misread_is_renamed() -> None:
    claims = read((await negotiator().negotiate("chat", ClientToken(claims={"sub": ["x"], "aud": ["y"]}))).access_token)
    assert (claims["asrs.u.sub"], claims["asrs.u.aud"], claims["aud"]) == ("x", "y", URL)
    assert not {"sub", "asrs.s.uid"} & claims.keys(), "it must not turn into the user id"


async def test_without_lossless_claims_nobody_can_forge_them() -> None:
    plain = negotiator(lossless=False)
    claims = read((await plain.negotiate("chat", ClientToken("ann", {"role": ["admin"]}))).access_token)
    assert "bridge.claims" not in claims
    with pytest.raises(ReservedClaim):
        await plain.negotiate("chat", ClientToken("x, bridge.claims: e30"))


async def test_the_audience_has_no_port_and_a_client_endpoint_is_in_the_url_alone() -> None:
    text = (
        "Endpoint=http://localhost;Port=8888;AccessKey=" + key_of("e") + ";ClientEndpoint=https://gate.example/signalr;"
    )
    known = registry([make_endpoint("e", "Primary", parse_connection_string(text), lambda: NOW)], FakeTransport())
    info = await Negotiator(directory(known), clock=lambda: NOW).negotiate("chat", ClientToken())
    assert info.url == "https://gate.example/signalr/client/?hub=chat"
    read(info.access_token, key_of("e"), "http://localhost/client/?hub=chat")


async def test_a_token_has_at_most_4096_characters() -> None:
    async def fits(size: int) -> int:
        """The token's length; 0 when it would be too long."""
        try:
            return len((await negotiator().negotiate("chat", ClientToken(claims={"x": ["y" * size]}))).access_token)
        except TokenTooLong:
            return 0

    lengths = [await fits(size) for size in range(1150, 1250)]
    assert 4090 <= max(lengths) <= 4096
    assert lengths == sorted(lengths[: lengths.index(0)]) + [0] * lengths.count(0)
    assert TokenTooLong.status == 400


async def test_a_pinned_endpoint() -> None:
    known = registry([endpoint("a"), endpoint("b")], FakeTransport(), health=offline("b"))
    found = Negotiator(directory(known), clock=lambda: NOW)
    with pytest.raises(UnknownEndpoint) as unknown:
        await found.negotiate("chat", ClientToken(endpoint="zz"))
    with pytest.raises(NoEndpointAvailable) as down:
        await found.negotiate("chat", ClientToken(endpoint="b"))
    assert (unknown.value.status, down.value.status) == (422, 503)
    assert "Retry-After" in down.value.headers
