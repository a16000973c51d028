"""Whose upstream calls are believed, and what answers those that nobody handles."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from signalr_bridge.settings.sections.fields import Secrets, Section, Texts, read_text

_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def read_authority(value: Any) -> Any:
    """As azure-identity reads it: without a scheme it is a host's name, and plain http is refused."""
    if not isinstance(value, str):
        return value
    address = (value if "://" in value else f"https://{value}").rstrip("/")
    if not address.lower().startswith("https://"):
        raise ValueError("the address must begin with https://")
    return address


class EntraSettings(Section):
    """Which tokens of the service's managed identity are believed: all three, or none."""

    tenant: str | None = Field(default=None, description="the tenant's id that issues the service's tokens")
    audience: Texts = Field(default=(), description="the `Resource` of the upstream's managed identity; any of several")
    app_ids: Texts = Field(
        default=(), description="application ids of the service's identities; `*` for any of the tenant"
    )

    @model_validator(mode="after")
    def _check_all_three(self) -> Self:
        given = [self.tenant is not None, bool(self.audience), bool(self.app_ids)]
        if any(given) and not all(given):
            raise ValueError("set TENANT, AUDIENCE and APP_IDS, or none of them")
        if self.tenant is not None and not _ID.fullmatch(self.tenant):
            raise ValueError("the TENANT is given by its id, as 00000000-0000-0000-0000-000000000000, not its name")
        return self


class UpstreamSettings(Section):
    code: Secrets = Field(default=(), description="further secret(s) in the upstream URL's `code`")
    keys: Secrets = Field(default=(), description="keys that only verify upstream signatures")
    entra: EntraSettings = EntraSettings()
    allow_unsigned: bool = Field(default=False, description="take upstream calls that nobody vouches for")
    unhandled: Annotated[Literal["404", "200"], BeforeValidator(read_text)] = Field(
        default="404", description="the answer to a message that nobody handles"
    )
