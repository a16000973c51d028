"""Who may vouch, from each endpoint's keys and applications."""

import pytest
from signalr_bridge.errors import BadToken
from signalr_bridge.upstream.authenticator import TokenVoucher, Voucher, find_endpoint, write_vouchers


def test_a_key_that_several_endpoints_share_does_not_tell_which() -> None:
    vouchers = write_vouchers({"east": ["shared", "own"], "west": ["shared"]})
    assert {one.key: one.endpoint for one in vouchers if isinstance(one, Voucher)} == {"shared": None, "own": "east"}
    assert len(vouchers) == 2


def test_an_endpoint_without_a_key_is_vouched_for_by_tokens() -> None:
    vouchers = write_vouchers({"east": ["own"], "west": []})
    assert vouchers == [Voucher("east", "own"), TokenVoucher("west")]


def test_an_endpoint_with_a_key_too_when_the_settings_name_its_application() -> None:
    vouchers = write_vouchers({"east": ["own"], "west": []}, {"east": "app-1", "west": "app-2"})
    assert vouchers == [Voucher("east", "own"), TokenVoucher("east", "app-1"), TokenVoucher("west", "app-2")]


EAST, WEST, NORTH = TokenVoucher("east", "App-1"), TokenVoucher("west", "app-2"), TokenVoucher("north")


@pytest.mark.parametrize(
    ("vouchers", "application", "endpoint"),
    [
        ([EAST, WEST], "app-1", "east"),
        ([EAST, WEST], "APP-2", "west"),
        ([EAST, NORTH], "app-1", "east"),
        ([EAST, NORTH], "app-3", None),
        ([NORTH], "app-3", None),
        ([EAST, TokenVoucher("south", "app-1")], "app-1", None),
        ([EAST, TokenVoucher("east", "app-1")], "app-1", "east"),
    ],
)
def test_the_endpoint_that_an_application_stands_for(
    vouchers: list[TokenVoucher], application: str, endpoint: str | None
) -> None:
    assert find_endpoint(vouchers, application) == endpoint


@pytest.mark.parametrize("vouchers", [[], [EAST], [EAST, WEST]])
def test_an_application_of_no_endpoint(vouchers: list[TokenVoucher]) -> None:
    with pytest.raises(BadToken):
        find_endpoint(vouchers, "app-3")


def test_no_key_is_shown() -> None:
    assert "own" not in repr(write_vouchers({"east": ["own"]}))
