"""An App Configuration store: lists key-values by pages, each with an ETag, and says 304 for one that is known."""

import hashlib
import json
from fnmatch import fnmatchcase

from tests.azure.issuer import Issuer
from tests.azure.standin import Answer, Request, Standin

REFERENCE = "application/vnd.microsoft.appconfig.keyvaultref+json;charset=utf-8"
SECRET = "Y2FuYXJ5LWtleS1vZi10aGUtc3RvcmU="
_NO_LABEL = "\0"
_PAGE = 2
_KIND = "application/vnd.microsoft.appconfig.kvset+json; charset=utf-8"


class AppConfiguration(Standin):
    """``put`` sets a key-value; ``known`` counts the pages that were not sent again."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._items: dict[tuple[str, str], tuple[str, str]] = {}
        self.said: Answer | None = None
        self.sent = self.known = 0
        super().__init__(issuer.authority)

    @property
    def connection_string(self) -> str:
        return f"Endpoint={self.url};Id=the-id;Secret={SECRET}"

    def put(self, key: str, value: str, label: str = _NO_LABEL, kind: str = "") -> None:
        self._items[key, label] = value, kind

    def refer(self, key: str, uri: str, label: str = _NO_LABEL) -> None:
        self.put(key, json.dumps({"uri": uri}), label, REFERENCE)

    def answer(self, request: Request) -> Answer:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        believed = token in self._issuer.issued or (scheme == "HMAC-SHA256" and "Credential=the-id" in token)
        if not believed:
            return 401, {"WWW-Authenticate": 'HMAC-SHA256, Bearer error="invalid_token"'}, b""
        if self.said is not None:
            return self.said
        return self._list(request) if request.path == "/kv" else (404, {}, b"")

    def _list(self, request: Request) -> Answer:
        wanted, label = request.query.get("key", ["*"])[0], request.query.get("label", ["*"])[0]
        first = int(request.query.get("after", ["0"])[0])
        named = [
            {"key": key, "label": None if own == _NO_LABEL else own, "value": value, "content_type": kind}
            for (key, own), (value, kind) in sorted(self._items.items())
            if fnmatchcase(key, wanted) and own == label
        ]
        page: dict[str, object] = {"items": named[first : first + _PAGE]}
        if first + _PAGE < len(named):
            page["@nextLink"] = f"/kv?key={wanted}&label={label.replace(_NO_LABEL, '%00')}&after={first + _PAGE}"
        body = json.dumps(page).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        link = {"Link": f'<{page["@nextLink"]}>; rel="next"'} if "@nextLink" in page else {}
        if request.headers.get("if-none-match") == etag:
            self.known += 1
            return 304, {"ETag": etag, **link}, b""
        self.sent += 1
        return 200, {"ETag": etag, "Content-Type": _KIND, **link}, body
