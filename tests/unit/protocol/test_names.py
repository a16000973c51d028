"""Names: which are legal, and that each is escaped exactly once."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from signalr_bridge.errors import InvalidName
from signalr_bridge.protocol.names import (
    check_connection_id,
    check_group,
    check_hub,
    check_user_id,
    escape_segment,
    unescape_segment,
)

from tests.unit.protocol.legal import any_text, hubs, names
from tests.vectors import read_vectors

Check = Callable[[str], str]
EVERY = [check_group, check_user_id, check_connection_id]


@pytest.mark.parametrize("name", ["a", "Chat", "a" * 128, "a_`,.[]9"])
def test_a_hub_is_known_by_its_lower_case_name(name: str) -> None:
    assert check_hub(name) == name.lower()


@pytest.mark.parametrize("name", ["", "1a", "_a", "a" * 129, "a b", "a/b", "ä", "a\n", "İ", ".", "a-b", "a:b"])
def test_no_other_hub(name: str) -> None:
    with pytest.raises(InvalidName):
        check_hub(name)


@pytest.mark.parametrize("check", EVERY)
@pytest.mark.parametrize("name", ["a/b%c +é", "😀", "?", "#", "...", " a", "%2e", "a" * 1024, "😀" * 512])
def test_any_character_is_legal(check: Check, name: str) -> None:
    assert check(name) == name


@pytest.mark.parametrize("check", EVERY)
@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "a\x00", "\x7f", "\x85", "\ud800", "a\udfff"])
def test_what_no_url_or_header_can_carry_is_not(check: Check, name: str) -> None:
    with pytest.raises(InvalidName):
        check(name)


@pytest.mark.parametrize("check", [check_group, check_user_id])
@pytest.mark.parametrize("name", [" ", "\u3000\u2003", "a" * 1025, "😀" * 512 + "a"])
def test_groups_and_users_have_1_to_1024_units_and_not_only_blanks(check: Check, name: str) -> None:
    with pytest.raises(InvalidName):
        check(name)


@pytest.mark.parametrize(("name", "segment"), read_vectors("rest_targets")["names"].items())
def test_escaped_as_rfc_3986_says(name: str, segment: str) -> None:
    assert escape_segment(name) == segment
    assert unescape_segment(segment) == name


@given(names)
def test_every_legal_name_survives(name: str) -> None:
    assert check_group(name) == name
    assert unescape_segment(escape_segment(name)) == name
    assert "/" not in escape_segment(name)


@given(hubs)
def test_a_hubs_name_is_stable(name: str) -> None:
    assert check_hub(check_hub(name)) == check_hub(name)


@pytest.mark.parametrize("segment", ["%ff", "%c3", "%ed%a0%80", "\udc80"])
def test_a_segment_is_utf_8(segment: str) -> None:
    with pytest.raises(InvalidName):
        unescape_segment(segment)


@given(any_text)
def test_any_text_ends_in_good_order(text: str) -> None:
    for read in (*EVERY, check_hub, unescape_segment):
        with suppress(InvalidName):
            read(text)
