"""Tokens that are refused, each wrong in one way: for the pure check, and for the trigger over a real issuer."""

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.upstream.issued import (
    APPLICATION,
    NOW,
    OTHER_APPLICATION,
    OTHER_TENANT,
    TENANT,
    V1,
    V2,
    claims,
    encoded,
    handmade,
    public_text,
    token,
)

GRAPH = "00000003-0000-0000-c000-000000000000"


def bad_tokens(now: float = NOW) -> dict[str, str]:
    """By what is wrong. The issuer publishes the key ``first``, and the clock stands at ``now``."""
    good, key = claims(now=now), {"typ": "JWT", "kid": "first"}

    def saying(**more: Any) -> str:
        return token(now=now, **more)

    header, payload, signature = token(good).split(".")
    none = encoded(json.dumps(key | {"alg": "nOnE"}).encode())
    wrong_claims = {name: saying(**{name: None}) for name in ("exp", "iss", "aud", "tid", "appid")}
    return {
        **{f"no {name}": text for name, text in wrong_claims.items()},
        "algorithm none": handmade(key | {"alg": "none"}, good),
        "algorithm None": handmade(key | {"alg": "None"}, good),
        "algorithm nOnE, with a signature": f"{none}.{payload}.{signature}",
        "HS256 with the public key": handmade(key | {"alg": "HS256"}, good, public_text("first")),
        "HS256 with the key's id": handmade(key | {"alg": "HS256"}, good, b"first"),
        "ES256": jwt.PyJWS().encode(
            json.dumps(good).encode(), ec.generate_private_key(ec.SECP256R1()), "ES256", headers=key
        ),
        "no algorithm": handmade(key, good),
        "an algorithm that is no text": handmade(key | {"alg": ["RS256"]}, good),
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": f"{header}.{payload}.{signature}.{signature}",
        "another payload": f"{header}.{encoded(json.dumps(good | {'x': 1}).encode())}.{signature}",
        "another key under the same id": token(good, name="foreign", header={"kid": "first"}),
        "unknown key": token(good, name="foreign"),
        "no key id": token(good, header={"kid": ""}),
        "a key id that is no text": handmade(key | {"alg": "RS256", "kid": 7}, good),
        "an endless key id": token(good, header={"kid": "k" * 300}),
        "its own key": token(good, name="foreign", header={"jwk": {"kty": "RSA"}, "jku": "https://evil.example/keys"}),
        "an unknown critical header": token(good, header={"crit": ["x"], "x": 1}),
        "expired": saying(exp=int(now) - 301),
        "expiring at the edge": saying(exp=int(now) - 300),
        "not yet valid": saying(nbf=int(now) + 400),
        "issued in the future": saying(iat=int(now) + 400),
        "an expiry that is text": saying(exp="9999999999"),
        "an expiry that is true": saying(exp=True),
        "another tenant": saying(tid=OTHER_TENANT, iss=f"https://sts.windows.net/{OTHER_TENANT}/"),
        "another tenant's issuer": saying(iss=f"https://sts.windows.net/{OTHER_TENANT}/"),
        "another tenant's id": saying(tid=OTHER_TENANT),
        "another issuer": saying(iss=f"https://evil.example/{TENANT}/"),
        "an issuer that only begins so": saying(iss=V1["iss"] + "v2.0/"),
        "the issuer without its slash": saying(iss=V1["iss"].rstrip("/")),
        "several issuers": saying(iss=[V1["iss"]]),
        "another audience": saying(aud=GRAPH),
        "an audience that only begins so": saying(aud="api://signalr-bridge/x"),
        "an audience in another case": saying(aud="API://signalr-bridge"),
        "several audiences": saying(aud=["api://signalr-bridge", GRAPH]),
        "another application": saying(appid=OTHER_APPLICATION),
        "another application, version 2.0": saying(version=V2, azp=OTHER_APPLICATION),
        "no azp": saying(version=V2, azp=None),
        "an empty application": saying(appid=""),
        "any application": saying(appid="*"),
        "several applications": saying(appid=[APPLICATION]),
        "two applications that disagree": saying(azp=OTHER_APPLICATION),
        "the application in another claim": saying(appid=None, app_id=APPLICATION, client_id=APPLICATION),
        "a user's": saying(scp="user_impersonation"),
        "a user's by its type": saying(idtyp="user"),
        "a list": token([good]),
        "no JSON": token(b"good"),
        "not UTF-8": token(b'{"iss":"\xff"}'),
        "endless nesting": token(b"[" * 3000),
        "nothing": "",
        "dots": "..",
        "no base64": "!.!.!",
        "other letters": "é" * 20,
        "too long": saying(x="x" * 20_000),
    }  # fmt: skip
