"""The base class of all sections, the mark ``LIVE``, and types of fields that may be written in several ways."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from signalr_bridge.errors import InvalidName, MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import check_hub, is_utf8


def about(field: str, text: str) -> PydanticCustomError:
    """An error of a whole section that concerns one field of it.

    ``{section}`` in the text stands for the beginning of the names of the section's settings.
    """
    return PydanticCustomError("setting", "{text}", {"field": field, "text": text})


class Section(BaseModel):
    """A group of settings. It is frozen, refuses unknown names, and shows no value in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class _Live:
    """The mark of a setting that may change while the bridge runs."""

    judged: bool = False


LIVE = _Live()
"""Marks a field that may change while the bridge runs, because no change of it opens anything.

All other fields change at the next start. ``is_live`` tells them apart.
"""

JUDGED = _Live(judged=True)
"""Marks a field that may change while the bridge runs, as long as nothing opens: ``Annotated[Secrets, JUDGED]``.

``escalation`` judges its changes.
"""


def is_live(field: FieldInfo) -> bool:
    """Whether the field may change while the bridge runs."""
    return any(isinstance(one, _Live) for one in field.metadata)


def is_judged(field: FieldInfo) -> bool:
    """Whether a change of the field may open something."""
    return any(isinstance(one, _Live) and one.judged for one in field.metadata)


def read_list(value: Any) -> Any:
    """The list in a text: JSON when it begins with ``[``, else separated by commas. Other values stay as they are.

    Raises ``ValueError``.
    """
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
        raise ValueError('begins with [ but is no JSON list: write ["one", "two"]') from None


def read_hub(value: Any) -> Any:
    """A hub's name in lower case. Other values stay as they are. Raises ``ValueError``."""
    try:
        return check_hub(value) if isinstance(value, str) else value
    except InvalidName as error:
        raise ValueError(error.detail) from None


def read_text(value: Any) -> Any:
    """The text of an integer, so that a file may hold a text that looks like one. Other values stay as they are."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read_map(value: Any) -> Any:
    """The map in a JSON text. Other values stay as they are. Raises ``ValueError``."""
    if not isinstance(value, str):
        return value
    try:
        return json_text.decode(value.encode())
    except MalformedJson:
        raise ValueError('is no JSON object: write {"name": "value"}') from None


def _check_secrets(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Raises ``ValueError`` for half a character, which a byte of the environment becomes that is not UTF-8."""
    if not all(is_utf8(one.get_secret_value()) for one in values):
        raise ValueError("is not UTF-8")
    return values


UNIX = ip_network("::/128")
"""Stands for whoever is connected by a Unix socket, who has no address. Nobody is connected from this one."""


def _read_networks(value: Any) -> Any:
    values = read_list(value)
    if not isinstance(values, list):
        return values
    try:
        return [UNIX if one == "unix" else ip_network(one) for one in values]
    except ValueError:
        raise ValueError(
            "write networks, such as 10.0.0.0/8 with zeros behind the mask, or addresses, no names"
        ) from None


def read_objects(value: Any) -> Any:
    """The list of objects in a text. Other values stay as they are. Raises ``ValueError``."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        raise ValueError("begins with { and is no JSON list: put it in [ ]")
    return read_list(value)


_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")


def _check_listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if match is None and value.count(":") > 1:
        raise ValueError("an IPv6 address stands in brackets: write such as [::1]:8081")
    if match is None or int(match["port"]) > 65_535:
        raise ValueError("an address to listen on is host:port: write such as 127.0.0.1:8081")
    return value


def read_listen_address(value: str | None) -> tuple[str, int] | None:
    """Host and port of a checked address to listen on. None without one."""
    match = _LISTEN.fullmatch(value or "")
    return (match["six"] or match["host"], int(match["port"])) if match else None


ListenAddress = Annotated[str, AfterValidator(_check_listen)]
"""An address to listen on, as ``host:port``."""
Texts = Annotated[tuple[str, ...], BeforeValidator(read_list)]
"""Texts, as a list or in one text."""
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(read_list), AfterValidator(_check_secrets)]
"""Secrets, as a list or in one text."""
Hub = Annotated[str, BeforeValidator(read_hub)]
"""A hub's name, in lower case."""
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_read_networks)]
"""Networks in CIDR notation, as a list or in one text. ``unix`` among them is ``UNIX``."""
