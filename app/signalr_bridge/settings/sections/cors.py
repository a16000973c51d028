"""Web pages of other origins that may negotiate."""

import re

from pydantic import Field, field_validator

from signalr_bridge.settings.sections.fields import Section, Texts

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,]+", re.IGNORECASE)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


class CorsSettings(Section):
    origins: Texts = Field(
        default=(), description="origins whose pages may negotiate, such as `https://*.contoso.com` (`*` is one label)"
    )
    headers: Texts = Field(default=(), description="further headers that their requests may have")

    @field_validator("origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(one) for one in value):
            raise ValueError("an origin is scheme://host[:port], without a path or slash at its end; there is no '*'")
        return value

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HEADER.fullmatch(one) for one in value):
            raise ValueError("a header's name has letters, digits and hyphens")
        return value
