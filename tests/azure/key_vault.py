"""A Key Vault: challenges who brings no token of the issuer, lists its secrets by pages, and gives them."""

import re

from tests.azure.issuer import Issuer
from tests.azure.standin import Answer, Request, Standin, json_answer

_PAGE = 2


class KeyVault(Standin):
    """``put`` sets a secret. ``said`` replaces every answer. Its host is an address: so the resource in its challenge
    can be a domain above it, which the client library insists on. With a ``name`` it is one of Key Vault's own hosts,
    which a proxy has to lead to it."""

    def __init__(self, issuer: Issuer, name: str = "") -> None:
        self._name = name
        self._issuer = issuer
        self._secrets: dict[str, list[tuple[int, str]]] = {}
        self._enabled: dict[str, bool] = {}
        self.time = 1_700_000_000
        self.said: Answer | None = None
        self.asked: list[str] = []
        super().__init__(issuer.authority, *filter(None, [name]))

    @property
    def url(self) -> str:
        return f"https://{self._name or f'127.0.0.1:{self.port}'}"

    def put(self, name: str, value: str, *, enabled: bool = True) -> str:
        """The new version's address. The vault's clock moves on only when a test says so."""
        versions = self._secrets.setdefault(name, [])
        versions.append((self.time, value))
        self._enabled[name] = enabled
        return f"{self.url}/secrets/{name}/{len(versions)}"

    def remove(self, name: str) -> None:
        del self._secrets[name]

    def fetched(self, name: str) -> int:
        return self.asked.count(f"/secrets/{name}")

    def answer(self, request: Request) -> Answer:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self._issuer.issued:
            resource = "https://" + (self._name.partition(".")[2] or f"0.0.1:{self.port}")
            challenge = f'Bearer authorization="{self._issuer.url}/a-tenant", resource="{resource}"'
            return 401, {"WWW-Authenticate": challenge}, b""
        self.asked.append(request.path.rstrip("/"))
        if self.said is not None:
            return self.said
        if request.path == "/secrets":
            return self._list(int(request.query.get("$skiptoken", ["0"])[0]))
        match = re.fullmatch(r"/secrets/([^/]+)(?:/(\d*))?", request.path)
        return self._get(match[1], match[2]) if match and match[1] in self._secrets else json_answer({}, 404)

    def _list(self, first: int) -> Answer:
        names = sorted(self._secrets)
        value = [
            {"id": f"{self.url}/secrets/{name}", **self._attributes(name)} for name in names[first : first + _PAGE]
        ]
        more = f"{self.url}/secrets?api-version=7.5&$skiptoken={first + _PAGE}" if first + _PAGE < len(names) else None
        return json_answer({"value": value, "nextLink": more})

    def _get(self, name: str, version: str | None) -> Answer:
        versions = self._secrets[name]
        number = int(version) if version else len(versions)
        if not self._enabled[name] or not 1 <= number <= len(versions):
            return json_answer({"error": {"code": "Forbidden", "message": "canary-of-the-vault"}}, 403)
        identity = {"id": f"{self.url}/secrets/{name}/{number}", "value": versions[number - 1][1]}
        return json_answer(identity | self._attributes(name))

    def _attributes(self, name: str) -> dict[str, object]:
        updated = self._secrets[name][-1][0]
        return {"attributes": {"enabled": self._enabled[name], "created": 1, "updated": updated}}
