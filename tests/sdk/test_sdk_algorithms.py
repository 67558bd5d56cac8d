# ruff: noqa: ANN401
"""Each algorithm that a key may sign with: tokens, JWKs, thumbprints, key files, the life of keys."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import meshpass
import meshpass.keys
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from meshpass._tokens import algorithms

from .conftest import pem_of

_MAKE: dict[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
each = pytest.mark.parametrize("algorithm", list(_MAKE))


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {name: make() for name, make in _MAKE.items()}


def _source(key: Any, **options: Any) -> meshpass.SignedJWT:
    return meshpass.SignedJWT("https://i.test", "a", lambda: pem_of(key), **options)


def _verified(source: meshpass.SignedJWT, algorithm: str) -> dict[str, Any]:
    token = source.token().value
    header = jwt.get_unverified_header(token)
    assert header == {"alg": algorithm, "typ": "JWT", "kid": source.jwks()["keys"][0]["kid"]}
    claims: dict[str, Any] = jwt.decode(
        token, jwt.PyJWKSet.from_dict(source.jwks())[header["kid"]], [algorithm], audience="a"
    )
    return claims


def test_every_algorithm_has_its_tests() -> None:
    assert set(_MAKE) == set(algorithms.NAMES)


@each
def test_a_token_is_signed_as_the_key_has_it(algorithm: str, keys: dict[str, Any]) -> None:
    for options in ({}, {"algorithm": algorithm}):
        assert _verified(_source(keys[algorithm], **options), algorithm)["iss"] == "https://i.test"


@each
def test_a_jwk_is_public_and_its_kid_is_its_rfc_7638_thumbprint(algorithm: str, keys: dict[str, Any]) -> None:
    jwk = _source(keys[algorithm]).jwks()["keys"][0]

    members = {"EC": {"crv", "x", "y"}, "RSA": {"n", "e"}, "OKP": {"crv", "x"}}[jwk["kty"]]
    assert set(jwk) == {"kty", "alg", "use", "kid", *members}
    assert jwk["alg"] == algorithm
    public = jwt.PyJWK(jwk).key
    assert (
        public.public_numbers() == keys[algorithm].public_key().public_numbers()
        if algorithm != "EdDSA"
        else True
    )


def test_thumbprints_are_those_of_the_rfcs() -> None:
    # RFC 7638, section 3.1, and RFC 8037, appendix A.3.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
        "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    number = int.from_bytes(base64.urlsafe_b64decode(modulus + "=="), "big")
    public = rsa.RSAPublicNumbers(65537, number).public_key()
    assert algorithms.public_jwk(public)["kid"] == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    edwards = ed25519.Ed25519PublicKey.from_public_bytes(
        base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    )
    assert algorithms.public_jwk(edwards)["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@each
def test_a_key_of_another_algorithm_than_the_one_asked_for_is_refused(
    algorithm: str, keys: dict[str, Any]
) -> None:
    other = next(name for name in _MAKE if name != algorithm)
    source = _source(keys[algorithm], algorithm=other)

    for use in (source.token, source.jwks):
        with pytest.raises(meshpass.SigningKeyError, match=f"signs {algorithm}, and algorithm is {other}"):
            use()


@pytest.mark.parametrize("name", ["none", "HS256", "ES512", "PS256", "es256", ""])
def test_an_algorithm_that_is_none_of_them_is_a_configuration_error(name: str, keys: dict[str, Any]) -> None:
    with pytest.raises(meshpass.ConfigurationError, match="must be one of ES256, ES384, RS256, EdDSA"):
        _source(keys["ES256"], algorithm=name)


@pytest.mark.parametrize(
    ("algorithm", "arguments"),
    [
        ("ES256", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ES384", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("RS256", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("EdDSA", ["-algorithm", "ED25519"]),
    ],
)
def test_a_key_file_of_openssl_signs_through_the_environment(
    algorithm: str, arguments: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "signing.pem"
    subprocess.run(["openssl", "genpkey", *arguments, "-out", file], check=True, capture_output=True)
    settings = meshpass.Settings.from_env(
        {
            "GKE_GATEWAY_URL": "https://10.0.0.1",
            "GKE_GATEWAY_HOST": "a.internal",
            "JWT_ISSUER": "https://i.test",
            "JWT_AUDIENCE": "a",
            "JWT_SCOPE": "s",
            "SIGNING_KEY_FILE": str(file),
        }
    )
    source = settings.token_source()

    assert isinstance(source, meshpass.SignedJWT)
    assert _verified(source, algorithm)["scope"] == "s"


def test_an_rsa_key_in_pkcs1_signs(keys: dict[str, Any]) -> None:
    pem = keys["RS256"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )

    assert meshpass.SignedJWT("i", "pkcs1", lambda: pem).token().value


@given(st.integers(1, 2**384 - 1), st.integers(1, 2**384 - 1))
def test_der_of_p384_becomes_two_numbers_of_48_bytes(r: int, s: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    raw = algorithms.raw_signature(encode_dss_signature(r, s), 48)

    assert (int.from_bytes(raw[:48], "big"), int.from_bytes(raw[48:], "big"), len(raw)) == (r, s, 96)


@each
def test_a_key_ring_makes_and_rotates_keys_of_each_algorithm(algorithm: str, tmp_path: Path) -> None:
    store = meshpass.keys.FileKeyStore(tmp_path)
    ring = meshpass.keys.KeyRing(store, drain_s=0)
    ring.create(algorithm)
    keys = ring.next()

    assert [version.jwk and version.jwk["alg"] for version in keys.versions] == [algorithm, algorithm]
    ring.promote(lambda _: None)
    assert json.dumps(ring.jwks()).count(f'"{algorithm}"') == 2
    assert meshpass.SignedJWT("i", f"ring-{algorithm}", meshpass.KeyFile(store.active_file)).token().value


def test_a_rotation_may_change_the_algorithm(tmp_path: Path) -> None:
    ring = meshpass.keys.KeyRing(meshpass.keys.FileKeyStore(tmp_path))
    ring.create()
    keys = ring.next("EdDSA")

    assert [version.jwk and version.jwk["alg"] for version in keys.versions] == ["ES256", "EdDSA"]
    with pytest.raises(meshpass.keys.KeyLifecycleError, match="'HS256' is not one of"):
        meshpass.keys.KeyRing(meshpass.keys.FileKeyStore(tmp_path / "other")).create("HS256")
    assert not (tmp_path / "other").exists()
