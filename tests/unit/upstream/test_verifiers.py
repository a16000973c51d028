"""What verifies the calls of endpoints, from their keys and applications."""

import pytest
from signalr_bridge.errors import BadToken
from signalr_bridge.upstream.authenticator import ServiceIdentity, VerificationKey, collect_verifiers, find_endpoint


def test_a_key_that_several_endpoints_share_does_not_tell_which() -> None:
    verifiers = collect_verifiers({"east": ["shared", "own"], "west": ["shared"]})
    assert {one.key: one.endpoint for one in verifiers if isinstance(one, VerificationKey)} == {
        "shared": None,
        "own": "east",
    }
    assert len(verifiers) == 2


def test_an_endpoint_without_a_key_is_verified_by_tokens() -> None:
    verifiers = collect_verifiers({"east": ["own"], "west": []})
    assert verifiers == (VerificationKey("east", "own"), ServiceIdentity("west"))


def test_an_endpoint_with_a_key_too_when_the_settings_name_its_application() -> None:
    verifiers = collect_verifiers({"east": ["own"], "west": []}, {"east": "app-1", "west": "app-2"})
    assert verifiers == (
        VerificationKey("east", "own"),
        ServiceIdentity("east", "app-1"),
        ServiceIdentity("west", "app-2"),
    )


EAST, WEST, NORTH = ServiceIdentity("east", "App-1"), ServiceIdentity("west", "app-2"), ServiceIdentity("north")


@pytest.mark.parametrize(
    ("verifiers", "application", "endpoint"),
    [
        ([EAST, WEST], "app-1", "east"),
        ([EAST, WEST], "APP-2", "west"),
        ([EAST, NORTH], "app-1", "east"),
        ([EAST, NORTH], "app-3", None),
        ([NORTH], "app-3", None),
        ([EAST, ServiceIdentity("south", "app-1")], "app-1", None),
        ([EAST, ServiceIdentity("east", "app-1")], "app-1", "east"),
    ],
)
def test_the_endpoint_that_an_application_stands_for(
    verifiers: list[ServiceIdentity], application: str, endpoint: str | None
) -> None:
    assert find_endpoint(verifiers, application) == endpoint


@pytest.mark.parametrize("verifiers", [[], [EAST], [EAST, WEST]])
def test_an_application_of_no_endpoint(verifiers: list[ServiceIdentity]) -> None:
    with pytest.raises(BadToken):
        find_endpoint(verifiers, "app-3")


def test_no_key_is_shown() -> None:
    assert "own" not in repr(collect_verifiers({"east": ["own"]}))
