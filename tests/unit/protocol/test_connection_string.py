"""Connection strings: what is accepted, what is refused, and that no refusal shows a value."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from signalr_bridge.errors import MalformedConnectionString
from signalr_bridge.protocol.connection_string import (
    EMULATOR_KEY,
    ConnectionString,
    parse_connection_string,
    write_connection_string,
)

from tests.unit.protocol.legal import any_text
from tests.vectors import read_vectors

VECTORS = read_vectors("connection_strings")
CANARY = "canary-5ecret"


@pytest.mark.parametrize("row", VECTORS["accepted"], ids=lambda row: row["text"])
def test_accepted(row: dict[str, Any]) -> None:
    said = {name: value for name, value in row.items() if name != "text"}
    assert parse_connection_string(row["text"]) == ConnectionString(**said)


@pytest.mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["text"])
def test_a_refusal_names_the_key_and_its_position_and_no_value(row: dict[str, str]) -> None:
    with pytest.raises(MalformedConnectionString) as refusal:
        parse_connection_string(row["text"])
    assert refusal.value.detail.startswith(row["names"])
    assert CANARY not in f"{refusal.value!r} {refusal.value.__context__!r} {refusal.value.extensions}"


def test_a_key_that_nobody_can_sign_with_is_refused() -> None:
    """A byte of an environment variable that is not UTF-8 becomes half a character."""
    with pytest.raises(MalformedConnectionString) as refusal:
        parse_connection_string(f"Endpoint=https://x;AccessKey={CANARY}\udcff;Version=1.0;")
    assert refusal.value.detail == "AccessKey (part 2) is not UTF-8."


@pytest.mark.parametrize("endpoint", ["http://localhost:8888", "http://[::1]:8888", "https://x.service.signalr.net"])
def test_what_the_emulator_prints_can_be_read(endpoint: str) -> None:
    printed = write_connection_string(endpoint, EMULATOR_KEY)
    assert parse_connection_string(printed) == ConnectionString(endpoint, EMULATOR_KEY)


def test_the_emulators_form_has_the_port_apart() -> None:
    expected = f"Endpoint=http://localhost;Port=8888;AccessKey={EMULATOR_KEY};Version=1.0;"
    assert write_connection_string("http://localhost:8888", EMULATOR_KEY) == expected


def test_its_text_shows_no_secret() -> None:
    read = parse_connection_string(f"Endpoint=https://x;AccessKey={CANARY};ClientSecret={CANARY}")
    assert read.access_key == read.client_secret == CANARY
    assert CANARY not in f"{read} {read!r}"


_keys = st.sampled_from(["Endpoint", "AccessKey", "Version", "Port", "ClientEndpoint", "ServerEndpoint", "AuthType"])
_values = (
    any_text | st.sampled_from(["https://x", "https://", "//x", "azure", "1.0"]) | any_text.map("https://".__add__)
)


@given(st.lists(st.tuples(_keys, _values).map("=".join) | any_text).map(";".join))
@example("Endpoint=https://[v1.a]:1;AccessKey=k")
@example("Endpoint=https://℀;AccessKey=k")
def test_any_text_ends_in_good_order(text: str) -> None:
    with suppress(MalformedConnectionString):
        assert "\n" not in parse_connection_string(text).endpoint
