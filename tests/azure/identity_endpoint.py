"""App Service's identity endpoint: gives tokens to whoever runs there, and knows five parameters, no other."""

import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.azure.issuer import Issuer
from tests.azure.standin import Answer, Request, Standin, json_answer

SECRET = "the-secret-of-the-identity-header"
_KNOWN = {"resource", "api-version", "client_id", "mi_res_id", "principal_id"}
_IDS = ("client_id", "mi_res_id", "principal_id")
PATH = "/msi/token"


@dataclass(frozen=True, slots=True)
class Identities:
    """Which there are: whether one is the system's, and those assigned, each by parameter name and value."""

    system: bool = True
    assigned: frozenset[tuple[str, str]] = frozenset()


class IdentityEndpoint(Standin):
    """``say`` replaces every answer; ``seconds`` is how long a token is good."""

    def __init__(self, issuer: Issuer, identities: Identities) -> None:
        self.issuer, self.identities = issuer, identities
        self.said: Answer | None = None
        self.seconds = 86_400.0
        self.asked: list[dict[str, str]] = []
        self.came = threading.Condition()
        super().__init__(None)

    @property
    def environment(self) -> dict[str, str]:
        return {"IDENTITY_ENDPOINT": self.url + PATH, "IDENTITY_HEADER": SECRET}

    def say(self, status: int, **headers: str) -> None:
        self.said = json_answer({"statusCode": status, "message": "as told"}, status, **headers)

    def answer(self, request: Request) -> Answer:
        with self.came:
            self.asked.append({name: values[0] for name, values in request.query.items()})
            self.came.notify_all()
        self.open.wait(10)
        return self.said or self._answer(request)

    def wait_for(self, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.asked) >= count, 10)

    def _answer(self, request: Request) -> Answer:
        given = {name: values[0] for name, values in request.query.items()}
        if request.headers.get("x-identity-header") != SECRET:
            return json_answer({"message": "no header"}, 403)
        if request.path != PATH or set(given) - _KNOWN or given.get("api-version") != "2019-08-01":
            return json_answer({"message": "unknown parameter"}, 400)
        ids = [(name, given[name]) for name in _IDS if name in given]
        known = self.identities.system if not ids else ids[0] in self.identities.assigned
        if len(ids) > 1 or not known or urlsplit(given.get("resource", "")).scheme != "https":
            return json_answer({"message": "no such identity"}, 400)
        return json_answer(self._give(given["resource"], ids[0][1] if ids else "system"))

    def _give(self, resource: str, application: str) -> dict[str, str]:
        return {
            "access_token": self.issuer.issue(resource, application, self.seconds),
            "expires_on": str(int(time.time() + self.seconds)),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": application,
        }
