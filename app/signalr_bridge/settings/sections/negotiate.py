"""Which clients may connect, what names them, and what their tokens say."""

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from signalr_bridge.settings.sections.callers import check_issuer
from signalr_bridge.settings.sections.fields import Section, Texts, read_list

_PLACEHOLDER = re.compile(r"\{(query|headers|claims)\.([^{}]{1,256})\}")
_OF_THE_PLATFORM = re.compile(r"x-ms-(client-principal|token-).*", re.IGNORECASE)
_RESERVED = re.compile(r"|nameid|(asrs|bridge)\..*|http://schemas\.xmlsoap\.org/.*/nameidentifier")


def _read_required(value: Any) -> Any:
    """``{"scp": "chat"}`` means ``{"scp": ["chat"]}``."""
    return {name: [one] if isinstance(one, str) else one for name, one in value.items()} if _is_map(value) else value


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


class JwtSettings(Section):
    """Tokens of one issuer; its keys are found by discovery."""

    issuer: str
    audience: Annotated[tuple[str, ...], BeforeValidator(read_list)] = Field(min_length=1)
    user_claim: str = Field(default="sub", min_length=1)
    required: Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], BeforeValidator(_read_required)] = (
        Field(default_factory=dict)
    )

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        return check_issuer(value)


class ClientSettings(Section):
    """What holds for all hubs, or for one."""

    anonymous: bool = Field(default=False, description="clients without identity may connect")
    user_id: str | None = Field(
        default=None, description="template of the user id, over `{headers.x}`, `{query.x}` and `{claims.x}`"
    )
    id_token: str | None = Field(default=None, description="template of an id token whose claims are copied")
    id_token_unverified: bool = Field(default=False, description="believe an id token without checking it")
    claim_types: Texts = Field(default=(), description="claims to copy from the id token, or else from what admitted")
    jwt: Annotated[tuple[JwtSettings, ...], BeforeValidator(read_list)] = Field(
        default=(), description='tokens that admit: `{"issuer", "audience", "user_claim", "required"}`'
    )
    platform_identity: bool = Field(
        default=False, description="trust `x-ms-client-principal*` and `x-ms-token-*`: behind App Service alone"
    )
    trust_client_input: bool = Field(
        default=False, description="templates may use headers and query, which clients can write"
    )
    lifetime_seconds: int = Field(default=3600, ge=1, le=86_400, description="how long a client's token is valid")
    close_on_expiry: bool = Field(default=False, description="close the connection when its token expires")
    lossless_claims: bool = Field(
        default=True, description="carry claims in `bridge.claims` too, which nobody can forge"
    )

    @field_validator("claim_types")
    @classmethod
    def _check_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(_RESERVED.fullmatch(one) for one in value):
            raise ValueError("a claim's type is empty, or one that the service or the bridge reserves")
        return value

    @model_validator(mode="after")
    def _check_trust(self) -> Self:
        if self._reads_client_input(self.user_id):
            raise ValueError(
                "the user id's template reads what clients can write: set TRUST_CLIENT_INPUT=true to allow it"
            )
        if self.id_token is not None and not self.id_token_unverified and not self.jwt:
            raise ValueError("ID_TOKEN is verified by the issuers in JWT: set them, or ID_TOKEN_UNVERIFIED=true")
        if self.id_token_unverified and self._reads_client_input(self.id_token):
            raise ValueError(
                "an unverified ID_TOKEN that clients can write names them as they like: set TRUST_CLIENT_INPUT=true "
                "to allow it"
            )
        return self

    def _reads_client_input(self, template: str | None) -> bool:
        """Whether a template reads what a client can write, and nobody has said that this is fine."""
        read = _PLACEHOLDER.findall(template or "")
        written = [one for one in read if one[0] != "claims" and not self._is_the_platforms(*one)]
        return bool(written) and not self.trust_client_input

    def _is_the_platforms(self, kind: str, name: str) -> bool:
        return self.platform_identity and kind == "headers" and _OF_THE_PLATFORM.fullmatch(name) is not None


class NegotiateSettings(ClientSettings):
    hubs: Texts = Field(default=(), description="further hubs that clients may negotiate for; `*` for all")
