"""An OpenID Connect issuer of this machine, over TLS, whose certificate the bridge believes by ``SSL_CERT_FILE``."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import trustme

from tests.azure.issuer import Issuer, run_issuer
from tests.unit.web.issuing import key_set

WELL_KNOWN = "/.well-known/openid-configuration"
KEYS = "/keys"


class OpenId:
    """Publishes the keys ``names``; ``url`` is the issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self.url = issuer.url
        self.publish("rsa", "p256", "ed")

    def publish(self, *names: str) -> None:
        self.say(KEYS, key_set(*names))
        self.say(WELL_KNOWN, {"issuer": self.url, "jwks_uri": self.url + KEYS})

    def say(self, path: str, document: Mapping[str, Any] | bytes, status: int = 200) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._issuer.answers[path] = (status, {}, body)

    @property
    def asked(self) -> list[str]:
        return self._issuer.asked


@contextmanager
def run_openid(authority: trustme.CA) -> Iterator[OpenId]:
    with run_issuer(authority) as issuer:
        yield OpenId(issuer)
