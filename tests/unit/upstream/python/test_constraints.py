"""What is told of a constraint that does not hold, and what never: values, keys, and the words of validators."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt, MinLen
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, Field, ValidationError, field_validator
from pydantic import TypeAdapter as Adapter
from signalr_bridge.upstream.python.binding import MOST_ERRORS, Constraints
from typing_extensions import TypedDict

Positive = Annotated[int, Field(gt=0)]


class Colour(Enum):
    RED = "red"


class Item(BaseModel):
    article_name: Annotated[str, Field(min_length=2, alias="articleName")] = "tea"
    price: Annotated[int, Field(ge=0, validation_alias=AliasChoices("cost", AliasPath("costs", 0)))] = 0
    kind: Literal["a", "b"] = "a"
    even: int = 0

    @field_validator("even")
    @classmethod
    def is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value


class Purchase(BaseModel):
    count: Positive = 1
    items: Annotated[list[Item], Field(max_length=1)] = []
    by_name: dict[str, Positive] = {}
    next: "Purchase | None" = None


@dataclass
class Point:
    x: Positive
    others: "list[Positive]" = field(default_factory=list)


class Box(TypedDict):
    height: Positive


def describe(annotation: Any, value: Any) -> str:
    adapter = Adapter(annotation)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return Constraints(adapter.core_schema).describe(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Positive, -1, "Input should be greater than 0"),
        (Positive | None, -1, "Input should be greater than 0"),
        (Annotated[str, Field(max_length=1)], "canary", "String should have at most 1 character"),
        (Annotated[str, Field(pattern="^a, not b$")], "canary", "String should match pattern '^a, not b$'"),
        (Annotated[bytes, Field(min_length=9)], b"canary", "Data should have at least 9 bytes"),
        (Annotated[Decimal, Field(max_digits=2)], "12345", "Decimal input should have no more than 2 digits in total"),
        (Annotated[list[str], MinLen(2)], ["canary"], "List should have at least 2 items after validation"),
        (list[Positive], [1, -1], "1: Input should be greater than 0"),
        (tuple[int, int], [1], "1: Field required"),
        (Colour, "canary", "Input should be 'red'"),
        (Purchase, {"count": 0}, "count: Input should be greater than 0"),
        (Purchase, {"next": {"count": 0}}, "next.count: Input should be greater than 0"),
        (Item, {"articleName": "x"}, "articleName: String should have at least 2 characters"),
        (Item, {"cost": -1}, "cost: Input should be greater than or equal to 0"),
        (Item, {"kind": "canary"}, "kind: Input should be 'a' or 'b'"),
        (Point, {}, "x: Field required"),
        (Point, {"x": 1, "others": [1, 0]}, "others.1: Input should be greater than 0"),
        (Box, {"height": 0}, "height: Input should be greater than 0"),
        (list[Positive], [0] * 4, "; ".join(f"{index}: Input should be greater than 0" for index in range(3))),
    ],
)
def test_what_the_author_wrote_is_told(annotation: Any, value: Any, text: str) -> None:
    assert describe(annotation, value) == text


def refuse(value: int) -> int:
    raise ValueError(f"{value} is odd")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "canary"),
        (Purchase, "canary"),
        (Purchase, {"count": "canary"}),
        (Literal["a"], "canary"),
        (Item, {"even": 77}),
        (Annotated[int, AfterValidator(refuse)], 77),
        (dict[str, Positive], {"canary": -1}),
        (dict[int, Positive], {77: -1}),
        (dict[Positive, int], {-77: 1}),
        (Purchase, {"by_name": {"canary": -1}}),
        (dict[int, Item], {77: {"cost": -1}}),
        (Positive | Colour, -1),
        (list[Positive], [-1] * (MOST_ERRORS + 1)),
    ],
)
def test_nothing_of_the_clients_is_told(annotation: Any, value: Any) -> None:
    assert describe(annotation, value) == ""


def test_what_may_be_told_is_told_beside_what_may_not() -> None:
    assert describe(Purchase, {"count": 0, "by_name": {"canary": -1}}) == "count: Input should be greater than 0"


def test_a_default_that_contains_itself_is_no_trap() -> None:
    default: dict[str, Any] = {}
    default["self"] = default

    @dataclass
    class Odd:
        own: dict[str, Any] = field(default_factory=lambda: default)
        number: Annotated[int, Gt(0)] = 1

    schema = dict(Adapter(Odd).core_schema)
    schema["metadata"] = default
    with pytest.raises(ValidationError) as caught:
        Adapter(Odd).validate_python({"number": 0})
    assert Constraints(schema).describe(caught.value) == "number: Input should be greater than 0"
