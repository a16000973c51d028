"""Who may call: API keys and tokens of backends, what each may do, and where they reach us."""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from signalr_bridge.settings.sections.fields import Hub, Section, read_list, read_map

RightName = Literal["negotiate", "send", "groups", "connections", "read"]
Rights = Annotated[tuple[RightName, ...], BeforeValidator(read_list)]
Hubs = Annotated[tuple[Hub, ...], BeforeValidator(read_list)]

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_HTTPS = re.compile(r"https://[^\s/?#@]+(?:/[^\s?#]*)?")


def _read_keys(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        raise ValueError("begins with { and is no JSON list: put it in [ ]")  # else it would itself be taken for a key
    values = read_list(value)
    if not isinstance(values, list):
        return values
    name = "key" if len(values) == 1 else "key-{}"
    return [
        # Each has a name of its own: limits and kept answers are by name.
        {"name": name.format(number)} | ({"key": one} if isinstance(one, str) else one)
        if isinstance(one, str | dict)
        else one
        for number, one in enumerate(values, start=1)
    ]


def check_issuer(value: str) -> str:
    """An issuer's address, to be compared exactly; its keys are fetched over TLS."""
    if not _HTTPS.fullmatch(value):
        raise ValueError("an issuer is an address that begins with https://, without query")
    return value


class Grant(Section):
    """Rights for hubs; each left out means all."""

    hubs: Hubs | None = Field(default=None, min_length=1)
    rights: Rights | None = Field(default=None, min_length=1)


class CallerKey(Grant):
    """One API key, or its SHA-256."""

    key: SecretStr | None = None
    sha256: SecretStr | None = None
    name: str = Field(default="key", pattern=r"^[ -~]{1,64}$")

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.key is None) is (self.sha256 is None):
            raise ValueError("a key is given by 'key' or by 'sha256', and not by both")
        if self.key is not None and len(self.key.get_secret_value()) < 16:
            raise ValueError("a key has at least 16 characters")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256.get_secret_value()):
            raise ValueError("a sha256 has 64 hexadecimal digits")
        return self


class OidcSettings(Section):
    """Which bearer tokens are those of backends: all three, or none."""

    issuer: str | None = Field(default=None, description="who issues the tokens of backends, to the letter")
    audience: Annotated[tuple[str, ...], BeforeValidator(read_list)] = Field(
        default=(), description="whom the tokens are for; one of several"
    )
    roles: Annotated[dict[str, Grant], BeforeValidator(read_map)] = Field(
        default_factory=dict, description='what the values of the claim `roles` allow: `{"<role>": {"rights", "hubs"}}`'
    )

    @model_validator(mode="after")
    def _check_all_three(self) -> Self:
        given = [self.issuer is not None, bool(self.audience), bool(self.roles)]
        if any(given) and not all(given):
            raise ValueError("set ISSUER, AUDIENCE and ROLES, or none of them")
        if self.issuer is not None:
            check_issuer(self.issuer)
        return self


class CallersSettings(Section):
    keys: Annotated[tuple[CallerKey, ...], BeforeValidator(_read_keys)] = Field(
        default=(), description="API keys of backends, each with at least 16 characters"
    )
    oidc: OidcSettings = OidcSettings()
    listen: str | None = Field(default=None, description="own listener for caller routes and docs, as `host:port`")
    anonymous: bool = Field(default=False, description="whoever reaches that listener, on loopback, may call")

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str | None) -> str | None:
        match = None if value is None else _LISTEN.fullmatch(value)
        if value is not None and (match is None or int(match["port"]) > 65_535):
            raise ValueError("an address to listen on is host:port, such as 127.0.0.1:8081")
        return value

    @model_validator(mode="after")
    def _check_anonymous(self) -> Self:
        if self.anonymous and not (self.listen_address and _is_loopback(self.listen_address[0])):
            raise ValueError("ANONYMOUS needs a listener of its own on loopback: set LISTEN=127.0.0.1:8081")
        return self

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """Host and port of the callers' own listener."""
        match = _LISTEN.fullmatch(self.listen or "")
        return (match["six"] or match["host"], int(match["port"])) if match else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
