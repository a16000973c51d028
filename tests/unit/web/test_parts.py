"""How a route finds the parts of the application."""

from dataclasses import dataclass, replace

import pytest
from signalr_bridge.web.request import PartsByType


class Left:
    """A part."""


class Right:
    """Another part."""


@dataclass(frozen=True, slots=True)
class Both(PartsByType):
    left: Left
    right: Right


def test_a_part_is_found_by_its_class() -> None:
    both, other = Both(Left(), Right()), Right()
    assert (both.find(Left), both.find(Right)) == (both.left, both.right)
    assert replace(both, right=other).find(Right) is other


def test_a_part_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError, match="str"):
        Both(Left(), Right()).find(str)
