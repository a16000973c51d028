"""All settings as one frozen object, made of the sections in ``access`` and ``traffic``.

The README's table of settings is made of the descriptions.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from signalr_bridge.settings.access import (
    CallerKey,
    CallersSettings,
    ClientSettings,
    CorsSettings,
    EntraSettings,
    JwtSettings,
    NegotiateSettings,
    UpstreamSettings,
    read_authority,
)
from signalr_bridge.settings.fields import (
    JUDGED,
    LIVE,
    Hub,
    ListenAddress,
    Networks,
    Section,
    Texts,
    about,
    read_listen_address,
)
from signalr_bridge.settings.log_levels import LogLevels
from signalr_bridge.settings.traffic import (
    CallSettings,
    CredentialSettings,
    EndpointSettings,
    EndpointTuning,
    EndpointType,
    ForwardSettings,
    FunctionAppSettings,
    FunctionsSettings,
    HubSettings,
    LimitsSettings,
    OutputSettings,
    ReloadSettings,
    RetrySettings,
    complete_hubs,
)
from signalr_bridge.settings.value import spell

__all__ = [
    "CallSettings",
    "CallerKey",
    "CallersSettings",
    "ClientSettings",
    "CorsSettings",
    "CredentialSettings",
    "EndpointSettings",
    "EndpointTuning",
    "EndpointType",
    "EntraSettings",
    "ForwardSettings",
    "FunctionAppSettings",
    "FunctionsSettings",
    "HubSettings",
    "JwtSettings",
    "LimitsSettings",
    "NegotiateSettings",
    "OutputSettings",
    "RetrySettings",
    "Section",
    "Settings",
    "UpstreamSettings",
]


_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_PUBLIC_URL = re.compile(r"https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def _is_address(text: str) -> bool:
    try:
        return ip_address(text).version > 0
    except ValueError:
        return False


_LONGEST_UDS = 107
"""In bytes. Linux takes no longer path of a socket."""


class Settings(BaseSettings):
    """All settings of the bridge. Their values come from ``sources`` alone."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    host: str = Field(
        default="0.0.0.0",
        description="address to listen on (`dev`: 127.0.0.1), or several with commas; `::` is both families",
    )
    uds: str | None = Field(default=None, description="a Unix socket to listen on (mode 0660), instead of an address")
    port: int = Field(default=8080, ge=0, le=65_535, description="port to listen on")
    public_url: str | None = Field(
        default=None, description="the bridge as clients and callers see it, `https://host[:port]`; `azure` writes it"
    )
    connection: Annotated[str, LIVE] = Field(
        default="AzureSignalRConnectionString",
        min_length=1,
        description="the name of the connection, as functions call it",
    )
    endpoints: Annotated[tuple[EndpointSettings, ...], JUDGED] = ()
    """The endpoints of ``connection``, which every hub has that names no other."""
    connections: Annotated[dict[str, tuple[EndpointSettings, ...]], JUDGED] = Field(default_factory=dict)
    """The endpoints of the further connections that hubs name, by name as ``connection_of`` gives it."""
    calls: CallSettings = CallSettings()
    allow_emulator_key: bool = Field(default=False, description="`serve` may use the emulator's well-known key")
    default_hub: Hub | None = Field(default=None, description="the hub of `/api/negotiate`")
    handlers: Texts = Field(default=(), description="Python handlers, as `module:attribute`")
    callers: CallersSettings = CallersSettings()
    negotiate: NegotiateSettings = NegotiateSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    forward: dict[str, ForwardSettings] = Field(default_factory=dict)
    function_app: FunctionAppSettings = FunctionAppSettings()
    functions: FunctionsSettings = FunctionsSettings()
    output: OutputSettings = OutputSettings()
    hubs: dict[str, HubSettings] = Field(default_factory=dict)
    hubs_only: bool = Field(default=False, description="callers, too, may only use hubs that settings or handlers name")
    cors: CorsSettings = CorsSettings()
    trusted_proxies: Networks = Field(
        default=(),
        description="networks of proxies whose `Forwarded` and `X-Forwarded-For` are trusted; `unix`: those at `uds`",
    )
    limits: LimitsSettings = LimitsSettings()
    reload: ReloadSettings = ReloadSettings()
    key_vault_url: str | None = Field(default=None, description="an Azure Key Vault with settings, `https://...`")
    app_configuration_endpoint: str | None = Field(
        default=None, description="an Azure App Configuration with settings, `https://...`"
    )
    app_configuration_connection_string: SecretStr | None = Field(
        default=None, description="the same store by its connection string, without an identity"
    )
    app_configuration_label: str | None = Field(
        default=None, description="only settings with this label; default: those without a label"
    )
    app_configuration_prefix: str = Field(default="", description="only keys with this prefix, which is removed")
    strict: bool = Field(default=False, description="unknown names stop the start")
    metrics: bool = Field(default=False, description="serve `/metrics` to callers who may `read` every hub")
    metrics_listen: ListenAddress | None = Field(
        default=None, description="own listener for `/metrics` and health, as `host:port`; whoever reaches it may read"
    )
    docs: bool = Field(default=False, description="serve `/docs` and `/openapi.json`")
    console: bool = Field(
        default=False, description="serve the page at `/`, and `/events` to callers who may `read` every hub"
    )
    root_path: str = Field(
        default="",
        description="the prefix, such as `/realtime`, that a proxy takes off the path",
    )
    log_level: LogLevels = Field(
        default="info", description="the lowest level to log, or levels by logger: `info,access=warning`"
    )
    log_format: Literal["json", "text"] | None = Field(default=None, description="`json`, or `text` on a terminal")
    log_users: bool = Field(default=False, description="user ids stand in the log in the clear")
    log_users_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="the key by which the log abbreviates user ids; default: the first caller key",
    )
    # It is not shown, because it may have a user and a password in front of the host.
    authority_host: Annotated[str, BeforeValidator(read_authority)] = Field(
        default="https://login.microsoftonline.com", repr=False
    )
    """Where tokens are issued. Azure's own name for it is ``AZURE_AUTHORITY_HOST``."""
    app_settings: dict[str, str] = Field(default_factory=dict, repr=False, exclude=True)
    """All values by their names as they were written, for `%Name%` in bindings and for the code of function apps.

    It is empty where no function app runs. It may hold secrets.
    """
    development: bool = Field(default=False, exclude=True)
    """Only ``dev`` sets it: callers on loopback need no key."""

    @model_validator(mode="before")
    @classmethod
    def _complete_hubs(cls, data: Any) -> Any:
        """Completes each hub's own sections by those for all hubs."""
        return complete_hubs(data) if isinstance(data, dict) else data

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        for one in value.split(","):
            host = one.strip()
            if host.startswith("["):
                raise ValueError("an IPv6 address stands without brackets here: write such as ::1")
            if not _HOST.fullmatch(host) and not _is_address(host):
                raise ValueError("write an address alone, such as 0.0.0.0, without http:// and without a port")
        return value

    @field_validator("uds")
    @classmethod
    def _check_uds(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("/") or "\0" in value or len(value.encode()) > _LONGEST_UDS):
            raise ValueError(f"write an absolute path of at most {_LONGEST_UDS} bytes, such as /run/bridge/http.sock")
        return value

    @property
    def listen_hosts(self) -> tuple[str, ...]:
        """The addresses to listen on, each once."""
        return tuple(dict.fromkeys(one.strip() for one in self.host.split(",")))

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is not None and not _PUBLIC_URL.fullmatch(value.rstrip("/")):
            raise ValueError("write https://host[:port], without a path, which BRIDGE_ROOT_PATH has")
        return None if value is None else value.rstrip("/")

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, value: str) -> str:
        if not _ROOT_PATH.fullmatch(value):
            raise ValueError("write a path such as /realtime, with a slash in front and none at its end")
        return value

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of the listener for metrics. None without one."""
        return read_listen_address(self.metrics_listen)

    @model_validator(mode="after")
    def _check_metrics(self) -> Self:
        if self.metrics_listen is not None and not self.metrics:
            raise about("metrics_listen", "is a listener for nothing: set BRIDGE_METRICS=true beside it")
        return self

    @model_validator(mode="after")
    def _check_hubs_only(self) -> Self:
        if self.hubs_only and "*" in self.negotiate.hubs:
            raise about("hubs_only", "contradicts the '*' in BRIDGE_NEGOTIATE__HUBS: remove one of the two")
        return self

    def without_secrets(self) -> Self:
        """The same without keys, codes, endpoints and forwards, for parts that outlive a change of those.

        The app's own settings stay.
        """
        hubs = {name: hub.model_copy(update={"upstream": None}) for name, hub in self.hubs.items()}
        return self.model_copy(
            update={
                "endpoints": (),
                "connections": {},
                "callers": CallersSettings(),
                "upstream": UpstreamSettings(),
                "forward": {},
                "functions": self.functions.model_copy(update={"secrets": ()}),
                "app_configuration_connection_string": None,
                "log_users_key": None,
                "hubs": hubs,
            }
        )

    def negotiate_of(self, hub: str) -> ClientSettings:
        """The rules for the clients of a hub."""
        own = self.hubs.get(hub.lower())
        return self.negotiate if own is None or own.negotiate is None else own.negotiate

    def cors_of(self, hub: str) -> CorsSettings:
        """The CORS settings of a hub."""
        own = self.hubs.get(hub.lower())
        return self.cors if own is None or own.cors is None else own.cors

    def upstream_of(self, hub: str) -> UpstreamSettings:
        """The upstream settings of a hub."""
        own = self.hubs.get(hub.lower())
        return self.upstream if own is None or own.upstream is None else own.upstream

    def connection_of(self, hub: str) -> str:
        """The name of a hub's connection, in lower case, with its levels joined by ``:``."""
        own = self.hubs.get(hub.lower())
        return spell(own.connection if own and own.connection else self.connection)

    def endpoints_of(self, hub: str) -> tuple[EndpointSettings, ...]:
        """The endpoints of a hub's connection."""
        name = self.connection_of(hub)
        return self.endpoints if name == spell(self.connection) else self.connections.get(name, ())

    def all_endpoints(self) -> tuple[EndpointSettings, ...]:
        """The endpoints of all connections. Named ones, which belong to each connection, appear once."""
        found = [*self.endpoints, *(one for endpoints in self.connections.values() for one in endpoints)]
        return tuple(one for index, one in enumerate(found) if one not in found[:index])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """One source: the values that ``loading`` has gathered. The sources of pydantic would miss misspelt names."""
        return (init_settings,)
