"""Which connections were promised and for how long, and what the upstream learns of a client's query."""

from itertools import count

import pytest
from signalr_bridge.emulator.negotiation import Negotiations, Taken, Unknown, new_connection_id, redact_query
from signalr_bridge.runtime import RUNTIME

from tests.unit.emulator.fakes import Clock


def negotiations(clock: Clock | None = None) -> Negotiations:
    ids = count(1)
    return Negotiations(15, clock or Clock(), lambda: f"id-{next(ids)}")


def test_version_1_gives_an_id_and_a_token_apart_from_it() -> None:
    answer = negotiations().negotiate(1)
    assert answer == {
        "negotiateVersion": 1,
        "connectionId": "id-1",
        "connectionToken": "id-2",
        "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
    }


def test_in_version_0_the_id_is_the_token() -> None:
    promised = negotiations()
    answer = promised.negotiate(0)
    assert "connectionToken" not in answer
    assert promised.open("id-1") == ("id-1", "id-1")


def test_a_token_opens_its_connection_once() -> None:
    promised = negotiations()
    promised.negotiate(1)
    assert promised.open("id-2") == ("id-2", "id-1")
    with pytest.raises(Taken):
        promised.open("id-2")
    promised.close("id-2")
    with pytest.raises(Unknown):
        promised.open("id-2")


def test_the_id_opens_nothing_in_version_1() -> None:
    promised = negotiations()
    promised.negotiate(1)
    with pytest.raises(Unknown):
        promised.open("id-1")


def test_without_negotiation_the_id_is_the_token_and_open() -> None:
    promised = negotiations()
    assert promised.open(None) == ("id-1", "id-1")
    with pytest.raises(Taken):
        promised.open("id-1")


def test_a_promise_ends() -> None:
    clock = Clock()
    promised = negotiations(clock)
    promised.negotiate(0)
    clock.now += 15
    with pytest.raises(Unknown):
        promised.open("id-1")


def test_an_open_connection_does_not_expire() -> None:
    clock = Clock()
    promised = negotiations(clock)
    promised.negotiate(0)
    promised.open("id-1")
    clock.now += 1000
    with pytest.raises(Taken):
        promised.open("id-1")


def test_ids_are_22_characters_and_never_the_same() -> None:
    ids = {new_connection_id(RUNTIME.new_id) for _ in range(100)}
    assert len(ids) == 100
    assert {len(one) for one in ids} == {22}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("hub=chat&id=secret&access_token=secret", "?hub=chat"),
        ("access_token=secret&a=1&access_token=secret&b=%20x&a=2", "?a=1&b=%20x&a=2"),
        ("hub=chat&Access%5Ftoken=secret&ID=secret", "?hub=chat"),
        ("id=secret", ""),
        ("", ""),
        ("flag&hub=chat", "?flag&hub=chat"),
    ],
)
def test_secrets_do_not_reach_the_upstream(query: str, told: str) -> None:
    assert redact_query(query) == told
