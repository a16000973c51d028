"""The documents of an issuer: what can verify is read, and the rest is skipped."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import MalformedJson
from signalr_bridge.web.tokens import ALGORITHMS, PublishedKey, read_keys, read_keys_address

from tests.unit.protocol.legal import json_values
from tests.unit.upstream.issued import jwk, published


def keys(*listed: Any) -> dict[str, PublishedKey]:
    return read_keys(json.dumps({"keys": listed}).encode())


def numbers(key: PublishedKey) -> bytes:
    return key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_keys_are_found_by_their_ids() -> None:
    found = keys(jwk("first"), jwk("second"))
    assert list(found) == ["first", "second"]
    assert all(numbers(found[name]) == numbers(published(name)) for name in found)


def test_a_key_may_name_its_algorithm_or_not_even_its_use() -> None:
    assert keys(jwk("first", alg="PS256"))["first"].algorithms == ("PS256",)
    plain = {name: value for name, value in jwk("first").items() if name not in {"use", "key_ops"}}
    assert keys(plain)["first"].algorithms == ALGORITHMS


def test_of_two_keys_with_one_id_the_first_counts() -> None:
    found = keys(jwk("first"), jwk("second", kid="first"))
    assert list(found) == ["first"]
    assert numbers(found["first"]) == numbers(published("first"))


UNFIT = [
    jwk("first", use="enc"),
    jwk("first", alg="HS256"),
    jwk("first", alg=["RS256"]),
    jwk("first", kty="EC"),
    jwk("first", kid=7),
    jwk("first", n=7),
    jwk("first", n="!"),
    jwk("first", e="AA"),
    jwk("small", bits=1024),
    {"kid": "first", "kty": "oct", "k": "c2VjcmV0"},
    {"kid": "first"},
    {},
    7,
    None,
]


@pytest.mark.parametrize("unfit", UNFIT, ids=range(len(UNFIT)))
def test_what_cannot_verify_is_skipped(unfit: Any) -> None:
    assert list(keys(unfit, jwk("second"))) == ["second"]
    with pytest.raises(MalformedJson):
        keys(unfit)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b"\xff", b"[" * 5000])
def test_a_document_without_keys(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        read_keys(text)


@given(st.fixed_dictionaries({"keys": st.lists(json_values)}) | json_values)
def test_any_document_is_refused_in_good_order(document: Any) -> None:
    with pytest.raises(MalformedJson):
        read_keys(json.dumps(document).encode())


def test_the_address_of_the_keys_stands_in_the_discovery_document() -> None:
    assert read_keys_address(b'{"jwks_uri":"https://x/keys"}') == "https://x/keys"


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"jwks_uri":7}', b'{"jwks_uri":"http://x/keys"}', b'{"jwks_uri":"file:///keys"}']
)
def test_no_other_address_is_taken(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        read_keys_address(text)
