"""Which endpoints are asked."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.registry import negotiation_candidates, pinned_candidates, split_targets

from tests.unit.endpoints.fakes import endpoint

A, B = endpoint("a"), endpoint("b")
X, Y = endpoint("x", "Secondary"), endpoint("y", "Secondary")


def names(endpoints: Sequence[Endpoint]) -> list[str]:
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
    found = split_targets(endpoints, lambda one: one.name in offline, wanted)
    assert [names(part) for part in found] == [list(asked), list(missing)]


def test_drained_endpoints_get_no_clients() -> None:
    drained = replace(A, weight=0)
    assert negotiation_candidates([drained, B, X], lambda _: True) == [B]
    assert negotiation_candidates([drained, X], lambda _: True) == [X]
    assert negotiation_candidates([drained, replace(X, weight=0)], lambda _: True) == []
    assert negotiation_candidates([drained], lambda _: True) == [drained], "it is the only one there is"


def test_drained_endpoints_still_get_what_is_sent() -> None:
    drained = replace(A, weight=0)
    assert split_targets([drained, B], lambda _: False, None)[0] == [drained, B]


@pytest.mark.parametrize(
    ("name", "offline", "found"), [("b", "", "b"), ("B", "", "b"), ("b", "b", ""), ("zz", "", None), ("x", "ab", "x")]
)
def test_pinned(name: str, offline: str, found: str | None) -> None:
    pinned = pinned_candidates([A, B, X], lambda one: one.name not in offline, name)
    assert (None if pinned is None else names(pinned)) == (None if found is None else list(found))


def test_pinned_though_drained_or_single() -> None:
    drained = replace(A, weight=0)
    assert pinned_candidates([drained, B], lambda _: True, "a") == [drained]
    assert pinned_candidates([A], lambda _: False, "a") == [A]


def test_names_ignore_case_and_a_name_may_be_several_endpoints() -> None:
    east, other = endpoint("EastUS"), endpoint("eastus", url="https://other.example")
    assert split_targets([east, other, A], lambda _: False, {"eastus"})[0] == [east, other]


def test_an_instance_that_is_configured_twice_is_asked_once() -> None:
    url = "https://same.example"
    first, second = endpoint("first", "Secondary", url=url), endpoint("second", "Primary", url=url)
    third = endpoint("third", "Primary", url=url)
    assert split_targets([first, A, second, third], lambda _: False, None)[0] == [A, second]
    assert split_targets([first, A, second, third], lambda _: False, {"first"})[0] == [first]
    assert split_targets([first, third], lambda _: True, None) == ([third], []), "it is the only instance there is"
