"""As much of the service as credentials need: one that issues keys to identities, one whose own keys are rotated."""

from collections import Counter

import jwt
import trustme

from tests.azure.issuer import Issuer
from tests.azure.standin import Answer, Request, Standin, json_answer

KEY = "a-signing-key-that-the-service-has-issued"


class SignalR(Standin):
    """``said`` replaces the answers to who asks for a key; ``key`` is issued now, as ``key_id``."""

    def __init__(self, issuer: Issuer, authority: trustme.CA | None = None, *hosts: str) -> None:
        self._issuer = issuer
        self.said: Answer | None = None
        self.key_id, self.key = "key-1", KEY
        self.asked: list[str] = []
        super().__init__(authority, *hosts)

    def answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self._issuer.issued:
            return 401, {}, b""
        if request.path.endswith("/api/v1/auth/accessKey"):
            self.open.wait(10)
            return self.said or json_answer({"KeyId": self.key_id, "AccessKey": self.key})
        if request.path.endswith(":generateToken"):
            return json_answer({"token": "made-by-the-service"})
        if request.method == "HEAD":
            return 404, {"x-ms-error-code": "Warning.Connection.NotExisted"}, b""
        return 202, {}, b""

    def count(self, path: str) -> int:
        return self.asked.count(path)


class KeyedSignalR(Standin):
    """Takes calls that one of ``keys`` has signed; ``used`` counts them by key, ``sends`` the messages."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.used: Counter[str] = Counter()
        self.sends: list[bytes] = []
        super().__init__(None)

    def connection_string(self, key: str) -> str:
        return f"Endpoint={self.url};AccessKey={key};Version=1.0;"

    def answer(self, request: Request) -> Answer:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        key = next((one for one in self.keys if _is_signed_by(token, one)), None)
        if key is None:
            return 401, {}, b""
        self.used[key] += 1
        if request.method == "HEAD":
            return 404, {"x-ms-error-code": "Warning.Connection.NotExisted"}, b""
        self.sends.append(request.body)
        return 202, {}, b""


def _is_signed_by(token: str, key: str) -> bool:
    try:
        jwt.decode(token, key, ["HS256"], options={"verify_aud": False})
    except jwt.PyJWTError:
        return False
    return True
