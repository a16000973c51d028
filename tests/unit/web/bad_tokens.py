"""Tokens that are refused, each wrong in one way, with the reason that the log gives."""

import json
from typing import Any

from tests.unit.upstream.issued import encoded, handmade, public_text
from tests.unit.web.issuing import AUDIENCE, ISSUER, NOW, said, signed

_NOT_THREE = "the token does not have three parts"
_NO_BASE64 = "is no base64url"
_ALGORITHM = "the algorithm is not known"
_SIGNATURE = "the signature is not that of the key"
_KEY_ID = "the key id is missing or no text"
_AUDIENCE = "the audience is missing, no text or no list of texts"
_USER = "the claim of the user id is empty or no text"
_UNKNOWN_KEY = "the issuer publishes no such key, or cannot be asked"


def bad_tokens(now: float = NOW, issuer: str = ISSUER) -> dict[str, tuple[str, str]]:
    """By what is wrong: the token, and the reason. The issuer publishes ``rsa`` and ``p256``, and the
    settings require the role ``chatter``."""
    good, key = said(now, iss=issuer, roles=["chatter"]), {"typ": "JWT", "kid": "rsa"}

    def saying(**more: Any) -> str:
        return signed(said(now, **{"iss": issuer, "roles": ["chatter"], **more}))

    def written(members: str) -> str:
        return signed(json.dumps(good)[:-1].encode() + b"," + members.encode() + b"}")

    header, payload, signature = signed(good).split(".")
    rsa, twice = key | {"alg": "RS256"}, b'{"alg":"RS256","kid":"rsa","alg":"none"}'
    return {
        # --- the form
        "nothing": ("", _NOT_THREE),
        "two parts": (f"{header}.{payload}", _NOT_THREE),
        "four parts": (f"{header}.{payload}.{signature}.x", _NOT_THREE),
        "encrypted": ("a.b.c.d.e", "the token is encrypted"),
        "huge": (saying(x="x" * 20_000), "the token is too long"),
        "other letters": ("é.é.é", "the token holds characters that are not ASCII"),
        "a header that is no base64": (f"!.{payload}.{signature}", f"the header {_NO_BASE64}"),
        "a payload that is no base64": (f"{header}.!.{signature}", f"the payload {_NO_BASE64}"),
        "a signature that is no base64": (f"{header}.{payload}.!", f"the signature {_NO_BASE64}"),
        "a header that is a list": (f"{encoded(b'[1]')}.{payload}.{signature}", "the header is no JSON object"),
        "a header that is broken": (f"{encoded(b'{')}.{payload}.{signature}", "the header is no well-formed JSON"),
        "an algorithm twice": (
            f"{encoded(twice)}.{payload}.{signature}",
            "the header says something twice",
        ),
        # --- the algorithm
        "algorithm none": (handmade(key | {"alg": "none"}, good), "the algorithm is none"),
        "algorithm nOnE, signed": (
            f"{encoded(json.dumps(key | {'alg': 'nOnE'}).encode())}.{payload}.{signature}",
            "the algorithm is none",
        ),
        "HS256 with the public key": (
            handmade(key | {"alg": "HS256"}, good, public_text("rsa")),
            "the algorithm is symmetric",
        ),
        "hs512": (handmade(key | {"alg": "hs512"}, good, b"x"), "the algorithm is symmetric"),
        "no algorithm": (handmade(key, good), "the algorithm is missing or no text"),
        "a list of algorithms": (handmade(key | {"alg": ["RS256"]}, good), "the algorithm is missing or no text"),
        "an unknown algorithm": (handmade(key | {"alg": "XS256"}, good), _ALGORITHM),
        "an algorithm in lower case": (handmade(key | {"alg": "rs256"}, good), _ALGORITHM),
        "secp256k1": (handmade(key | {"alg": "ES256K"}, good), _ALGORITHM),
        # --- the rest of the header
        "a critical header": (signed(good, header={"crit": ["x"], "x": 1}), "the header has critical extensions"),
        "an empty critical header": (handmade(rsa | {"crit": []}, good), "the header has critical extensions"),
        "a payload that is not encoded": (
            handmade(rsa | {"b64": False}, good),
            "the header says that the payload is not encoded",
        ),
        "the type of another token": (
            signed(good, header={"typ": "logout+jwt"}),
            "the type is not that of an access or id token",
        ),
        "no key id": (handmade({"typ": "JWT", "alg": "RS256"}, good), _KEY_ID),
        "a key id that is a number": (handmade(rsa | {"kid": 7}, good), _KEY_ID),
        "an endless key id": (handmade(rsa | {"kid": "k" * 300}, good), "the key id is too long"),
        "an unknown key id": (signed(good, "rsa-of-nobody"), _UNKNOWN_KEY),
        "a key id that is a path": (handmade(rsa | {"kid": "../../rsa"}, good, b"x"), _UNKNOWN_KEY),
        # --- the signature
        "no signature": (f"{header}.{payload}.", "the signature is empty"),
        "another payload": (f"{header}.{encoded(json.dumps(good | {'sub': 'eve'}).encode())}.{signature}", _SIGNATURE),
        "another key under the same id": (signed(good, "rsa-foreign", header={"kid": "rsa"}), _SIGNATURE),
        "its own key": (
            signed(good, "rsa-foreign", header={"kid": "rsa", "jku": "https://evil.example", "jwk": {"kty": "RSA"}}),
            _SIGNATURE,
        ),
        "a key of another kind": (signed(good, "p256", "ES256", {"kid": "rsa"}), "the key is for another algorithm"),
        "a key of another curve": (signed(good, "p384", "ES384", {"kid": "p256"}), "the key is for another algorithm"),
        # --- the payload
        "a payload that is a list": (signed([good]), "the payload is no JSON object"),
        "a payload that is no JSON": (signed(b'{"iss"'), "the payload is no well-formed JSON"),
        "endless nesting": (signed(b'{"iss":' + b"[" * 3000), "the payload is no well-formed JSON"),
        "not UTF-8": (signed(b'{"iss":"\xff"}'), "the payload is no well-formed JSON"),
        "a claim twice": (written('"sub":"eve"'), "the payload says something twice"),
        # --- the issuer
        "no issuer": (saying(iss=None), "the issuer is missing or no text"),
        "two issuers": (saying(iss=[issuer]), "the issuer is missing or no text"),
        "another issuer": (saying(iss="https://evil.example"), "the issuer is not one of the settings'"),
        "an issuer that begins so": (saying(iss=issuer + ".evil.example"), "the issuer is not one of the settings'"),
        "an issuer with a slash": (
            saying(iss=issuer + "/"),
            "the issuer differs from the settings' by a slash at its end",
        ),
        # --- the audience
        "no audience": (saying(aud=None), _AUDIENCE),
        "an empty audience": (saying(aud=[]), _AUDIENCE),
        "nested audiences": (saying(aud=[[AUDIENCE]]), _AUDIENCE),
        "an audience that is a map": (saying(aud={AUDIENCE: 1}), _AUDIENCE),
        "another audience": (saying(aud="api://other"), "the token is for another audience"),
        "an audience in another case": (saying(aud=AUDIENCE.upper()), "the token is for another audience"),
        # --- the times
        "no expiry": (saying(exp=None), "exp is missing"),
        "an expiry that is text": (saying(exp=str(int(now) + 60)), "exp is no number"),
        "an expiry that is true": (saying(exp=True), "exp is no number"),
        "expired": (saying(exp=int(now) - 61), "the token has expired"),
        "not yet valid": (saying(nbf=int(now) + 120), "the token is not valid yet"),
        "a beginning that is text": (saying(nbf="0"), "nbf is no number"),
        "issued in the future": (saying(iat=int(now) + 120), "the token was issued in the future"),
        # --- the user
        "nobody": (saying(sub=None), "the claim of the user id is missing"),
        "an empty user": (saying(sub=""), _USER),
        "several users": (saying(sub=["ann", "bob"]), _USER),
        "a user that is a number": (saying(sub=7), _USER),
        "a user with a line break": (saying(sub="ann\nX: y"), "the user id is one that no client may have"),
        "a user that forges claims": (
            saying(sub="ann, bridge.claims: e30"),
            "the user id holds what would forge claims",
        ),
        # --- what the settings require
        "a missing role": (saying(roles=None), "a required claim is missing"),
        "another role": (saying(roles=["guest"]), "a required claim has another value"),
        "a role that is nested": (saying(roles=[["chatter"]]), "a required claim has another value"),
    }  # fmt: skip
