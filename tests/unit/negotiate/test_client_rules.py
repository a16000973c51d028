"""What admits a client, what names it, and which claims its token gets."""

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import jwt
import pytest
from signalr_bridge.errors import BadToken, InvalidName
from signalr_bridge.negotiate.negotiator import ClientToken
from signalr_bridge.negotiate.rules import ClientRequest, ClientRules, IdToken, Template
from signalr_bridge.web.tokens import TokenRules

from tests.unit.web.bad_tokens import bad_tokens
from tests.unit.web.issuing import AUDIENCE, ISSUER, NOW, said, signed
from tests.unit.web.test_signed_token import issuers

NOBODY = ClientRequest()
PLATFORM = {"x-ms-client-principal-id": ["pat"]}
DEFAULTS = ClientToken(lifetime_seconds=60, close_on_expiry=True)
ANONYMOUS = ClientRules(anonymous=True, defaults=DEFAULTS)
JWT = ClientRules(issuers=issuers(), defaults=DEFAULTS)


def bearer(*tokens: str, **headers: list[str]) -> ClientRequest:
    return ClientRequest({"authorization": [f"Bearer {one}" for one in tokens], **headers})


def query(**values: str) -> ClientRequest:
    return ClientRequest(query={name: [value] for name, value in values.items()})


async def user(rules: ClientRules, client_request: ClientRequest) -> str | None:
    admitted = await rules.admit(client_request)
    assert (admitted.lifetime_seconds, admitted.close_on_expiry) == (60, True)
    return admitted.user_id


async def refusal(rules: ClientRules, client_request: ClientRequest) -> str:
    with pytest.raises(BadToken) as caught:
        await rules.admit(client_request)
    return caught.value.detail


GOOD = signed(said(roles=["a", "b"], oid="o-1"))


async def test_by_default_nobody_is_admitted() -> None:
    assert await refusal(ClientRules(), NOBODY) == "the client shows no identity"
    await refusal(ClientRules(), bearer(GOOD))
    await refusal(ClientRules(), ClientRequest(PLATFORM))


async def test_anonymous() -> None:
    assert await ANONYMOUS.admit(NOBODY) == DEFAULTS
    assert await user(ANONYMOUS, ClientRequest(PLATFORM)) is None, "nobody vouches for those headers"
    assert await user(ANONYMOUS, bearer("nonsense")) is None, "tokens are not this hub's business"


async def test_a_token() -> None:
    assert await user(JWT, bearer(GOOD)) == "ann"
    assert await refusal(JWT, NOBODY) == "the client shows no identity"
    assert await refusal(JWT, ClientRequest({"authorization": ["Basic YTpi"]})) == "the client shows no identity"
    assert await refusal(JWT, bearer(GOOD, GOOD)) == "there are several tokens"
    by_oid = TokenRules(ISSUER, frozenset({AUDIENCE}), "oid")
    assert await user(replace(JWT, issuers=issuers(by_oid)), bearer(GOOD)) == "o-1"


async def test_a_static_web_app_s_user_in_a_template() -> None:
    text = b64encode(json.dumps({"userId": "ann", "userDetails": "Ann", "userRoles": ["r"]}).encode()).decode()
    signed_in = ClientRequest({"x-ms-client-principal": [text]})
    template = Template("{headers.x-ms-client-principal-id}/{headers.x-ms-client-principal-name}/{claims.roles}")
    assert await user(ClientRules(platform=True, user_id=template, defaults=DEFAULTS), signed_in) == "ann/Ann/r"
    assert await user(ClientRules(platform=True, defaults=DEFAULTS), signed_in) == "ann"
    await refusal(ClientRules(anonymous=True, user_id=template, defaults=DEFAULTS), signed_in)


BAD = bad_tokens()


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_token_and_its_reason(what: str) -> None:
    token, reason = BAD[what]
    strict = TokenRules(ISSUER, frozenset({AUDIENCE}), required={"roles": frozenset({"chatter"})})
    assert await refusal(ClientRules(issuers=issuers(strict)), bearer(token)) == reason


async def test_with_anonymous_too_a_token_is_optional_but_a_bad_one_is_not() -> None:
    both = replace(JWT, anonymous=True)
    assert await user(both, NOBODY) is None
    assert await user(both, bearer(GOOD)) == "ann"
    await refusal(both, bearer("nonsense"))
    await refusal(both, bearer(""))


async def test_the_platform() -> None:
    platform = ClientRules(platform=True, defaults=DEFAULTS)
    assert await user(platform, ClientRequest(PLATFORM)) == "pat"
    await refusal(platform, NOBODY)
    await refusal(platform, ClientRequest({"x-ms-client-principal-id": ["pat", "eve"]}))
    assert await user(replace(JWT, platform=True), bearer(GOOD, **PLATFORM)) == "ann", "the token goes before"


@pytest.mark.parametrize("name", [" ", " ann", "ann ", ".", "a\nb", "x" * 1025, "x, bridge.claims: e30"])
async def test_a_user_that_no_client_may_be(name: str) -> None:
    await refusal(JWT, bearer(signed(said(sub=name))))
    await refusal(ClientRules(platform=True), ClientRequest({"x-ms-client-principal-id": [name]}))
    with pytest.raises(InvalidName):
        await replace(ANONYMOUS, user_id=Template("{query.u}")).admit(query(u=name))


async def test_a_template_names_and_never_admits() -> None:
    template = Template("{query.u}")
    assert await user(replace(ANONYMOUS, user_id=template), query(u="ann")) == "ann"
    await refusal(replace(ANONYMOUS, user_id=template), NOBODY)
    await refusal(ClientRules(user_id=template), query(u="ann"))
    await refusal(ClientRules(user_id=Template("fixed")), NOBODY)


async def test_a_template_over_claims_goes_before_the_claim_of_the_user() -> None:
    by_claims = replace(JWT, user_id=Template("{claims.oid}"), anonymous=True)
    assert await user(by_claims, bearer(GOOD)) == "o-1"
    assert await user(by_claims, bearer(signed(said(sub=None, oid="x")))) == "x"
    await refusal(by_claims, NOBODY)
    await refusal(by_claims, bearer(signed(said(oid=["a", "b"]))))


async def claims(rules: ClientRules, client_request: ClientRequest) -> dict[str, Any]:
    return dict((await rules.admit(client_request)).claims)


async def test_claims_are_copied_from_what_admitted() -> None:
    types = ("roles", "absent")
    assert await claims(replace(JWT, claim_types=types), bearer(GOOD)) == {"roles": ("a", "b")}
    assert await claims(JWT, bearer(GOOD)) == {}
    text = b64encode(json.dumps({"claims": [{"typ": "roles", "val": "a"}]}).encode()).decode()
    platform = ClientRules(platform=True, claim_types=types)
    assert await claims(platform, ClientRequest(PLATFORM | {"x-ms-client-principal": [text]})) == {"roles": ("a",)}


ID_TOKEN = Template("{headers.x-ms-token-aad-id-token}")


def with_id_token(token: str) -> ClientRequest:
    return ClientRequest(PLATFORM | {"x-ms-token-aad-id-token": [token]})


async def test_claims_are_copied_from_an_id_token_that_is_verified() -> None:
    rules = ClientRules(platform=True, id_token=IdToken(ID_TOKEN, issuers()), claim_types=("roles",))
    for token in (GOOD, f"Bearer {GOOD}"):
        assert await claims(rules, with_id_token(token)) == {"roles": ("a", "b")}
    await refusal(rules, ClientRequest(PLATFORM))
    await refusal(rules, with_id_token(signed(said(exp=int(NOW) - 100))))
    await refusal(rules, with_id_token(signed(said(), "rsa-foreign", header={"kid": "rsa"})))
    assert await refusal(replace(rules, platform=False), with_id_token(GOOD)) == "the client shows no identity"


async def test_an_id_token_may_be_believed_as_it_is() -> None:
    rules = ClientRules(platform=True, id_token=IdToken(ID_TOKEN, None), claim_types=("roles",))
    forged = signed(said(exp=1, roles="x"), "rsa-foreign")
    told = {"roles": "x"}
    unsigned = jwt.encode(told, "", "none")
    for token in (forged, jwt.encode(told, "k" * 32), unsigned, jwt.encode(told, "k" * 32, headers={"typ": "other"})):
        assert await claims(rules, with_id_token(token)) == {"roles": ("x",)}
    twice = b64encode(b'{"roles":1,"roles":2}').decode()
    for token in (
        "nonsense",
        "a.b.c",
        "e30.W10.",
        f"é{unsigned}",
        f"{unsigned}..",
        f"e30.{twice}.",
        f"{unsigned}{'x' * 16_384}",
    ):
        await refusal(rules, with_id_token(token))


def test_nothing_secret_shows() -> None:
    assert "canary" not in repr(bearer("canary"))
