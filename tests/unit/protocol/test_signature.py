"""The signature proves knowledge of an access key, whatever its spelling, and nothing else passes."""

import hmac
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import BadSignature
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.protocol.upstream_event import MOST_SIGNATURES, Signers, find_signer, sign, write_signatures

from tests.unit.protocol.legal import any_text
from tests.vectors import read_vectors

VECTORS = read_vectors("signatures")["signature"]
WRONG = "sha256=" + "0" * 64


def keys(*texts: str) -> list[SigningKey]:
    return [SigningKey(one) for one in texts]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["connection_id"])
def test_signs_as_the_service_does(vector: dict[str, str]) -> None:
    assert sign(vector["connection_id"], vector["key"]) == vector["value"].lower()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["connection_id"])
@pytest.mark.parametrize("spelt", [str, str.upper, str.lower, "  {} ".format, ",{},".format, (WRONG + ", {}").format])
def test_the_spelling_of_a_signature_does_not_matter(vector: dict[str, str], spelt: Any) -> None:
    assert find_signer([spelt(vector["value"])], vector["connection_id"], keys(vector["key"])) == 0


def test_the_signer_is_the_position_of_its_key() -> None:
    for position, key in enumerate(["first", "second", "third"]):
        assert find_signer([sign("c", key)], "c", keys("first", "second", "third")) == position


HUNDRED = [f"key {number}" for number in range(100)]


@given(st.lists(st.sampled_from(HUNDRED), min_size=1, max_size=3), st.booleans())
def test_of_a_hundred_keys_the_first_one_that_signed_is_told(signers: list[str], apart: bool) -> None:
    line = write_signatures("c", signers)
    lines = line.split(",") if apart else [line]
    assert find_signer([WRONG, *lines], "c", keys(*HUNDRED)) == min(map(HUNDRED.index, signers))


_calls = st.lists(
    st.tuples(st.sampled_from(["c1", "c2", "c3"]), st.lists(st.sampled_from([*HUNDRED[:3], "foreign"]), max_size=2)),
    max_size=8,
)


@given(_calls, st.sampled_from([1, 3, 6, 100]))
def test_what_is_kept_of_a_connection_changes_no_answer(calls: list[tuple[str, list[str]]], most: int) -> None:
    """Whatever came before, whether it was signed or not, and however little is kept."""
    known = keys(*HUNDRED[:3])
    signers = Signers(known)
    signers._most_kept = most
    for connection, by in calls:
        lines = [write_signatures(connection, by)]
        assert outcome(signers.find, lines, connection) == outcome(find_signer, lines, connection, known)
        assert outcome(signers.find, lines, connection + "x") == -1, "signed for another connection"
        assert len(signers._kept) <= most


def outcome(find: Callable[..., int], *arguments: Any) -> int:
    try:
        return find(*arguments)
    except BadSignature:
        return -1


def test_nobody_without_a_key_makes_anything_be_kept() -> None:
    signers = Signers(keys("k"))
    for number in range(100):
        with pytest.raises(BadSignature):
            signers.find([WRONG, sign(f"c{number}", "other")], f"c{number}")
    assert signers._kept == {}
    assert signers.find([sign("c", "k")], "c") == 0
    assert len(signers._kept) == 1


def test_nothing_is_signed_by_no_key() -> None:
    with pytest.raises(BadSignature):
        Signers().find([sign("c", "k")], "c")


def test_two_keys_give_two_signatures_with_a_bare_comma() -> None:
    assert write_signatures("c", ["k1", "k2"]) == f"{sign('c', 'k1')},{sign('c', 'k2')}"
    assert find_signer([write_signatures("c", ["k1", "k2"])], "c", keys("k2")) == 0


def test_signatures_may_stand_on_several_lines() -> None:
    assert find_signer([WRONG, sign("c", "k")], "c", keys("k")) == 0


def test_only_the_first_sixteen_count() -> None:
    good = sign("c", "k")
    assert find_signer([WRONG] * (MOST_SIGNATURES - 1) + [good], "c", keys("k")) == 0
    with pytest.raises(BadSignature):
        find_signer([WRONG] * MOST_SIGNATURES + [good], "c", keys("k"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        ",",
        "sha256=",
        sign("c", "other"),
        sign("other", "k"),
        sign("c", "k")[7:],
        sign("c", "k")[:-1],
        sign("c", "k") + "0",
    ],
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(BadSignature):
        find_signer([line], "c", keys("k"))


def test_nobody_signs_without_a_key() -> None:
    with pytest.raises(BadSignature):
        find_signer([sign("c", "k")], "c", keys())
    with pytest.raises(ValueError, match="empty"):
        sign("c", "")
    with pytest.raises(ValueError, match="empty"):
        find_signer([WRONG], "c", keys(""))


@given(st.lists(any_text), any_text)
def test_any_header_is_refused_in_good_order(lines: list[str], connection_id: str) -> None:
    with pytest.raises(BadSignature) as refusal:
        find_signer(lines, connection_id, keys("canary-5ecret"))
    assert "canary-5ecret" not in repr(refusal.value)


@given(any_text, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whoever_knows_the_key_is_believed(connection_id: str, key: str) -> None:
    assert find_signer([sign(connection_id, key)], connection_id, keys("other", key)) >= 0


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200), st.binary())
def test_a_prepared_key_signs_like_the_standard_library(key: str, text: bytes) -> None:
    assert SigningKey(key).digest(text) == hmac.digest(key.encode(), text, "sha256")


@pytest.mark.parametrize("digits", ["0" * 62 + "  ", "0 " * 32, "\u0660" * 64, "g" * 64, "0" * 63 + "\n"])
def test_what_is_not_64_digits_is_no_signature(digits: str) -> None:
    with pytest.raises(BadSignature):
        find_signer([f"sha256={digits}"], "c", keys("k"))
