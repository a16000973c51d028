"""Who may call upstream."""

import hmac
from collections.abc import Sequence

import pytest
from signalr_bridge.errors import SettingsError, Unauthenticated
from signalr_bridge.protocol.upstream_event import EventHeaders, sign
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.authenticator import (
    ServiceIdentity,
    UpstreamAuthenticator,
    VerificationKey,
    Verifier,
    build_authenticator,
)
from signalr_bridge.upstream.entra import EntraTokens
from signalr_bridge.web.issuer_keys import KeyCache
from signalr_bridge.web.observer import SILENT

from tests.unit.upstream.bad_tokens import bad_tokens
from tests.unit.upstream.fakes import authenticator, event
from tests.unit.upstream.issued import APPLICATION, OTHER_APPLICATION, FakeClock, FakeIssuer, rules, token

EAST, WEST, OLD = "key-of-east", "key-of-west", "verify-only"
VERIFIERS = [VerificationKey("east", EAST), VerificationKey("west", WEST)]


async def check(
    *signatures: bytes | str, headers: EventHeaders | None = None, trust: UpstreamAuthenticator | None = None
) -> str | None:
    lines = [(b"x-asrs-signature", one.encode() if isinstance(one, str) else one) for one in signatures]
    trust = trust or authenticator(VERIFIERS, keys=[OLD])
    return await trust.check(b"", lines, headers or event())


EAST_SIGNED, WEST_SIGNED, OLD_SIGNED = (sign("c1", key) for key in (EAST, WEST, OLD))
FOREIGN = sign("c1", "somebody else's")


@pytest.mark.parametrize(
    ("signatures", "endpoint"),
    [
        pytest.param([EAST_SIGNED], "east", id="first key"),
        pytest.param([WEST_SIGNED], "west", id="second key"),
        pytest.param([OLD_SIGNED], None, id="verify-only key"),
        pytest.param([f"{FOREIGN},{WEST_SIGNED}"], "west", id="second signature"),
        pytest.param([f"{FOREIGN}, {WEST_SIGNED}"], "west", id="blank after the comma"),
        pytest.param([f" ,,{WEST_SIGNED} ,"], "west", id="empty pieces"),
        pytest.param([FOREIGN, WEST_SIGNED], "west", id="second line"),
        pytest.param([EAST_SIGNED.upper()], "east", id="upper case"),
        pytest.param([EAST_SIGNED.replace("sha256=", "SHA256=")], "east", id="upper-case scheme"),
        pytest.param([",".join([FOREIGN] * 15 + [EAST_SIGNED])], "east", id="the 16th"),
        pytest.param(["é,".encode() + EAST_SIGNED.encode()], "east", id="behind one that is not ASCII"),
    ],
)
async def test_any_signature_by_any_key_opens(signatures: list[str | bytes], endpoint: str | None) -> None:
    assert await check(*signatures) == endpoint


@pytest.mark.parametrize(
    "signatures",
    [
        pytest.param([], id="no header"),
        pytest.param([""], id="empty header"),
        pytest.param([",, ,"], id="only commas"),
        pytest.param([FOREIGN], id="another key"),
        pytest.param([sign("c2", EAST)], id="another connection"),
        pytest.param([EAST_SIGNED[:-1]], id="shortened"),
        pytest.param([EAST_SIGNED.removeprefix("sha256=")], id="without its scheme"),
        pytest.param(["sha256="], id="scheme alone"),
        pytest.param([hmac.digest(b"", b"c1", "sha256").hex()], id="the empty key, bare"),
        pytest.param(["sha256=" + hmac.digest(b"", b"c1", "sha256").hex()], id="the empty key"),
        pytest.param([",".join([FOREIGN] * 16 + [EAST_SIGNED])], id="the 17th"),
        pytest.param([FOREIGN] * 16 + [EAST_SIGNED], id="the 17th line"),
        pytest.param([",".join([FOREIGN] * 10_000)], id="ten thousand"),
        pytest.param(["sha256=\u00e9\u4f60".encode()], id="UTF-8"),
        pytest.param([b"\xff\xfe"], id="not UTF-8"),
    ],
)
async def test_everything_else_is_turned_away(signatures: list[str | bytes]) -> None:
    with pytest.raises(Unauthenticated):
        await check(*signatures)


@pytest.mark.parametrize("headers", [event(hub=""), event(connection_id=""), EventHeaders()])
async def test_nothing_is_verified_without_hub_and_connection(headers: EventHeaders) -> None:
    with pytest.raises(Unauthenticated):
        await check(sign("", EAST), EAST_SIGNED, headers=headers)


async def test_without_any_key_nothing_opens() -> None:
    with pytest.raises(Unauthenticated):
        await check(EAST_SIGNED, trust=authenticator([]))


async def test_unsigned_calls_are_taken_when_a_setting_says_so() -> None:
    trust = authenticator(VERIFIERS, allow_unsigned=True)
    assert await check(trust=trust) is None
    assert await check(FOREIGN, trust=trust) is None
    assert await check(WEST_SIGNED, trust=trust) == "west"
    assert await check(headers=EventHeaders(), trust=trust) is None


async def test_keys_are_those_of_the_hub_and_nobody_asks_for_them_again() -> None:
    asked: list[str] = []
    keys = {"": WEST, "*": WEST, "chat": EAST}

    def keys_of(hub: str) -> Sequence[VerificationKey]:
        asked.append(hub)
        return [VerificationKey("east", keys[hub])]

    trust = build_authenticator(Settings.model_validate({"hubs": {"chat": {}}}), keys_of)
    keys.clear()
    for _ in range(100):
        assert await check(EAST_SIGNED, headers=event(hub="Chat"), trust=trust) == "east"
        with pytest.raises(Unauthenticated):
            await check(EAST_SIGNED, headers=event(hub="news"), trust=trust)
        with pytest.raises(Unauthenticated):
            await check(WEST_SIGNED, trust=trust)
        assert await check(WEST_SIGNED, headers=event(hub="news"), trust=trust) == "east"
    assert sorted(asked) == ["", "*", "chat"]


async def test_a_hub_may_have_rules_of_its_own() -> None:
    given = {"upstream": {"keys": [OLD]}, "hubs": {"chat": {"upstream": {"keys": [], "allow_unsigned": True}}}}
    trust = build_authenticator(Settings.model_validate(given), lambda hub: [])
    assert await check(headers=event(hub="CHAT"), trust=trust) is None
    assert await check(OLD_SIGNED, headers=event(hub="news"), trust=trust) is None
    with pytest.raises(Unauthenticated):
        await check(headers=event(hub="news"), trust=trust)
    trust.check_verifiable("*", "a handler of all hubs")
    assert trust.rules_of("Chat").keys == ()


CODE = "the code/of+it="


@pytest.mark.parametrize(
    ("query", "header", "opens"),
    [
        (b"code=the+code%2Fof%2Bit%3D", b"", True),
        (b"Code=second", b"", True),
        (b"code=the%20code%2Fof%2Bit%3D", b"", True),
        (b"code=the%20code/of%2bit=", b"", True),
        (b"code=second&x", b"", True),
        (b"code=secon%64", b"", True),
        (b"code=the code/of+it=", b"", False),
        (b"xcode=second", b"", False),
        (b"code=wrong&code=second", b"", True),
        (b"", CODE.encode(), True),
        (b"code=wrong", b"second", True),
        (b"", b"", False),
        (b"code=", b"", False),
        (b"code=wrong", b"", False),
        (b"code=second%00", b"", False),
        (b"code=%FF", "\u00e9".encode(), False),
        (b"&".join([b"code=wrong"] * 16) + b"&code=second", b"", False),
    ],
)
async def test_the_code_stands_in_query_or_header(query: bytes, header: bytes, opens: bool) -> None:
    trust = authenticator(VERIFIERS, code=[CODE, "second"])
    lines = [(b"x-asrs-signature", EAST_SIGNED.encode())] + ([(b"x-functions-key", header)] if header else [])
    if opens:
        assert await trust.check(query, lines, event()) == "east"
    else:
        with pytest.raises(Unauthenticated, match="code"):
            await trust.check(query, lines, event())


async def test_the_code_does_not_replace_the_signature() -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        await authenticator(VERIFIERS, code=["second"]).check(b"code=second", [], event())


async def test_unsigned_calls_need_the_code_all_the_same() -> None:
    with pytest.raises(Unauthenticated, match="code"):
        await authenticator([], code=["second"], allow_unsigned=True).check(b"", [], event())


@pytest.mark.parametrize(("codes", "keys"), [([""], []), ([], [""])])
def test_empty_secrets_are_refused_at_the_start(codes: list[str], keys: list[str]) -> None:
    with pytest.raises(SettingsError, match="empty"):
        authenticator([], code=codes, keys=keys)


def test_handlers_that_nobody_could_reach_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"'chat'.*my_chat:send"):
        authenticator([]).check_verifiable("chat", "my_chat:send")
    authenticator(VERIFIERS).check_verifiable("chat", "")
    authenticator([], keys=[OLD]).check_verifiable("chat", "")
    authenticator([], allow_unsigned=True).check_verifiable("chat", "")


def test_a_hub_that_tokens_alone_verify_needs_their_settings() -> None:
    with pytest.raises(SettingsError, match="BRIDGE_UPSTREAM__ENTRA"):
        authenticator([ServiceIdentity("west")]).check_verifiable("chat", "")
    with pytest.raises(SettingsError):
        authenticator([], tokens=entra()).check_verifiable("chat", "")
    authenticator([ServiceIdentity("west")], tokens=entra()).check_verifiable("chat", "")


# --- tokens, and endpoints with keys, with identities, and both


def entra(*names: str, applications: Sequence[str] = (APPLICATION,)) -> EntraTokens:
    issuer = FakeIssuer(*(names or ("first",)))
    return EntraTokens(
        rules(applications=list(applications)), KeyCache(issuer.fetch, FakeClock(0.0), observer=SILENT), FakeClock()
    )


KEY, IDENTITY = VerificationKey("east", EAST), ServiceIdentity("west")
ENDPOINTS: dict[str, list[Verifier]] = {
    "identity": [IDENTITY],
    "named": [ServiceIdentity("west", APPLICATION)],
    "other": [ServiceIdentity("west", OTHER_APPLICATION)],
    "key": [KEY],
    "mixed": [KEY, IDENTITY],
    "mixed, named": [KEY, ServiceIdentity("west", APPLICATION)],
    "both": [KEY, ServiceIdentity("east", APPLICATION)],
    "none": [],
}
CALLS = {
    "nothing": (None, None),
    "east's": (EAST_SIGNED, None),
    "verify-only": (OLD_SIGNED, None),
    "foreign": (FOREIGN, None),
    "empty key's": ("sha256=" + hmac.digest(b"", b"c1", "sha256").hex(), None),
    "token": (None, token()),
    "foreign, token": (FOREIGN, token()),
    "east's, bad token": (EAST_SIGNED, token(name="foreign")),
    "bad token": (None, token(name="foreign")),
    "other's token": (None, token(appid=OTHER_APPLICATION)),
}
UNKNOWN = "(unknown)"
SHUT = "(shut)"
TABLE = {
    "identity":     [SHUT, SHUT,   UNKNOWN, SHUT, SHUT, UNKNOWN, UNKNOWN, SHUT,   SHUT, SHUT],
    "named":        [SHUT, SHUT,   UNKNOWN, SHUT, SHUT, "west",  "west",  SHUT,   SHUT, SHUT],
    "other":        [SHUT, SHUT,   UNKNOWN, SHUT, SHUT, SHUT,    SHUT,    SHUT,   SHUT, SHUT],
    "key":          [SHUT, "east", UNKNOWN, SHUT, SHUT, SHUT,    SHUT,    "east", SHUT, SHUT],
    "mixed":        [SHUT, "east", UNKNOWN, SHUT, SHUT, UNKNOWN, UNKNOWN, "east", SHUT, SHUT],
    "mixed, named": [SHUT, "east", UNKNOWN, SHUT, SHUT, "west",  "west",  "east", SHUT, SHUT],
    "both":         [SHUT, "east", UNKNOWN, SHUT, SHUT, "east",  "east",  "east", SHUT, SHUT],
    "none":         [SHUT, SHUT,   UNKNOWN, SHUT, SHUT, SHUT,    SHUT,    SHUT,   SHUT, SHUT],
}  # fmt: skip
CELLS = [
    (*cell, opens) for name, row in TABLE.items() for cell, opens in zip(((name, c) for c in CALLS), row, strict=True)
]


def lines_of(call: str) -> list[tuple[bytes, bytes]]:
    signature, given = CALLS[call]
    lines = [(b"x-asrs-signature", signature.encode())] if signature is not None else []
    return lines + ([(b"authorization", b"Bearer " + given.encode())] if given is not None else [])


@pytest.mark.parametrize(("endpoints", "call", "opens"), CELLS)
async def test_which_call_opens_which_endpoints(endpoints: str, call: str, opens: str) -> None:
    trust = authenticator(ENDPOINTS[endpoints], keys=[OLD], tokens=entra())
    if opens == SHUT:
        with pytest.raises(Unauthenticated):
            await trust.check(b"", lines_of(call), event())
    else:
        assert await trust.check(b"", lines_of(call), event()) == (None if opens == UNKNOWN else opens)


@pytest.mark.parametrize("endpoints", ENDPOINTS)
async def test_without_settings_of_entra_no_token_opens(endpoints: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(ENDPOINTS[endpoints]).check(b"", lines_of("token"), event())


@pytest.mark.parametrize("headers", [event(hub=""), event(connection_id=""), EventHeaders()])
async def test_a_token_needs_hub_and_connection_too(headers: EventHeaders) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator([IDENTITY], tokens=entra()).check(b"", lines_of("token"), headers)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  "])
async def test_the_scheme_ignores_case(scheme: bytes) -> None:
    lines = [(b"authorization", scheme + token().encode())]
    assert await authenticator([IDENTITY], tokens=entra()).check(b"", lines, event()) is None


@pytest.mark.parametrize(
    "values",
    [
        [token().encode()],
        [b"Basic " + token().encode()],
        [b"Bearer" + token().encode()],
        [b"Bearer\t" + token().encode()],
        [b"Bearer ", b"Bearer " + token().encode()],
        [b"Bearer " + token().encode()] * 2,
        [b"Bearer " + token().encode() + b", Bearer x"],
        [b"Bearer"],
        [b"Bearer \xff"],
        [b""],
    ],
)
async def test_any_other_authorization_is_turned_away(values: list[bytes]) -> None:
    lines = [(b"authorization", value) for value in values]
    with pytest.raises(Unauthenticated):
        await authenticator([IDENTITY], tokens=entra()).check(b"", lines, event())


async def test_no_bad_token_opens_and_none_is_shown() -> None:
    trust = authenticator([IDENTITY], tokens=entra())
    for what, text in bad_tokens().items():
        with pytest.raises(Unauthenticated) as refusal:
            await trust.check(b"", [(b"authorization", b"Bearer " + text.encode())], event())
        assert not text or text[:30] not in repr(refusal.value), what


async def test_a_token_does_not_replace_the_code() -> None:
    trust = authenticator([IDENTITY], code=["second"], tokens=entra())
    with pytest.raises(Unauthenticated, match="code"):
        await trust.check(b"", lines_of("token"), event())
    assert await trust.check(b"code=second", lines_of("token"), event()) is None


async def test_the_issuer_is_not_asked_about_calls_that_need_no_token() -> None:
    issuer = FakeIssuer("first")
    tokens = EntraTokens(rules(), KeyCache(issuer.fetch, FakeClock(0.0), observer=SILENT), FakeClock())
    await authenticator(ENDPOINTS["mixed"], tokens=tokens).check(b"", lines_of("east's, bad token"), event())
    nonsense = [(b"authorization", b"Bearer nonsense")]
    for endpoints, lines in (("mixed", []), ("mixed", nonsense), ("key", lines_of("token"))):
        with pytest.raises(Unauthenticated):
            await authenticator(ENDPOINTS[endpoints], tokens).check(b"", lines, event())
    assert issuer.asked == 0
