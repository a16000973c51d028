"""A SignalR connection string, ``Endpoint=...;AccessKey=...;Version=1.0;``, read and written.

Source: ``docs/protocol/functions-bindings.md`` 4.5 and ``docs/protocol/rest-and-management.md`` 9.1.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from signalr_bridge.errors import MalformedConnectionString
from signalr_bridge.protocol.names import is_utf8

EMULATOR_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
"""The access key of every local emulator. It is public."""

_NAMES = (
    "Endpoint",
    "AccessKey",
    "Version",
    "Port",
    "ClientEndpoint",
    "ServerEndpoint",
    "AuthType",
    "ClientId",
    "TenantId",
    "ClientSecret",
    "ClientCert",
    "ClientCertPath",
)
_SPELLING = {name.lower(): name for name in _NAMES}
_AUTH_TYPES = frozenset({"azure", "azure.msi", "azure.app", "aad"})
_VERSION = re.compile(r"1\.\d+(?:[\w\-.]+)?")
_HOST = re.compile(r"[^\s/\\%<>\"|^`{}\x00-\x20\x7f\ud800-\udfff]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """The values of a connection string. URLs have no trailing slash.

    ``auth_type`` is one of the four that Azure knows, else None. An ``access_key`` beside it still verifies signatures.
    """

    endpoint: str
    access_key: str | None = field(default=None, repr=False)
    client_endpoint: str | None = None
    server_endpoint: str | None = None
    auth_type: str | None = None
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    client_certificate: str | None = None


def parse_connection_string(text: str) -> ConnectionString:
    """The values of a connection string.

    Raises ``MalformedConnectionString``, which names the key and its position, never a value.
    """
    parts = _split(text)
    endpoint = _read_endpoint(parts)
    client_endpoint = _read_url(parts, "ClientEndpoint")
    server_endpoint = _read_url(parts, "ServerEndpoint")
    auth_type = parts.get("AuthType", "").lower()
    known = auth_type if auth_type in _AUTH_TYPES else None
    _check_credential(parts, known)
    return ConnectionString(
        endpoint=endpoint,
        access_key=parts.get("AccessKey"),
        client_endpoint=client_endpoint,
        server_endpoint=server_endpoint,
        auth_type=known,
        client_id=parts.get("ClientId") or None,
        tenant_id=parts.get("TenantId") or None,
        client_secret=parts.get("ClientSecret") or None,
        client_certificate=parts.get("ClientCert") or parts.get("ClientCertPath") or None,
    )


def read_origin(text: str) -> str | None:
    """The address of an instance, as a connection string gives it. None for what is not an http or https URL."""
    url = _try_url(text)
    return None if url is None else _write_origin(url, url.port)


def read_address(text: str) -> str | None:
    """Like ``read_origin``, for a server's or a client's endpoint, which may have a path."""
    url = _try_url(text)
    return None if url is None else _write_origin(url, url.port) + url.path.rstrip("/")


def write_connection_string(endpoint: str, access_key: str) -> str:
    """A connection string in the form that the emulator prints: the port stands apart from the endpoint."""
    parts = urlsplit(endpoint)
    port = f"Port={parts.port};" if parts.port else ""
    return f"Endpoint={_write_origin(parts, None)};{port}AccessKey={access_key};Version=1.0;"


class _Parts(dict[str, str]):
    """Values by the proper spelling of their keys, with each key's position in the text, for error messages."""

    def __init__(self) -> None:
        super().__init__()
        self.positions: dict[str, int] = {}

    def fault(self, name: str, what: str) -> MalformedConnectionString:
        return MalformedConnectionString(f"{name} (part {self.positions[name]}) {what}.")


def _split(text: str) -> _Parts:
    pieces = [piece for piece in (piece.strip() for piece in text.split(";")) if piece]
    if len(pieces) < 2:
        raise MalformedConnectionString(
            "A connection string has at least Endpoint=... and AccessKey=... with ';' between: "
            "copy all of it from the instance's page Keys."
        )
    parts = _Parts()
    for position, piece in enumerate(pieces, start=1):
        name, equals, value = piece.partition("=")
        known = _SPELLING.get(name.strip().lower().replace("-", ""))
        if known is None or not equals:
            # It is not shown, because it may be half of a key.
            raise MalformedConnectionString(f"Part {position} means nothing: {_hint(piece, text)}.")
        if known in parts:
            raise MalformedConnectionString(
                f"{known} (part {position}) stands there twice: write one connection string, each part once."
            )
        parts[known], parts.positions[known] = value.strip(), position
        if len(value.strip()) > 1 and value.strip()[0] == value.strip()[-1] in {"'", '"'}:
            raise parts.fault(known, "stands in quotes: write it without them")
    return parts


def _hint(piece: str, text: str) -> str:
    if text[:1] in {"'", '"'} or piece[:1] in {"'", '"'}:
        return "remove the quotes"
    return f"remove it, or write one of {', '.join(_NAMES)}"


def _read_endpoint(parts: _Parts) -> str:
    if not parts.get("Endpoint"):
        raise MalformedConnectionString(
            "Endpoint is missing: write Endpoint=https://name.service.signalr.net;AccessKey=..."
        )
    url = _parse_url(parts, "Endpoint")
    version = parts.get("Version")
    if version is not None and _VERSION.fullmatch(version) is None:
        raise parts.fault("Version", "is not supported; it is 1.0, or 1 with another minor version")
    return _write_origin(url, _read_port(parts) or url.port)


def _read_port(parts: _Parts) -> int | None:
    text = parts.get("Port")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise parts.fault("Port", "is not an integer from 1 to 65535")
    return int(text)


def _read_url(parts: _Parts, name: str) -> str | None:
    if name not in parts:
        return None
    url = _parse_url(parts, name)
    return _write_origin(url, url.port) + url.path.rstrip("/")


def _parse_url(parts: _Parts, name: str) -> SplitResult:
    url = _try_url(parts[name])
    if url is None:  # raised here, because the error of urlsplit quotes the value
        raise parts.fault(name, "is not an absolute http or https URL: write such as https://name.service.signalr.net")
    return url


def _try_url(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        usable = url.scheme in _DEFAULT_PORTS and (url.port is None or url.port > 0)
    except ValueError:
        return None
    # urlsplit drops line breaks and tabs silently, and takes any host.
    clean = text.isprintable() and _HOST.fullmatch(url.hostname or "") is not None
    return url if usable and clean and url.username is None and not url.query and not url.fragment else None


def _check_credential(parts: _Parts, auth_type: str | None) -> None:
    if parts.get("AccessKey") == "":
        raise parts.fault("AccessKey", "is empty")
    if not is_utf8(parts.get("AccessKey", "")):
        raise parts.fault("AccessKey", "is not UTF-8")
    if auth_type is None and "AccessKey" not in parts:
        raise MalformedConnectionString(
            "AccessKey is missing, and AuthType is not azure, azure.msi, azure.app or aad: "
            "copy all of the string from the instance's page Keys."
        )
    if auth_type == "azure.app" or (auth_type == "aad" and parts.get("ClientId") and parts.get("TenantId")):
        for name in ("ClientId", "TenantId"):
            if not parts.get(name):
                raise MalformedConnectionString(f"{name} is missing, which AuthType azure.app needs.")
        if not any(parts.get(name) for name in ("ClientSecret", "ClientCert", "ClientCertPath")):
            raise MalformedConnectionString("ClientSecret or ClientCert is missing, which an application needs.")


def _write_origin(parts: SplitResult, port: int | None) -> str:
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    suffix = "" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"
