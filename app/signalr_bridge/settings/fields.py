"""The base class of all sections, and types of fields whose values may be written in more than one way."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic.fields import FieldInfo

from signalr_bridge.errors import InvalidName, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import check_hub


class Section(BaseModel):
    """A group of settings. It is frozen, refuses unknown names, and shows no value in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class _Live:
    """The mark of a setting that may change while the bridge runs."""


LIVE = _Live()
"""Stands in the annotation of a field that may change while the bridge runs: ``Annotated[Secrets, LIVE]``.

All others change at the next start. Whoever has to know it asks ``is_live``.
"""


def is_live(field: FieldInfo) -> bool:
    """Whether a change of the field is in force at once."""
    return LIVE in field.metadata


def read_list(value: Any) -> Any:
    """A list that is written in one text: JSON when it begins with ``[``, else comma-separated."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return _decode(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _decode(text: str) -> Any:
    try:
        return json_text.decode(text.encode())
    except MalformedJson:
        raise ValueError("begins with [ but is no JSON list") from None


def _read_hub(value: Any) -> Any:
    try:
        return check_hub(value) if isinstance(value, str) else value
    except InvalidName as error:
        raise ValueError(error.detail) from None


def read_text(value: Any) -> Any:
    """A text that looks like a number, so that a file may hold it as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_map(value: Any) -> Any:
    """A map that is written as JSON in one text."""
    if not isinstance(value, str):
        return value
    try:
        return json_text.decode(value.encode())
    except MalformedJson:
        raise ValueError("is no JSON object") from None


Texts = Annotated[tuple[str, ...], BeforeValidator(read_list)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(read_list)]
Hub = Annotated[str, BeforeValidator(_read_hub)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(read_list)]
