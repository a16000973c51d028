"""What handlers may return and send: models, dataclasses, structs, times and enums, in both protocols."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgpack
import msgspec
import pytest
from pydantic import AnyUrl, BaseModel, Field, RootModel, SecretStr
from signalr_bridge.protocol.upstream_event import MESSAGEPACK, read_messagepack_completion
from signalr_bridge.upstream.values import to_plain

from tests.unit.upstream.fakes import Caller, FakeHandler, FakeOutbox, context, event


class Colour(Enum):
    RED = "red"


class Part(BaseModel):
    colour: Colour
    when: datetime


class Whole(BaseModel):
    some_parts: list[Part] = Field(alias="someParts")
    picture: bytes = b""


class Names(RootModel[list[str]]): ...


class Site(BaseModel):
    url: AnyUrl
    key: SecretStr


@dataclass
class Point:
    x: int
    part: Part | None = None


class Struct(msgspec.Struct):
    at: Point
    names: Names


WHEN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PART = Part(colour=Colour.RED, when=WHEN)
ID = UUID("12345678-1234-5678-1234-567812345678")
IN_JSON = {"colour": "red", "when": "2026-11-22T10:00:00Z"}
RESULTS: list[tuple[Any, Any]] = [
    (PART, IN_JSON),
    (Whole(someParts=[PART]), {"someParts": [IN_JSON], "picture": ""}),
    ([{"deep": (PART,)}], [{"deep": [IN_JSON]}]),
    (Point(1, PART), {"x": 1, "part": IN_JSON}),
    (Struct(Point(1), Names(["a"])), {"at": {"x": 1, "part": None}, "names": ["a"]}),
    (
        Site(url=AnyUrl("https://example.com/"), key=SecretStr("canary")),
        {"url": "https://example.com/", "key": "*" * 10},
    ),
    (Colour.RED, "red"),
    (ID, str(ID)),
    ({1}, [1]),
    (WHEN, "2026-11-22T10:00:00Z"),
]


async def json_result(value: Any) -> Any:
    answer = await Caller(FakeHandler(value)).message(b'{"type":1,"invocationId":"7","target":"send","arguments":[]}')
    return json.loads(answer.body[:-1])["result"]


async def messagepack_result(value: Any) -> Any:
    body = msgpack.packb([1, {}, "7", "send", []])
    answer = await Caller(FakeHandler(value)).call(event(), body, content_type=MESSAGEPACK)
    return read_messagepack_completion(answer.body).result


@pytest.mark.parametrize(("value", "shown"), RESULTS)
async def test_what_a_handler_returns_in_json(value: Any, shown: Any) -> None:
    assert await json_result(value) == shown


@pytest.mark.parametrize(("value", "shown"), RESULTS)
async def test_what_a_handler_returns_in_messagepack(value: Any, shown: Any) -> None:
    """The same, but that times are times there."""
    assert in_text(await messagepack_result(value)) == shown


def in_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: "" if one == b"" else in_text(one) for name, one in value.items()}
    return [in_text(one) for one in value] if isinstance(value, list) else value


class Price(BaseModel):
    amount: Decimal


async def test_a_decimal_keeps_its_digits() -> None:
    """It is a number of JSON. In MessagePack it is a text, as .NET has it."""
    values = [Decimal("1.50"), Decimal("12345678901234567.89"), Price(amount=Decimal("1E+5"))]
    body = b'{"type":1,"invocationId":"7","target":"send","arguments":[]}'
    answer = await Caller(FakeHandler([*values, Decimal("NaN"), Decimal("-Infinity")])).message(body)
    assert b'"result":[1.50,12345678901234567.89,{"amount":1E+5},null,null]' in answer.body
    assert await messagepack_result(values) == ["1.50", "12345678901234567.89", {"amount": "1E+5"}]


async def test_bytes_in_a_model() -> None:
    value = Whole(someParts=[], picture=b"\xff\x00")
    assert (await json_result(value))["picture"] == "/wA="
    assert (await messagepack_result(value))["picture"] == b"\xff\x00"


async def test_models_may_be_sent_too() -> None:
    outbox = FakeOutbox()
    await context(outbox).clients.all.send("target", PART, [Names(["a"])])
    [(_, message, _)] = outbox.performed
    assert message is not None
    assert json.loads(message.arguments) == [IN_JSON, [["a"]]]


def test_an_object_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Exception, match="object"):
        to_plain([object()])
