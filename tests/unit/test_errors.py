"""The tree of errors: each leaf has its own word, title and status."""

import pytest
from signalr_bridge import errors
from signalr_bridge.errors import BridgeError, Fault, InvalidItem, InvalidName, MalformedJson, ReservedClaim

LEAVES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BridgeError)]


@pytest.mark.parametrize("kind", LEAVES)
def test_an_error_has_a_word_a_title_and_a_status(kind: type[BridgeError]) -> None:
    assert kind.code == kind.code.lower().replace("_", "-")
    assert kind.title
    assert 200 <= kind.status < 600


def test_an_error_says_what_to_do() -> None:
    error = MalformedJson("Send JSON.", headers={"Retry-After": "1"}, extensions={"exists": False})
    assert (str(error), error.detail) == ("Send JSON.", "Send JSON.")
    assert (error.headers, error.extensions) == ({"Retry-After": "1"}, {"exists": False})


def test_what_an_error_was_given_stays_with_the_giver() -> None:
    headers = {"Allow": "GET"}
    MalformedJson(headers=headers).headers["X"] = "y"
    assert headers == {"Allow": "GET"}


def test_an_invalid_item_shows_every_fault_and_takes_the_first_ones_word() -> None:
    faults = [Fault("/3/userId", InvalidName, "No blanks."), Fault("/4", ReservedClaim, "Another name.")]
    error = InvalidItem(faults)
    assert (error.code, error.title, error.status) == ("invalid-name", "Invalid name", 422)
    assert error.detail == "/3/userId: No blanks."
    assert error.extensions["errors"] == [
        {"pointer": "/3/userId", "code": "invalid-name", "detail": "No blanks."},
        {"pointer": "/4", "code": "reserved-claim", "detail": "Another name."},
    ]
    assert InvalidItem.code == "invalid-item", "the class keeps its own"
