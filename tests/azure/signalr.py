"""What of the service an identity needs: it believes an issuer's tokens, issues keys, and takes operations."""

from tests.azure.issuer import Issuer
from tests.azure.standin import Answer, Request, Standin, json_answer

KEY = "a-signing-key-that-the-service-has-issued"


class SignalR(Standin):
    """``said`` replaces the answers to who asks for a key; ``key_id`` is that of the key issued now."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self.said: Answer | None = None
        self.key_id = "key-1"
        self.asked: list[str] = []
        super().__init__(None)

    def answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self._issuer.issued:
            return 401, {}, b""
        if request.path == "/api/v1/auth/accessKey":
            self.open.wait(10)
            return self.said or json_answer({"KeyId": self.key_id, "AccessKey": KEY})
        if request.path.endswith(":generateToken"):
            return json_answer({"token": "made-by-the-service"})
        return 202, {}, b""

    def count(self, path: str) -> int:
        return self.asked.count(path)
