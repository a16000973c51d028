"""Tokens of the service's identity, checked against a real issuer over TLS."""

import asyncio
import json
from collections.abc import Iterator

import pytest
import trustme
from signalr_bridge.errors import Unauthenticated
from signalr_bridge.upstream.authenticator import ServiceIdentity
from signalr_bridge.upstream.entra import EntraTokens, entra_documents
from signalr_bridge.web.issuer_keys import SECONDS_BETWEEN_FETCHES, Discovery, KeyCache
from signalr_bridge.web.observer import SILENT

from tests.azure.issuer import V1_DOCUMENT, V1_KEYS, V2_DOCUMENT, V2_KEYS, Issuer, run_issuer
from tests.unit.upstream.bad_tokens import bad_tokens
from tests.unit.upstream.fakes import authenticator, event
from tests.unit.upstream.issued import (
    APPLICATION,
    NOW,
    TENANT,
    V1,
    V2,
    FakeClock,
    jwk,
    rules,
    token,
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def steady(authority: trustme.CA) -> Iterator[Issuer]:
    """An issuer that no test changes."""
    with run_issuer(authority) as running:
        yield running


@pytest.fixture
def issuer(authority: trustme.CA) -> Iterator[Issuer]:
    with run_issuer(authority) as running:
        yield running


class TokenCheck:
    """What checks the calls of one endpoint that has an identity and no key."""

    def __init__(self, issuer: Issuer, fetch_seconds: float = 5.0, believed: Issuer | None = None) -> None:
        certificates = (believed or issuer).certificates
        self.clock, self.wall = FakeClock(0.0), FakeClock(NOW)
        keys = KeyCache(
            Discovery(entra_documents(issuer.url, TENANT), certificates).fetch,
            self.clock,
            fetch_seconds,
            observer=SILENT,
        )
        tokens = EntraTokens(rules(authority=issuer.url), keys, self.wall)
        self._authenticator = authenticator([ServiceIdentity("west", APPLICATION)], tokens)

    async def accepts(self, text: str) -> bool:
        try:
            endpoint = await self._authenticator.check(b"", [(b"authorization", b"Bearer " + text.encode())], event())
        except Unauthenticated:
            return False
        assert endpoint == "west"
        return True


GOOD = token()


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
async def test_a_token_of_either_version_opens(issuer: Issuer, algorithm: str) -> None:
    check = TokenCheck(issuer)
    for version in (V1, V2, {**V2, "iss": f"{issuer.url}/{TENANT}/v2.0"}):
        assert await check.accepts(token(version=version, algorithm=algorithm))
    assert sorted(issuer.asked) == sorted([V1_DOCUMENT, V2_DOCUMENT, V1_KEYS, V2_KEYS])


@pytest.mark.parametrize("what", bad_tokens())
async def test_a_bad_token_opens_nothing(steady: Issuer, what: str) -> None:
    check = TokenCheck(steady)
    assert not await check.accepts(bad_tokens()[what])
    assert await check.accepts(GOOD)


async def test_the_clocks_may_differ_by_five_minutes(issuer: Issuer) -> None:
    check = TokenCheck(issuer)
    for seconds, opens in ((-301, False), (-300, True), (3600 + 299, True), (3600 + 300, False)):
        check.wall.now = NOW + seconds
        assert await check.accepts(GOOD) is opens


# --- keys come and go


async def test_new_keys_of_the_issuer_are_found(issuer: Issuer) -> None:
    check = TokenCheck(issuer)
    assert await check.accepts(GOOD)
    issuer.names = ["first", "second"]
    check.clock.now += SECONDS_BETWEEN_FETCHES
    assert await check.accepts(token(name="second"))
    assert await check.accepts(GOOD)
    issuer.names = ["second", "third"]
    check.clock.now += SECONDS_BETWEEN_FETCHES
    assert await check.accepts(token(name="third"))
    assert not await check.accepts(GOOD)  # withdrawn


async def test_strangers_do_not_make_us_ask_again_and_again(issuer: Issuer) -> None:
    check = TokenCheck(issuer)
    stranger = token(name="foreign")
    assert await asyncio.gather(*(check.accepts(stranger) for _ in range(30))) == [False] * 30
    assert len(issuer.asked) == 4
    check.clock.now += SECONDS_BETWEEN_FETCHES - 1
    assert not await check.accepts(stranger)
    assert len(issuer.asked) == 4
    check.clock.now += 1
    assert not await check.accepts(stranger)
    assert len(issuer.asked) == 8


async def test_many_who_wait_ask_once(issuer: Issuer) -> None:
    check = TokenCheck(issuer)
    issuer.open.clear()
    waiting = [asyncio.create_task(check.accepts(GOOD)) for _ in range(30)]
    while len(issuer.asked) < 2:  # noqa: ASYNC110 - the issuer lives in another thread
        await asyncio.sleep(0.005)
    issuer.open.set()
    assert await asyncio.gather(*waiting) == [True] * 30
    assert len(issuer.asked) == 4


# --- an issuer that is not well


async def test_an_issuer_that_is_down_opens_nothing(authority: trustme.CA) -> None:
    with run_issuer(authority) as gone:
        check = TokenCheck(gone)
    assert not await check.accepts(GOOD)


async def test_known_keys_outlive_their_issuer(authority: trustme.CA) -> None:
    with run_issuer(authority) as issuer:
        check = TokenCheck(issuer)
        assert await check.accepts(GOOD)
    check.clock.now += SECONDS_BETWEEN_FETCHES
    assert not await check.accepts(token(name="second"))
    assert await check.accepts(GOOD)


async def test_a_slow_issuer_is_cut_off_and_asked_again(issuer: Issuer) -> None:
    check = TokenCheck(issuer, fetch_seconds=0.2)
    issuer.open.clear()
    assert not await check.accepts(GOOD)
    issuer.open.set()
    assert not await check.accepts(GOOD)  # not within the minute
    check.clock.now += SECONDS_BETWEEN_FETCHES
    assert await check.accepts(GOOD)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b""),
        (404, {}, b""),
        (302, {"Location": "/elsewhere"}, b""),
        (200, {}, b""),
        (200, {}, b"{}"),
        (200, {}, b"[" * 100_000),
        (200, {}, b"\xff"),
        (200, {}, b" " * 2_000_000),
        (200, {"Content-Encoding": "gzip"}, b"no gzip"),
        (200, {"Content-Length": "1000000"}, b'{"keys":[]}'),
        (200, {}, b'{"keys":[],"jwks_uri":"http://localhost/keys"}'),
        (200, {}, b'{"keys":[],"jwks_uri":"https://[::/keys"}'),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("where", [(V1_DOCUMENT, V2_DOCUMENT), (V1_KEYS, V2_KEYS)], ids=["documents", "keys"])
async def test_any_other_answer_opens_nothing(
    issuer: Issuer, where: tuple[str, str], answer: tuple[int, dict[str, str], bytes]
) -> None:
    issuer.answers = dict.fromkeys(where, answer)
    issuer.answers["/elsewhere"] = (200, {}, json.dumps({"keys": [jwk("first")]}).encode())
    check = TokenCheck(issuer)
    assert not await check.accepts(GOOD)
    assert "/elsewhere" not in issuer.asked
    issuer.answers = {}
    check.clock.now += SECONDS_BETWEEN_FETCHES
    assert await check.accepts(GOOD)


@pytest.mark.parametrize(("padding", "opens"), [(1_000, True), (1_100_000, False)])
async def test_an_answer_has_a_megabyte_at_most(issuer: Issuer, padding: int, opens: bool) -> None:
    keys = json.dumps({"keys": [jwk("first")]}).encode() + b" " * padding
    issuer.answers = dict.fromkeys((V1_KEYS, V2_KEYS), (200, {}, keys))
    assert await TokenCheck(issuer).accepts(GOOD) is opens


@pytest.mark.parametrize("missing", [V1_DOCUMENT, V2_DOCUMENT, V1_KEYS, V2_KEYS])
async def test_one_of_the_two_documents_is_enough(issuer: Issuer, missing: str) -> None:
    issuer.answers = {missing: (404, {}, b"")}
    assert await TokenCheck(issuer).accepts(GOOD)


async def test_the_keys_of_both_documents_count(issuer: Issuer) -> None:
    issuer.answers = {V1_KEYS: (200, {}, json.dumps({"keys": [jwk("old")]}).encode())}
    check = TokenCheck(issuer)
    assert await check.accepts(GOOD)
    assert await check.accepts(token(name="old"))


async def test_an_issuer_without_a_trusted_certificate_is_no_issuer(issuer: Issuer) -> None:
    with run_issuer(trustme.CA()) as foreign:
        assert not await TokenCheck(foreign, believed=issuer).accepts(GOOD)
        assert foreign.asked == []


async def test_what_the_fetch_raises_says_what_went_wrong(issuer: Issuer) -> None:
    issuer.answers = dict.fromkeys((V1_DOCUMENT, V2_DOCUMENT), (500, {}, b""))
    with pytest.raises(Exception, match="500"):
        await Discovery(entra_documents(issuer.url, TENANT), issuer.certificates).fetch()
