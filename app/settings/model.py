"""The settings as one frozen object: every name, its type, its default and its bounds.

The descriptions are the README's settings table.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import InvalidName, MalformedJson
from app.protocol import json_text
from app.protocol.connection_string import ConnectionString
from app.protocol.names import check_hub


def _read_list(value: Any) -> Any:
    """A list written in one text: JSON when it begins with ``[``, else comma-separated."""
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


def _read_text(value: Any) -> Any:
    """A text that looks like a number, and may be one in a file."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _read_keys(value: Any) -> Any:
    values = _read_list(value)
    return [{"key": one} if isinstance(one, str) else one for one in values] if isinstance(values, list) else values


def _read_authority(value: Any) -> Any:
    """As azure-identity reads it: without a scheme it is a host's name, and plain http is refused."""
    if not isinstance(value, str):
        return value
    address = (value if "://" in value else f"https://{value}").rstrip("/")
    if not address.lower().startswith("https://"):
        raise ValueError("the address must begin with https://")
    return address


_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

Texts = Annotated[tuple[str, ...], BeforeValidator(_read_list)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_read_list)]
Hub = Annotated[str, BeforeValidator(_read_hub)]


class Section(BaseModel):
    """A group of settings: frozen, no unknown names, and no value in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)


class EndpointSettings(Section):
    """One SignalR instance. The unnamed one is called ``default``."""

    name: str = "default"
    endpoint_type: Literal["Primary", "Secondary"] = "Primary"
    connection: ConnectionString
    upstream_app_id: str | None = Field(
        default=None, description="the application id in the tokens of this instance's upstream calls"
    )


class CallerKey(Section):
    """One API key; without hubs or rights it has all."""

    key: SecretStr
    name: str = "key"

    @model_validator(mode="after")
    def _check_length(self) -> Self:
        if len(self.key.get_secret_value()) < 16:
            raise ValueError("a key has at least 16 characters")
        return self


class CallersSettings(Section):
    keys: Annotated[tuple[CallerKey, ...], BeforeValidator(_read_keys)] = Field(
        default=(), description="API keys of backends, each with at least 16 characters"
    )


class NegotiateSettings(Section):
    hubs: Texts = Field(default=(), description="further hubs that clients may negotiate for; `*` for all")
    anonymous: bool = Field(default=False, description="clients without identity may connect")
    user_id: str | None = Field(default=None, description="template of the user id, over `{headers.x}` and `{query.x}`")
    trust_client_input: bool = Field(
        default=False, description="templates may use headers and query, which clients can write"
    )
    lifetime_seconds: int = Field(default=3600, ge=1, le=86_400, description="how long a client's token is valid")
    close_on_expiry: bool = Field(default=False, description="close the connection when its token expires")
    lossless_claims: bool = Field(
        default=True, description="carry claims in `bridge.claims` too, which nobody can forge"
    )

    @model_validator(mode="after")
    def _check_trust(self) -> Self:
        if self.user_id is not None and "{" in self.user_id and not self.trust_client_input:
            raise ValueError(
                "the user id's template reads what clients can write: set TRUST_CLIENT_INPUT=true to allow it"
            )
        return self


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
            raise ValueError("TENANT, AUDIENCE and APP_IDS are set together, or none of them")
        if self.tenant is not None and not _ID.fullmatch(self.tenant):
            raise ValueError("TENANT is the tenant's id, such as 00000000-0000-0000-0000-000000000000, not its name")
        return self


class UpstreamSettings(Section):
    code: Secrets = Field(default=(), description="further secret(s) in the upstream URL's `code`")
    keys: Secrets = Field(default=(), description="keys that only verify upstream signatures")
    entra: EntraSettings = EntraSettings()
    allow_unsigned: bool = Field(default=False, description="take upstream calls that nobody vouches for")
    unhandled: Annotated[Literal["404", "200"], BeforeValidator(_read_text)] = Field(
        default="404", description="the answer to a message that nobody handles"
    )


class ForwardSettings(Section):
    """Where events go over HTTP."""

    hub: str = Field(default="*", description="a hub's name, or `*`")
    category: Literal["connections", "messages", "*"] = Field(default="*", description="which events")
    event: str = Field(default="*", description="an event's name, or `*`")
    # Not shown: a function's URL has its code in the query.
    url: str = Field(description="where to post; `{hub}` and `{event}` stand as whole path segments", repr=False)
    secrets: Secrets = Field(default=(), description="sign every call, with each of them (`whsec_...`)")
    unsigned: bool = Field(default=False, description="post without a signature")
    format: Literal["json", "cloudevents", "functions"] = Field(
        default="json", description="`json`, `cloudevents`, or `functions`: a Functions custom handler's contract"
    )
    function: str | None = Field(default=None, description="`functions`: the function to run, behind the URL's path")
    binding: str = Field(default="invocation", description="`functions`: the trigger's name in the payload")
    parameter_names: Texts | None = Field(default=None, description="`functions`: names of a message's arguments")
    timeout_seconds: float = Field(default=10, gt=0, le=100, description="how long one event may take")
    retry_seconds: float = Field(
        default=60, ge=0, le=3600, description="how long connection events are tried again; 0 is never"
    )


class LimitsSettings(Section):
    deadline_seconds: float = Field(default=10, ge=0.1, le=100, description="the deadline of a call that names none")
    upstream_bytes: int = Field(default=4_194_304, ge=1, description="the largest upstream body")
    handler_seconds: float = Field(
        default=60, gt=0, le=3600, description="how long a Python handler may take that names no time-out of its own"
    )
    grace_seconds: float = Field(
        default=20, ge=0, le=300, description="how long calls in flight may take to end at a stop"
    )


class Settings(BaseSettings):
    """Everything the bridge is told, in one object. What it is made of comes from ``sources``, never from thin air."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    host: str = Field(default="0.0.0.0", description="address to listen on (`dev`: 127.0.0.1)")
    port: int = Field(default=8080, ge=0, le=65_535, description="port to listen on")
    endpoints: tuple[EndpointSettings, ...] = ()
    allow_emulator_key: bool = Field(default=False, description="`serve` may use the emulator's well-known key")
    default_hub: Hub | None = Field(default=None, description="the hub of `/api/negotiate`")
    handlers: Texts = Field(default=(), description="Python handlers, as `module:attribute`")
    callers: CallersSettings = CallersSettings()
    negotiate: NegotiateSettings = NegotiateSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    forward: dict[str, ForwardSettings] = Field(default_factory=dict)
    limits: LimitsSettings = LimitsSettings()
    docs: bool = Field(default=False, description="serve `/docs` and `/openapi.json`")
    console: bool = Field(default=False, description="serve `/events`, to callers with a key")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least level to log"
    )
    log_format: Literal["json", "text"] | None = Field(default=None, description="`json`, or `text` on a terminal")
    authority_host: Annotated[str, BeforeValidator(_read_authority)] = "https://login.microsoftonline.com"
    """Where tokens are issued; Azure's own name for it is ``AZURE_AUTHORITY_HOST``."""
    development: bool = Field(default=False, exclude=True)
    """Set by ``dev`` alone: callers on loopback need no key."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """One source, the values that ``loading`` has gathered and named: pydantic's own would miss misspelt names."""
        return (init_settings,)
