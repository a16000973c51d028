"""Settings as they may be shown: under the names of their environment variables, and with their secrets masked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from signalr_bridge.settings.azure_calls import name_of_azure
from signalr_bridge.settings.azure_identity import VARIABLES
from signalr_bridge.settings.fields import is_live
from signalr_bridge.settings.names import (
    PREFIX,
    READ_ELSEWHERE,
    find_path,
    settings_below,
    settings_by_path,
    write_name,
)
from signalr_bridge.settings.value import UNWATCHED, Diagnostic, Level, Value, Values, drop_blank

MASK = "***"
"""Stands for a secret."""

_CALLS = ("azuresignalrservicetransporttype", "azuresignalrhttpclienttimeout", "azuresignalrretry:")
_AUTHORITY = "azure_authority"
_AUTHORITY_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@")  # its scheme may be left out
_URL_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"',]*@")
_MESSAGEPACK = "azure:signalr:hubprotocol:messagepack:enabled"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as it may be shown, with secrets masked. ``live`` tells whether a change of it is in force at once.

    ``setting`` is its name as it was written, and ``name`` that of its environment variable.
    """

    setting: str
    value: str
    source: str
    live: bool = False
    name: str = ""


def list_settings(values: Values, diagnostics: Iterable[Diagnostic] = ()) -> list[Row]:
    """All settings that were given, except endpoints, which ``list_endpoints`` gives. Wrong values are not shown."""
    wrong = {one.setting.lower().replace(":", "__") for one in diagnostics if one.level is Level.ERROR}
    return [
        Row(
            found.written,
            "not understood" if _key(found) in wrong else shown,
            found.source,
            _is_live(spelled, found),
            _name(spelled, found),
        )
        for spelled, found in sorted(drop_blank(values).items())
        if (shown := _show(spelled, found)) is not None
    ]


def _name(spelled: str, found: Value) -> str:
    """The name of a setting as its environment variable is called, whichever way it was written."""
    rest = spelled.removeprefix(PREFIX.lower())
    path = find_path(rest) if rest != spelled else None
    if path is not None:
        return write_name(path)
    if spelled in VARIABLES:
        return spelled.upper()
    return name_of_azure(spelled) or (found.written.replace(":", "__") if rest == spelled else PREFIX + rest.upper())


def _show(spelled: str, found: Value) -> str | None:
    """The value to show. None for what is not one of our settings, or belongs to an endpoint."""
    if spelled.startswith(_AUTHORITY):
        return _AUTHORITY_USERINFO.sub(rf"\1{MASK}@", found.text)
    if (is_secret := VARIABLES.get(spelled)) is not None:
        return MASK if is_secret else _mask_userinfo(found.text)
    if spelled.startswith(_CALLS) or spelled == _MESSAGEPACK:
        return _mask_userinfo(found.text)
    if not spelled.startswith(PREFIX.lower()):
        return None
    rest = spelled.removeprefix(PREFIX.lower())
    field = find_field(rest)
    if field is None:
        return _mask_userinfo(found.text) if rest in READ_ELSEWHERE else None
    return _mask(field, found.value)


def find_field(name: str) -> FieldInfo | None:
    """The field of a setting, whose name is without prefix, in lower case, with ``:``. None for an unknown name."""
    path = find_path(name)
    if path is None:
        return None
    return settings_by_path().get(path) or settings_below(path[0])[path[2:]]


def _is_live(spelled: str, found: Value) -> bool:
    """Whether a change is in force at once. What the environment and the command line say holds until a restart."""
    field = find_field(spelled.removeprefix(PREFIX.lower())) if spelled.startswith(PREFIX.lower()) else None
    return field is not None and is_live(field) and found.source not in UNWATCHED


def _mask(field: FieldInfo, value: Any) -> str:
    if holds_secrets(field.annotation):
        return MASK
    text = str(value).strip()
    return _mask_userinfo(text if field.repr else _without_query(text))


def _mask_userinfo(text: str) -> str:
    """The text with the user and the password in each URL masked. What is no proper URL loses all up to the last @."""
    return _URL_USERINFO.sub(rf"\1{MASK}@", text)


def _without_query(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.fragment:  # a password with # in it would be cut there
            return MASK
        return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{MASK}" if parts.query else "")
    except ValueError:
        return MASK


def holds_secrets(annotation: Any) -> bool:
    """Whether a field of this type holds secrets, perhaps deep inside."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(holds_secrets(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(map(holds_secrets, get_args(annotation)))


def _key(found: Value) -> str:
    return found.written.lower().replace(":", "__")
