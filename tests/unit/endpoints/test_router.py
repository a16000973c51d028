"""Which endpoints are asked."""

import pytest

from app.endpoints.endpoint import Endpoint
from app.endpoints.router import negotiation_candidates, split_targets
from tests.unit.endpoints.fakes import endpoint

A, B = endpoint("a"), endpoint("b")
X, Y = endpoint("x", "Secondary"), endpoint("y", "Secondary")


def names(endpoints: list[Endpoint]) -> list[str]:
    return [one.name for one in endpoints]


@pytest.mark.parametrize(
    ("endpoints", "offline", "candidates"),
    [
        ([A, B, X], "", "ab"),
        ([A, B, X], "a", "b"),
        ([A, B, X, Y], "ab", "xy"),
        ([A, B, X, Y], "abx", "y"),
        ([A, X], "ax", ""),
        ([A], "", "a"),
        ([A], "a", "a"),
        ([X], "x", "x"),
        ([], "", ""),
    ],
)
def test_a_client_goes_to_primaries_then_to_secondaries(
    endpoints: list[Endpoint], offline: str, candidates: str
) -> None:
    found = negotiation_candidates(endpoints, lambda one: one.name not in offline)
    assert names(found) == list(candidates)


@pytest.mark.parametrize(
    ("endpoints", "offline", "wanted", "asked", "missing"),
    [
        ([A, B, X], "", None, "abx", ""),
        ([A, B, X], "b", None, "ax", "b"),
        ([A, B, X], "abx", None, "", "abx"),
        ([A, B, X], "", {"b"}, "b", ""),
        ([A, B, X], "b", {"b", "x"}, "x", "b"),
        ([A, B, X], "", {"zz"}, "", ""),
        ([A], "a", None, "a", ""),
        ([A], "a", {"a"}, "a", ""),
        ([A], "", {"zz"}, "", ""),
    ],
)
def test_an_item_goes_to_all_that_are_online(
    endpoints: list[Endpoint], offline: str, wanted: set[str] | None, asked: str, missing: str
) -> None:
    found = split_targets(endpoints, lambda one: one.name not in offline, wanted)
    assert [names(part) for part in found] == [list(asked), list(missing)]


def test_names_ignore_case_and_a_name_may_be_several_endpoints() -> None:
    east, other = endpoint("EastUS"), endpoint("eastus", url="https://other.example")
    assert split_targets([east, other, A], lambda _: True, {"eastus"})[0] == [east, other]


def test_an_instance_that_is_configured_twice_is_asked_once() -> None:
    url = "https://same.example"
    first, second = endpoint("first", "Secondary", url=url), endpoint("second", "Primary", url=url)
    third = endpoint("third", "Primary", url=url)
    assert split_targets([first, A, second, third], lambda _: True, None)[0] == [A, second]
    assert split_targets([first, A, second, third], lambda _: True, {"first"})[0] == [first]
    assert split_targets([first, third], lambda _: False, None) == ([third], []), "it is the only instance there is"
