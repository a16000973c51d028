"""Who may call upstream."""

import hmac
from collections.abc import Sequence

import pytest

from app.errors import SettingsError, Unauthenticated
from app.protocol.signature import sign
from app.protocol.upstream_event import EventHeaders
from app.upstream.trust import Trust, Voucher, write_vouchers
from tests.unit.upstream.fakes import event

EAST, WEST, OLD = "key-of-east", "key-of-west", "verify-only"
VOUCHERS = [Voucher("east", EAST), Voucher("west", WEST)]


def check(*signatures: bytes | str, headers: EventHeaders | None = None, trust: Trust | None = None) -> str | None:
    lines = [(b"x-asrs-signature", one.encode() if isinstance(one, str) else one) for one in signatures]
    trust = trust or Trust(lambda hub: VOUCHERS, verify_keys=[OLD])
    return trust.check(b"", lines, headers or event())


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
def test_any_signature_by_any_key_opens(signatures: list[str | bytes], endpoint: str | None) -> None:
    assert check(*signatures) == endpoint


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
def test_everything_else_is_turned_away(signatures: list[str | bytes]) -> None:
    with pytest.raises(Unauthenticated):
        check(*signatures)


@pytest.mark.parametrize("headers", [event(hub=""), event(connection_id=""), EventHeaders()])
def test_nobody_can_vouch_without_hub_and_connection(headers: EventHeaders) -> None:
    with pytest.raises(Unauthenticated):
        check(sign("", EAST), EAST_SIGNED, headers=headers)


def test_without_any_key_nothing_opens() -> None:
    with pytest.raises(Unauthenticated):
        check(EAST_SIGNED, trust=Trust(lambda hub: []))


def test_unsigned_calls_are_taken_when_a_setting_says_so() -> None:
    trust = Trust(lambda hub: VOUCHERS, allow_unsigned=True)
    assert check(trust=trust) is None
    assert check(FOREIGN, trust=trust) is None
    assert check(WEST_SIGNED, trust=trust) == "west"
    assert check(headers=EventHeaders(), trust=trust) is None


def test_keys_are_those_of_the_hub_at_this_moment() -> None:
    asked: list[str] = []
    keys = {"chat": EAST}

    def keys_of(hub: str) -> Sequence[Voucher]:
        asked.append(hub)
        return [Voucher("east", keys[hub])]

    trust = Trust(keys_of)
    assert check(EAST_SIGNED, headers=event(hub="Chat"), trust=trust) == "east"
    keys["chat"] = WEST
    with pytest.raises(Unauthenticated):
        check(EAST_SIGNED, trust=trust)
    assert check(WEST_SIGNED, trust=trust) == "east"
    assert asked == ["chat"] * 3


CODE = "the code/of+it="


@pytest.mark.parametrize(
    ("query", "header", "opens"),
    [
        (b"code=the+code%2Fof%2Bit%3D", b"", True),
        (b"Code=second", b"", True),
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
def test_the_code_stands_in_query_or_header(query: bytes, header: bytes, opens: bool) -> None:
    trust = Trust(lambda hub: VOUCHERS, codes=[CODE, "second"])
    lines = [(b"x-asrs-signature", EAST_SIGNED.encode())] + ([(b"x-functions-key", header)] if header else [])
    if opens:
        assert trust.check(query, lines, event()) == "east"
    else:
        with pytest.raises(Unauthenticated, match="code"):
            trust.check(query, lines, event())


def test_the_code_does_not_replace_the_signature() -> None:
    with pytest.raises(Unauthenticated, match="signature"):
        Trust(lambda hub: VOUCHERS, codes=["second"]).check(b"code=second", [], event())


def test_unsigned_calls_need_the_code_all_the_same() -> None:
    with pytest.raises(Unauthenticated, match="code"):
        Trust(lambda hub: [], codes=["second"], allow_unsigned=True).check(b"", [], event())


@pytest.mark.parametrize(("codes", "keys"), [([""], []), ([], [""])])
def test_empty_secrets_are_refused_at_the_start(codes: list[str], keys: list[str]) -> None:
    with pytest.raises(SettingsError, match="empty"):
        Trust(lambda hub: [], codes, keys)


def test_a_key_that_several_endpoints_share_does_not_tell_which() -> None:
    vouchers = write_vouchers({"east": ["shared", "own"], "west": ["shared"]})
    assert {one.key: one.endpoint for one in vouchers} == {"shared": None, "own": "east"}


def test_handlers_that_nobody_could_reach_are_a_mistake() -> None:
    with pytest.raises(SettingsError, match=r"'chat'.*my_chat:send"):
        Trust(lambda hub: []).check_verifiable("chat", "my_chat:send")
    Trust(lambda hub: VOUCHERS).check_verifiable("chat", "")
    Trust(lambda hub: [], verify_keys=[OLD]).check_verifiable("chat", "")
    Trust(lambda hub: [], allow_unsigned=True).check_verifiable("chat", "")


def test_no_key_is_shown() -> None:
    assert EAST not in repr(VOUCHERS)
