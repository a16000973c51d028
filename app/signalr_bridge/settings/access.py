"""Settings of access: who may call, negotiate and deliver upstream events, and from which origins."""

import hashlib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from signalr_bridge.protocol.origin import is_loopback_name, is_origin
from signalr_bridge.protocol.platform_headers import is_platform_header
from signalr_bridge.settings.fields import (
    JUDGED,
    Hub,
    ListenAddress,
    Secrets,
    Section,
    Texts,
    about,
    read_hub,
    read_list,
    read_listen_address,
    read_map,
    read_objects,
    read_text,
)

RightName = Literal["negotiate", "send", "groups", "connections", "read", "functions", "functions-admin"]
Rights = Annotated[tuple[RightName, ...], BeforeValidator(read_list)]
Hubs = Annotated[tuple[Hub, ...], BeforeValidator(read_list)]

_NAME = re.compile(r"[ -~]{1,64}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_HTTPS = re.compile(r"https://[^\s/?#@]+(?:/[^\s?#]*)?")

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")

_PLACEHOLDER = re.compile(r"\{(query|headers|claims)\.([^{}]{1,256})\}")
_RESERVED = re.compile(r"|nameid|(asrs|bridge)\..*|http://schemas\.xmlsoap\.org/.*/nameidentifier")

_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def _read_keys(value: Any) -> Any:
    values = read_objects(value)  # a single object would itself be taken for a key
    if not isinstance(values, list):
        return values
    name = "key" if len(values) == 1 else "key-{}"
    # Each has a name of its own, because limits and kept answers are by name.
    return [_read_key(one, name.format(number)) for number, one in enumerate(values, start=1)]


def _read_key(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return {"name": name, "key": value, "form": "text"}
    if not isinstance(value, dict):
        return value
    if "form" in value:
        raise ValueError("a name in it means nothing: write key, sha256, name, hubs or rights")
    return {"name": name, **value, "form": "named" if "name" in value else "unnamed"}


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def check_issuer(value: str) -> str:
    """An issuer's address. It is compared exactly, and its keys are fetched over TLS. Raises ``ValueError``."""
    if not _HTTPS.fullmatch(value):
        raise ValueError(
            "an issuer is an address that begins with https://, without query: write it as in the token's `iss`"
        )
    return value


def check_together(section: Section, *fields: str) -> None:
    """Raises an error when some of the fields are set, but not all."""
    missing = [name for name in fields if not getattr(section, name)]
    given = [name for name in fields if name not in missing]
    if missing and given:
        rest = " and ".join(f"{{section}}{name.upper()}" for name in missing)
        raise about(given[0], f"does not stand alone: set {rest}, too, or none of them")


class GrantSettings(Section):
    """Rights for hubs. What is left out means all."""

    hubs: Hubs | None = Field(default=None, min_length=1)
    rights: Rights | None = Field(default=None, min_length=1)


class CallerKey(GrantSettings):
    """One API key, or its SHA-256."""

    key: SecretStr | None = None
    sha256: SecretStr | None = None
    name: str = "key"
    form: Literal["text", "named", "unnamed"] = Field(default="named", exclude=True)
    """How it was written: as a text alone, or as a table with or without a name. ``_read_keys`` sets it."""

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("write a name of 1 to 64 printable ASCII characters")
        return value

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.key is None) is (self.sha256 is None):
            raise ValueError("a key is given by 'key' or by 'sha256', and not by both")
        if self.key is not None and len(self.key.get_secret_value()) < 16:
            raise ValueError("a key has at least 16 characters: write a longer one")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256.get_secret_value()):
            raise ValueError("a sha256 has 64 hexadecimal digits")
        if self.digest == digest_of(""):
            raise ValueError("the sha256 is that of an empty text, which everybody knows: write that of a key")
        return self

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the key."""
        if self.sha256 is not None:
            return bytes.fromhex(self.sha256.get_secret_value())
        return digest_of("" if self.key is None else self.key.get_secret_value())


class OidcSettings(Section):
    """Which bearer tokens are accepted from backends. All three are set, or none."""

    issuer: str | None = Field(default=None, description="the issuer of the tokens of backends, compared exactly")
    audience: Annotated[tuple[str, ...], BeforeValidator(read_list)] = Field(
        default=(), description="the audience of these tokens; one of several is enough"
    )
    roles: Annotated[dict[str, GrantSettings], BeforeValidator(read_map)] = Field(
        default_factory=dict, description='what the values of the claim `roles` allow: `{"<role>": {"rights", "hubs"}}`'
    )

    @model_validator(mode="after")
    def _check_all_three(self) -> Self:
        check_together(self, "issuer", "audience", "roles")
        return self

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str | None) -> str | None:
        return None if value is None else check_issuer(value)


class CallersSettings(Section):
    """Who may call, and on which listener."""

    keys: Annotated[tuple[CallerKey, ...], BeforeValidator(_read_keys), JUDGED] = Field(
        default=(), description="API keys of backends, each with at least 16 characters"
    )
    oidc: OidcSettings = OidcSettings()
    listen: ListenAddress | None = Field(
        default=None, description="own listener for caller routes, metrics and docs, as `host:port`"
    )
    anonymous: bool = Field(default=False, description="on that listener, on loopback, callers need no credential")

    @model_validator(mode="after")
    def _check_anonymous(self) -> Self:
        if self.anonymous and not (self.listen_address and is_loopback_name(self.listen_address[0])):
            raise about("anonymous", "needs a listener of its own on loopback: set {section}LISTEN=127.0.0.1:8081")
        return self

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """Host and port of the callers' own listener. None without one."""
        return read_listen_address(self.listen)


class CorsSettings(Section):
    """Which web pages may negotiate."""

    origins: Texts = Field(
        default=(), description="origins whose pages may negotiate, such as `https://*.contoso.com` (`*` is one label)"
    )
    headers: Texts = Field(default=(), description="further headers that their requests may have")
    credentials: bool = Field(
        default=True, description="their requests may have cookies, as those of SignalR's JavaScript client by default"
    )

    @field_validator("origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_origin(one) for one in value):
            raise ValueError(
                "an origin is scheme://host[:port], without a path or slash at its end, and there is no '*': "
                "write such as https://app.contoso.com or https://*.contoso.com"
            )
        return value

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HEADER.fullmatch(one) for one in value):
            raise ValueError("a header's name has letters, digits and hyphens")
        return value


def _read_required(value: Any) -> Any:
    """The map with every value as a list: ``{"scp": "chat"}`` means ``{"scp": ["chat"]}``."""
    return {name: [one] if isinstance(one, str) else one for name, one in value.items()} if _is_map(value) else value


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


class JwtSettings(Section):
    """Tokens of one issuer. Its keys are found by discovery."""

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


def is_reserved_claim(type_: str) -> bool:
    """Whether a claim of this type cannot be copied, because the service or the bridge reserves it."""
    return _RESERVED.fullmatch(type_) is not None


class ClientSettings(Section):
    """How clients are admitted and identified: for all hubs, or for one."""

    anonymous: bool = Field(default=False, description="clients without identity may connect")
    user_id: str | None = Field(
        default=None, description="template of the user id, over `{headers.x}`, `{query.x}` and `{claims.x}`"
    )
    id_token: str | None = Field(default=None, description="template of an id token whose claims are copied")
    id_token_unverified: bool = Field(default=False, description="accept an id token without verifying it")
    claim_types: Texts = Field(default=(), description="claims to copy from the id token, or else from what admitted")
    jwt: Annotated[tuple[JwtSettings, ...], BeforeValidator(read_objects)] = Field(
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
        if any(map(is_reserved_claim, value)):
            raise ValueError("a claim's type is empty, or one that the service or the bridge reserves")
        return value

    @model_validator(mode="after")
    def _check_trust(self) -> Self:
        if self._reads_client_input(self.user_id):
            raise about("user_id", "reads what clients can write: set {section}TRUST_CLIENT_INPUT=true to allow it")
        if self.id_token is not None and not self.id_token_unverified and not self.jwt:
            raise about(
                "id_token",
                "is verified by the issuers in {section}JWT: set them, or {section}ID_TOKEN_UNVERIFIED=true",
            )
        if self.id_token_unverified and self._reads_client_input(self.id_token):
            raise about(
                "id_token",
                "is unverified, and clients who can write it name themselves as they like: "
                "set {section}TRUST_CLIENT_INPUT=true to allow it",
            )
        return self

    def _reads_client_input(self, template: str | None) -> bool:
        """Whether a template reads what a client can write, and the settings do not allow that."""
        read = _PLACEHOLDER.findall(template or "")
        written = [one for one in read if one[0] != "claims" and not self._is_the_platforms(*one)]
        return bool(written) and not self.trust_client_input

    def _is_the_platforms(self, kind: str, name: str) -> bool:
        return self.platform_identity and kind == "headers" and is_platform_header(name.lower())


class NegotiateSettings(ClientSettings):
    """The rules for the clients of all hubs."""

    hubs: Texts = Field(default=(), description="further hubs that clients may negotiate for; `*` for all")
    paths: Annotated[dict[str, Hub], BeforeValidator(read_map)] = Field(
        default_factory=dict, description='further paths of negotiate: `{"/api/chat/negotiate": "chat"}`'
    )

    @field_validator("hubs")
    @classmethod
    def _check_hubs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one if one == "*" else read_hub(one) for one in value)


def read_authority(value: Any) -> Any:
    """The address of an authority, read as azure-identity does. Without a scheme it is a host name.

    Raises ``ValueError`` for plain http.
    """
    if not isinstance(value, str):
        return value
    address = (value if "://" in value else f"https://{value}").rstrip("/")
    if not address.lower().startswith("https://"):
        raise ValueError("the address must begin with https://")
    return address


class EntraSettings(Section):
    """Which tokens of the service's managed identity are trusted. All three are set, or none."""

    tenant: str | None = Field(default=None, description="the tenant's id that issues the service's tokens")
    audience: Texts = Field(default=(), description="the `Resource` of the upstream's managed identity; one of several")
    app_ids: Texts = Field(
        default=(), description="application ids of the service's identities; `*` for any of the tenant"
    )

    @model_validator(mode="after")
    def _check_all_three(self) -> Self:
        check_together(self, "tenant", "audience", "app_ids")
        return self

    @field_validator("tenant")
    @classmethod
    def _check_tenant(cls, value: str | None) -> str | None:
        if value is not None and not _ID.fullmatch(value):
            raise ValueError("a tenant is given by its id: write it as 00000000-0000-0000-0000-000000000000, no name")
        return value


class UpstreamSettings(Section):
    """Which upstream calls are accepted, and the answer to a message without a handler."""

    code: Annotated[Secrets, JUDGED] = Field(default=(), description="further secret(s) in the upstream URL's `code`")
    keys: Annotated[Secrets, JUDGED] = Field(default=(), description="keys that only verify upstream signatures")
    entra: EntraSettings = EntraSettings()
    allow_unsigned: bool = Field(default=False, description="accept upstream calls without a valid signature or token")
    unhandled: Annotated[Literal["404", "200"], BeforeValidator(read_text)] = Field(
        default="404", description="the answer to a message that nobody handles"
    )
