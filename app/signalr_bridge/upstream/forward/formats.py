"""A forwarded event as an HTTP request: URL, body and headers in the formats json and cloudevents, and the signature.

Source: the signature is that of the Standard Webhooks scheme (https://www.standardwebhooks.com), version v1. The
headers of ``cloudevents`` are those of the CloudEvents HTTP binding 1.0.2, binary mode (3.1.3).
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

from standardwebhooks import Webhook

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import escape_segment
from signalr_bridge.protocol.upstream_event import CONNECTIONS, JSON
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.forward.reply import BackendFailed, BackendVerdict, Reply, read_reply

LONGEST_URL = 8_000
"""In bytes. Common servers do not take more."""

_MOST_KEPT = 128
_SECRET_PREFIX = "whsec_"
# All but the printable ASCII characters, and also the space, the double quote and the percent sign.
_UNFIT_FOR_HEADERS = re.compile(r'[^\x21-\x7e]|["%]')


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event, ready to be posted, perhaps several times with the same id."""

    id: str
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Format(Protocol):
    """How an event is written for a backend, and how the answer is read."""

    def write(self, context: Context, id: str, moment: datetime) -> Envelope:
        """The request for an event.

        Args:
            context: The event.
            id: The id of the request. It stays the same in further attempts.
            moment: When the event came, in UTC.

        Raises:
            Rejected, BackendFailed: The event cannot be written.
        """
        ...

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means.

        Args:
            reply: The backend's reply.
            event: The name of the event, for the text of a refusal without one.

        Raises:
            Rejected: The backend refused the event. The text is meant for the client.
            BackendFailed: The reply means a failure.
        """
        ...


class JsonFormat:
    """The format ``json``. With ``cloud`` it is ``cloudevents``, which has the same body and more headers."""

    def __init__(self, address: "Address", *, cloud: bool = False) -> None:
        self._address, self._cloud = address, cloud

    def write(self, context: Context, id: str, moment: datetime) -> Envelope:
        """The request for an event, as ``Format`` says."""
        headers = write_cloud_headers(context, id, moment) if self._cloud else {}
        url = self._address.write(context.hub, context.event)
        return Envelope(id, url, write_body(context, id, moment), {"Content-Type": JSON} | headers)

    def read(self, reply: Reply, event: str) -> BackendVerdict:
        """What a reply means, as ``Format`` says."""
        return read_reply(reply, event)


class Address:
    """A backend's URL, in which ``{hub}`` and ``{event}`` stand as whole path segments. Raises ``SettingsError``.

    Args:
        template: The URL.
        setting: The name of the setting, for errors.
        more: One more path segment, such as the name of a function.
    """

    def __init__(self, template: str, setting: str, more: str = "") -> None:
        parts = _split(template, setting)
        fixed = [one for one in parts.path.split("/") if one not in {"{hub}", "{event}"}]
        if any(brace in text for text in (*fixed, *parts._replace(path="")) for brace in "{}"):
            raise SettingsError(
                f"{setting}: {{hub}} and {{event}} stand only as whole path segments, and no other name."
            )
        self.origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
        self._parts = parts._replace(path=f"{parts.path.rstrip('/')}/{escape_segment(more)}") if more else parts
        self._write_and_keep = lru_cache(_MOST_KEPT)(self._write)

    def write(self, hub: str, event: str) -> str:
        """The URL of one event. Raises ``BackendFailed`` when it is too long.

        It is completely escaped, because a client chooses the event's name. URLs that are asked for often are kept.
        """
        return self._write_and_keep(hub, event)

    def _write(self, hub: str, event: str) -> str:
        names = {"{hub}": escape_segment(hub), "{event}": escape_segment(event)}
        path = "/".join(names.get(segment, segment) for segment in self._parts.path.split("/"))
        url = urlunsplit(self._parts._replace(path=path))
        if len(url) > LONGEST_URL:
            raise BackendFailed(f"The event's URL would be longer than {LONGEST_URL:,} bytes.")
        return url


def _split(template: str, setting: str) -> SplitResult:
    try:
        parts = urlsplit(template)
        well_formed = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
        parts = SplitResult("", "", "", "", "")
    if not well_formed or not template.isascii() or not template.isprintable() or " " in template:
        raise SettingsError(f"{setting} is no http or https URL in plain, escaped characters.")
    return parts


def write_body(context: Context, id: str, moment: datetime) -> bytes:
    """The event as JSON text. ``moment`` is in UTC."""
    return json_text.encode(
        {
            "id": id,
            "hub": context.hub,
            "category": context.category,
            "event": context.event,
            "connectionId": context.connection_id,
            "userId": context.user_id,
            "invocationId": context.invocation_id,
            "arguments": context.sent_arguments,
            "error": context.error,
            "claims": context.claims,
            "query": context.query,
            "endpoint": context.endpoint,
            "time": write_time(moment),
        }
    )


def write_time(moment: datetime) -> str:
    """A moment in UTC as RFC 3339, in whole seconds."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def write_cloud_headers(context: Context, id: str, moment: datetime) -> dict[str, str]:
    """The event's attributes and extensions as headers. Those that it does not have are left out."""
    hub, connection = escape_segment(context.hub), escape_segment(context.connection_id)
    attributes = {
        "specversion": "1.0",
        "id": id,
        "source": f"/hubs/{hub}/connections/{connection}",
        "type": f"signalr.{context.event.lower() if context.category == CONNECTIONS else 'message'}",
        "time": write_time(moment),
        "hub": context.hub,
        "event": context.event,
        "connectionid": context.connection_id,
        "userid": context.user_id,
        "invocationid": context.invocation_id,
    }
    return {f"ce-{name}": escape_header(value) for name, value in attributes.items() if value}


def escape_header(value: str) -> str:
    """The value, percent-encoded as the binding says. Each unfit character becomes the bytes of its UTF-8."""
    return _UNFIT_FOR_HEADERS.sub(lambda found: "".join(f"%{one:02X}" for one in found[0].encode()), value)


class WebhookSigner:
    """Signs requests with each of the secrets, so that a backend needs to know only one of them.

    Raises ``SettingsError`` for a secret that is not ``whsec_`` and base64.
    """

    def __init__(self, secrets: Iterable[str], setting: str) -> None:
        self._webhooks = [Webhook(_read_secret(secret, setting)) for secret in secrets]

    def sign(self, id: str, moment: datetime, body: bytes) -> dict[str, str]:
        """The headers of the scheme. ``moment`` is in UTC."""
        headers = {"webhook-id": id, "webhook-timestamp": str(int(moment.timestamp()))}
        if self._webhooks:
            text = body.decode()
            headers["webhook-signature"] = " ".join(one.sign(id, moment, text) for one in self._webhooks)
        return headers


def _read_secret(secret: str, setting: str) -> bytes:
    text = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise SettingsError(f"{setting}: a secret is not written as whsec_ and base64.")
    return key
