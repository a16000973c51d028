"""What is told of a constraint that does not hold, and what never: values, keys, and the words of validators."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Gt, MinLen
from pydantic import AfterValidator, AliasChoices, AliasPath, AnyUrl, BaseModel, Field, ValidationError, field_validator
from pydantic import TypeAdapter as Adapter
from signalr_bridge.upstream.python.constraints import MOST_ERRORS, Constraints
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


class Closed(BaseModel, extra="forbid"):
    text: str = ""


class Kinds(BaseModel):
    day: date = date.min
    at: datetime = datetime.min
    after: timedelta = timedelta()
    id: UUID | None = None
    price: Decimal = Decimal(0)
    ratio: float = 0
    sure: bool = False
    name: str = ""
    names: list[str] = []
    page: AnyUrl | None = None
    nothing: None = None
    either: int | str = 0


def refuse(value: int) -> int:
    raise ValueError(f"{value} is odd")


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
        (Positive, -1, "it must be greater than 0"),
        (Positive | None, -1, "it must be greater than 0"),
        (Annotated[str, Field(max_length=1)], "canary", "it must have at most 1 character"),
        (Annotated[str, Field(pattern="^a, not b$")], "canary", "it must match pattern '^a, not b$'"),
        (Annotated[bytes, Field(min_length=9)], b"canary", "it must have at least 9 bytes"),
        (Annotated[Decimal, Field(max_digits=2)], "12345", "it must have no more than 2 digits in total"),
        (Annotated[list[str], MinLen(2)], ["canary"], "it must have at least 2 items"),
        (list[Positive], [1, -1], "item '1' must be greater than 0"),
        (tuple[int, int], [1], "item '1' is missing"),
        (Colour, "canary", "it must be 'red'"),
        (Annotated[int, AfterValidator(refuse)], 77, "it is refused by a validator"),
        (Purchase, "canary", "it must be an object, and is a string"),
        (Purchase, {"count": 0}, "field 'count' must be greater than 0"),
        (Purchase, {"count": "canary"}, "field 'count' must be an integer, and is a string"),
        (Purchase, {"count": None}, "field 'count' must be an integer, and is null"),
        (Purchase, {"count": 1.5}, "field 'count' must be an integer"),
        (Purchase, {"next": {"count": [5]}}, "field 'next.count' must be an integer, and is a list"),
        (Purchase, {"by_name": {"canary": -1}}, "a value in field 'by_name' must be greater than 0"),
        (Purchase, {"by_name": {"canary": "canary"}}, "a value in field 'by_name' must be an integer, and is a string"),
        (dict[int, Item], {77: {"cost": -1}}, "field '….cost' must be greater than or equal to 0"),
        (Item, {"articleName": "x"}, "field 'articleName' must have at least 2 characters"),
        (Item, {"cost": -1}, "field 'cost' must be greater than or equal to 0"),
        (Item, {"kind": "canary"}, "field 'kind' must be 'a' or 'b'"),
        (Item, {"even": 77}, "field 'even' is refused by a validator"),
        (Closed, {"canary": 1}, "it has a field that is not known"),
        (list[Closed], [{"canary": 1}], "item '0' has a field that is not known"),
        (Point, {}, "field 'x' is missing"),
        (Point, {"x": 1, "others": [1, 0]}, "field 'others.1' must be greater than 0"),
        (Box, {"height": 0}, "field 'height' must be greater than 0"),
        (list[Positive], [0] * 4, "; ".join(f"item '{index}' must be greater than 0" for index in range(3))),
        (Kinds, {"day": "canary"}, "field 'day' must be a date (ISO 8601)"),
        (Kinds, {"day": True}, "field 'day' must be a date (ISO 8601), and is true or false"),
        (Kinds, {"at": "canary"}, "field 'at' must be a date and time (ISO 8601)"),
        (Kinds, {"after": "canary"}, "field 'after' must be a duration (ISO 8601)"),
        (Kinds, {"id": "canary"}, "field 'id' must be a UUID"),
        (Kinds, {"price": "canary"}, "field 'price' must be a decimal number"),
        (Kinds, {"ratio": {}}, "field 'ratio' must be a number, and is an object"),
        (Kinds, {"sure": "canary"}, "field 'sure' must be true or false, and is a string"),
        (Kinds, {"name": 77}, "field 'name' must be a string, and is a number"),
        (Kinds, {"names": "canary"}, "field 'names' must be a list, and is a string"),
        (Kinds, {"page": "canary"}, "field 'page' must be a URL"),
        (Kinds, {"nothing": "canary"}, "field 'nothing' must be null, and is a string"),
        (
            Kinds,
            {"either": [77]},
            "a value in field 'either' must be an integer, and is a list; "
            "a value in field 'either' must be a string, and is a list",
        ),
    ],
)
def test_what_the_author_wrote_is_told(annotation: Any, value: Any, text: str) -> None:
    assert describe(annotation, value) == text
    assert "canary" not in text
    assert "77" not in text


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "canary"),
        (Literal["a"], "canary"),
        (dict[str, Positive], {"canary": -1}),
        (dict[int, Positive], {77: -1}),
        (dict[Positive, int], {-77: 1}),
        (Positive | Colour, -1),
        (list[Positive], [-1] * (MOST_ERRORS + 1)),
    ],
)
def test_nothing_of_the_clients_is_told(annotation: Any, value: Any) -> None:
    assert describe(annotation, value) == ""


def test_what_may_be_told_is_told_beside_what_may_not() -> None:
    told = describe(Purchase, {"count": 0, "by_name": {"canary": -1}})
    assert told == "field 'count' must be greater than 0; a value in field 'by_name' must be greater than 0"


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
    assert Constraints(schema).describe(caught.value) == "field 'number' must be greater than 0"
