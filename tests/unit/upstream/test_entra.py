"""Which tokens of Entra prove that the service calls."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import BadToken
from signalr_bridge.upstream.entra import make_rules, read_application, read_key_id
from signalr_bridge.web.tokens import PublishedKey

from tests.unit.protocol.legal import any_text
from tests.unit.upstream.bad_tokens import bad_tokens
from tests.unit.upstream.issued import (
    APPLICATION,
    AUDIENCE,
    NOW,
    OTHER_APPLICATION,
    TENANT,
    V1,
    V2,
    private_key,
    published,
    rules,
    token,
)


def check(text: str, **more: Any) -> str:
    if read_key_id(text) != "first":
        raise BadToken("The key is unknown.")
    return read_application(text, published("first"), rules(**more), NOW)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token(version=V1), id="version 1.0"),
        pytest.param(token(version=V2), id="version 2.0"),
        pytest.param(token(aud="api://second"), id="the second audience"),
        pytest.param(token(appid=APPLICATION.upper(), tid=TENANT.upper()), id="ids in upper case"),
        pytest.param(token(azp=APPLICATION), id="the application twice"),
        pytest.param(token(exp=int(NOW) - 299), id="expired within the skew"),
        pytest.param(token(nbf=int(NOW) + 300, iat=int(NOW) + 300), id="valid soon, within the skew"),
        pytest.param(token(nbf=None, iat=None), id="without a beginning"),
        pytest.param(token(exp=NOW + 0.5), id="fractions of a second"),
        *(pytest.param(token(algorithm=one), id=one) for one in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ],
)
def test_a_good_token_names_its_application(text: str) -> None:
    assert check(text) == APPLICATION


@pytest.mark.parametrize(("what", "text"), bad_tokens().items(), ids=lambda one: one[:40])
def test_a_bad_token_is_refused(what: str, text: str) -> None:
    with pytest.raises(BadToken) as refusal:
        check(text)
    assert not text or text[:30] not in repr(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_any_application_of_the_tenant_when_the_settings_say_so() -> None:
    assert check(token(appid=OTHER_APPLICATION), applications=["*"]) == OTHER_APPLICATION
    for wrong in (
        {"appid": None},
        {"appid": ""},
        {"appid": "*"},
        {"scp": "user_impersonation"},
        {"tid": OTHER_APPLICATION},
        {"aud": "another"},
    ):
        with pytest.raises(BadToken):
            check(token(**wrong), applications=["*"])


def test_a_key_verifies_by_its_own_algorithms_alone() -> None:
    key = PublishedKey(private_key("first").public_key(), ("RS256",))
    assert read_application(token(), key, rules(), NOW) == APPLICATION
    with pytest.raises(BadToken):
        read_application(token(algorithm="PS256"), key, rules(), NOW)


@pytest.mark.parametrize(
    ("authority", "issuer"),
    [
        ("https://login.microsoftonline.com", f"https://sts.windows.net/{TENANT}/"),
        ("https://login.microsoftonline.us", f"https://login.microsoftonline.us/{TENANT}/v2.0"),
        ("https://login.microsoftonline.us", f"https://sts.windows.net/{TENANT}/"),
        ("https://login.chinacloudapi.cn", f"https://sts.chinacloudapi.cn/{TENANT}/"),
        ("https://login.partner.microsoftonline.cn", f"https://login.partner.microsoftonline.cn/{TENANT}/v2.0"),
        ("https://localhost:8443", f"https://localhost:8443/{TENANT}/v2.0"),
        ("https://localhost:8443", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
    ],
)
def test_the_issuers_of_an_authority(authority: str, issuer: str) -> None:
    made = make_rules(TENANT.upper(), [AUDIENCE], [APPLICATION], authority)
    assert read_application(token(iss=issuer), published("first"), made, NOW) == APPLICATION


def test_an_authority_believes_no_other() -> None:
    with pytest.raises(BadToken):
        check(token(iss=f"https://login.microsoftonline.us/{TENANT}/v2.0"))


@given(any_text | st.text("abcABC019-_.", max_size=200))
def test_any_text_is_refused_in_good_order(text: str) -> None:
    with pytest.raises(BadToken):
        read_key_id(text)


@given(st.binary(max_size=60))
def test_any_signed_payload_is_refused_in_good_order(payload: bytes) -> None:
    with pytest.raises(BadToken):
        check(token(payload))
