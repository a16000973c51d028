"""Claims on their way through the service: nothing is lost, and nobody forges."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from signalr_bridge.protocol.access_token import client_claims
from signalr_bridge.protocol.claims import (
    LOSSLESS_CLAIM,
    NAME_IDENTIFIER,
    Claims,
    _split,
    are_forged,
    claim_text,
    read_claims_line,
    read_lossless,
    write_claims_line,
    write_lossless,
)

from tests.unit.protocol.legal import any_text, claims, names
from tests.vectors import read_vectors

VECTORS = read_vectors("claims")
ADMIN = write_lossless({"role": ["admin"]})


def through_the_service(user_id: str | None, given_claims: dict[str, Any]) -> Claims:
    """The line that the service makes of a client's token, beside the user id."""
    payload = client_claims(audience="https://x/client/?hub=h", user_id=user_id, claims=given_claims, now=1, lifetime=1)
    return read_claims_line(service_line(payload), user_id or "")


def service_line(payload: dict[str, Any]) -> str:
    pairs = [(name, one) for name, value in payload.items() for one in (value if isinstance(value, list) else [value])]
    return write_claims_line((name, claim_text(one)) for name, one in pairs)


@pytest.mark.parametrize("row", VECTORS["lossless"], ids=lambda row: row["text"])
def test_the_lossless_claim_is_base64url_of_json(row: dict[str, Any]) -> None:
    assert write_lossless(row["claims"]) == row["text"]
    assert read_lossless(row["text"]) == row["claims"]


@pytest.mark.parametrize("row", VECTORS["line"], ids=lambda row: row["what"])
def test_the_services_line(row: dict[str, Any]) -> None:
    assert read_claims_line(row["text"]) == Claims(row["claims"], exact=row["exact"])


@pytest.mark.parametrize(
    ("value", "text"), [("é", "é"), (7, "7"), (True, "true"), (False, "false"), (0.5, "0.5"), (2**70, str(2**70))]
)
def test_a_claims_text(value: Any, text: str) -> None:
    assert claim_text(value) == text


@given(claims)
def test_the_lossless_claim_loses_nothing(values: dict[str, Any]) -> None:
    texts = {name: [claim_text(one) for one in several] for name, several in values.items()}
    assert read_lossless(write_lossless(values)) == texts


@given(st.none() | names, claims)
def test_claims_come_out_of_the_service_as_they_went_in(user_id: str | None, values: dict[str, Any]) -> None:
    read = through_the_service(user_id, values)
    texts = {name: [claim_text(one) for one in several] for name, several in values.items()}
    if LOSSLESS_CLAIM in f"{user_id}{values}":
        assert not read.exact
    elif values:
        assert read == Claims(texts, exact=True)


FORGERIES = [
    "Bob, role: admin",
    f"x, bridge.claims: {ADMIN}",
    f"x, {NAME_IDENTIFIER}: admin",
    f"bridge.claims: {ADMIN}",
    f", bridge.claims: {ADMIN}, ",
    f"x, bridge.claims: {ADMIN}, nbf: 1, exp: 2, iat: 1, aud: https://x/client/?hub=h",
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_neither_a_name_nor_a_user_id_forges_a_role(forgery: str) -> None:
    for read in (
        through_the_service("bob", {"name": [forgery]}),
        through_the_service(forgery, {}),
        through_the_service(forgery, {"name": ["bob"]}),
        through_the_service("bob", {forgery: ["x"]}),
        through_the_service(None, {"name": ["a", forgery]}),
    ):
        assert not (read.exact and "role" in read.values)


@given(st.lists(st.sampled_from([*FORGERIES, "role: admin", "bridge.claims", ":", ", ", ADMIN])).map("".join))
def test_no_mixture_forges_a_role(forgery: str) -> None:
    for read in (through_the_service(forgery or None, {}), through_the_service("bob", {"name": [forgery]})):
        assert not (read.exact and "role" in read.values)


PIECES = st.sampled_from(
    [*FORGERIES, "role: admin", "bridge.claims", "bridge.", "claims", ": ", ", ", " ", ":", ",", ADMIN, "é"]
)


@given(st.lists(PIECES, max_size=8).map("".join))
@example(f"bridge.claims: {ADMIN}, abc")
@example(f"role: reader, bridge.claims: {ADMIN}, role: admin, x")
def test_our_claim_is_found_where_all_claims_are_read(line: str) -> None:
    """It ends where the next claim begins, and a piece that is not a claim belongs to it."""
    values = [value for name, value in _split(line) if name == LOSSLESS_CLAIM]
    if not are_forged(line, "") and values:
        exact = read_lossless(values[0])
        assert read_claims_line(line) == (Claims() if exact is None else Claims(exact, exact=True))
    else:
        assert not read_claims_line(line).exact


@pytest.mark.parametrize("user_id", ["bridge.claims", "x, bridge.claims: e30", f"bridge.claims: {ADMIN}"])
def test_a_user_id_that_holds_our_claim_is_a_forgery(user_id: str) -> None:
    line = f"role: reader, bridge.claims: {write_lossless({'role': ['reader']})}"
    assert read_claims_line(line, "ann").exact
    assert read_claims_line(line, user_id) == Claims()
    assert are_forged(line, user_id)
    assert not are_forged(line, "ann")


def test_without_the_setting_our_claim_is_not_believed() -> None:
    line = f"role: reader, bridge.claims: {ADMIN}"
    assert read_claims_line(line) == Claims({"role": ["admin"]}, exact=True)
    assert read_claims_line(line, lossless=False) == Claims({"role": ["reader"]})
    assert read_claims_line(f"{line}, bridge.claims: {ADMIN}", lossless=False) == Claims()


FORGED = st.lists(PIECES, min_size=1, max_size=5).map("".join)


@given(st.none() | FORGED, st.dictionaries(st.sampled_from(["name", "n, role", "role"]) | FORGED, FORGED, max_size=3))
def test_whatever_a_client_calls_itself_it_has_exactly_the_claims_it_was_given(
    user_id: str | None, values: dict[str, str]
) -> None:
    legal = {name: [value] for name, value in values.items() if not name.startswith("bridge.")}
    read = through_the_service(user_id, legal)
    assert not read.exact or read.values == legal


@given(FORGED, FORGED)
def test_no_mixture_is_exact_in_a_token_that_others_minted_with_the_setting_off(user_id: str, name: str) -> None:
    line = service_line({"asrs.s.uid": user_id, "name": name, "nbf": 1, "exp": 2})
    assert not read_claims_line(line, user_id, lossless=False).exact


@given(any_text)
def test_any_line_gives_claims(line: str) -> None:
    assert isinstance(read_claims_line(line), Claims)
    assert isinstance(read_claims_line(f"bridge.claims: {line}"), Claims)
    read_lossless(line)


@pytest.mark.parametrize(
    "text", ["", "e3", "!", "W10", "eyJhIjoxfQ", "eyJhIjpbWyJ4Il1dfQ", "é", "\udc80", "e30" * 50_000]
)
def test_no_other_text_is_a_lossless_claim(text: str) -> None:
    assert read_lossless(text) is None
