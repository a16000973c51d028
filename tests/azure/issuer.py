"""A token issuer of this machine, over TLS with a certificate of its own authority: what Entra is to the bridge."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import trustme

from tests.azure.standin import Answer, Request, Standin, json_answer, running
from tests.unit.upstream.issued import TENANT, jwk, token

V2_DOCUMENT = f"/{TENANT}/v2.0/.well-known/openid-configuration"
V1_DOCUMENT = f"/{TENANT}/.well-known/openid-configuration"
V2_KEYS, V1_KEYS = f"/{TENANT}/discovery/v2.0/keys", f"/{TENANT}/discovery/keys"
TOKENS = f"/{TENANT}/oauth2/v2.0/token"


class Issuer(Standin):
    """Publishes the keys in ``names``. ``answers`` replaces an answer, by path: a status, headers and a body.

    Applications prove themselves by a ``secrets`` entry, by ``assertions`` (the text of a workload's token), or by a
    token of their own that the public key in ``certificates_of`` verifies; all by client id.
    """

    def __init__(self, authority: trustme.CA, *hosts: str) -> None:
        self.names = ["first"]
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.secrets: dict[str, str] = {}
        self.assertions: dict[str, str] = {}
        self.certificates_of: dict[str, Any] = {}
        self.issued: list[str] = []
        super().__init__(authority, *hosts)

    @property
    def discovery(self) -> str:
        """Where the emulator finds this issuer's name and keys."""
        return f"{self.url}/{TENANT}/v2.0"

    def answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        self.open.wait(10)
        if request.path in self.answers:
            return self.answers[request.path]
        if request.path == TOKENS and request.method == "POST":
            return self._answer_application(request.form)
        keys = {"keys": [jwk(name) for name in self.names]}
        documents: dict[str, Any] = {
            V2_DOCUMENT: {"issuer": f"{self.url}/{TENANT}/v2.0", "jwks_uri": self.url + V2_KEYS},
            V1_DOCUMENT: {"issuer": f"https://sts.windows.net/{TENANT}/", "jwks_uri": self.url + V1_KEYS},
            V2_KEYS: keys,
            V1_KEYS: keys,
        }
        found = documents.get(request.path)
        return (404, {}, b"") if found is None else (200, {}, json.dumps(found).encode())

    def issue(self, resource: str, application: str, seconds: float = 3600) -> str:
        """A token for ``resource``, an address without trailing slash."""
        now = time.time()
        version = {"iss": f"{self.url}/{TENANT}/v2.0", "azp": application, "ver": "2.0", "jti": str(len(self.issued))}
        text = token(version=version, now=now, aud=resource, exp=int(now + seconds))
        self.issued.append(text)
        return text

    def _answer_application(self, form: dict[str, str]) -> Answer:
        client = form.get("client_id", "")
        if form.get("grant_type") != "client_credentials" or not self._knows(client, form):
            return json_answer({"error": "invalid_client", "error_description": "no such credential"}, 401)
        resource = form["scope"].removesuffix("/.default")
        found = {"token_type": "Bearer", "expires_in": 3600, "access_token": self.issue(resource, client)}
        return json_answer(found)

    def _knows(self, client: str, form: dict[str, str]) -> bool:
        if "client_secret" in form:
            return self.secrets.get(client) == form["client_secret"]
        assertion = form.get("client_assertion", "")
        if client in self.certificates_of:
            return self._is_signed_by(client, assertion)
        return bool(assertion) and self.assertions.get(client) == assertion

    def _is_signed_by(self, client: str, assertion: str) -> bool:
        try:
            key = self.certificates_of[client]
            claims = jwt.decode(assertion, key, ["RS256", "PS256"], audience=self.url + TOKENS, issuer=client)
        except jwt.PyJWTError:
            return False
        return bool(claims["sub"] == client)


@contextmanager
def run_issuer(authority: trustme.CA) -> Iterator[Issuer]:
    with running(Issuer(authority)) as issuer:
        yield issuer
