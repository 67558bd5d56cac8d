# ruff: noqa: ANN401
"""A signing key that never leaves Cloud KMS, here in a fake that keeps to KMS's REST API over real HTTP."""

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import google_crc32c
import jwt
import meshpass
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from hypothesis import given
from hypothesis import strategies as st
from meshpass._tokens.algorithms import raw_signature
from meshpass._tokens.crc32c import crc32c
from meshpass._tokens.kms import KMSSigner, _endpoint

from .conftest import Answer, Seen, Server

_NAME = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"


Change = Callable[[dict[str, Any]], Any]


class KMS:
    """Answers as Cloud KMS does for one key version. `change` edits each answer before it is sent."""

    def __init__(self, key: Any = None, algorithm: str = "EC_SIGN_P256_SHA256") -> None:
        self.key: Any = key or ec.generate_private_key(ec.SECP256R1())
        self.algorithm = algorithm
        self.change: Change = lambda answer: answer
        self.refusal: tuple[int, dict[str, Any]] | None = None

    def __call__(self, seen: Seen) -> Answer:
        if self.refusal is not None:
            status, error = self.refusal
            return status, {}, json.dumps({"error": {"code": status, "message": "s3cret", **error}}).encode()
        if (seen.method, seen.target) == ("GET", f"/v1/{_NAME}/publicKey"):
            answer = self._public_key()
        elif (seen.method, seen.target) == ("POST", f"/v1/{_NAME}:asymmetricSign"):
            answer = self._signature(json.loads(seen.body))
        else:
            return 404, {}, json.dumps({"error": {"status": "NOT_FOUND"}}).encode()
        return 200, {}, json.dumps(self.change({"name": _NAME, **answer})).encode()

    def _public_key(self) -> dict[str, Any]:
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "pem": pem.decode(),
            "pemCrc32c": str(google_crc32c.value(pem)),
            "algorithm": self.algorithm,
        }

    def _signature(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.algorithm == "EC_SIGN_ED25519":
            # It takes the message itself, and refuses a digest.
            assert "digest" not in asked
            signed = base64.b64decode(asked["data"])
            signature = self.key.sign(signed)
            verified = "verifiedDataCrc32c", asked["dataCrc32c"]
        else:
            assert "data" not in asked
            name = "sha384" if self.algorithm.endswith("SHA384") else "sha256"
            signed = base64.b64decode(asked["digest"][name])
            hashed = utils.Prehashed(hashes.SHA384() if name == "sha384" else hashes.SHA256())
            assert len(signed) == hashed._digest_size
            by_rsa = self.algorithm.startswith("RSA")
            signature = (
                self.key.sign(signed, padding.PKCS1v15(), hashed)
                if by_rsa
                else self.key.sign(signed, ec.ECDSA(hashed))
            )
            verified = "verifiedDigestCrc32c", asked["digestCrc32c"]
        return {
            "signature": base64.b64encode(signature).decode(),
            "signatureCrc32c": str(google_crc32c.value(signature)),
            verified[0]: verified[1] == str(google_crc32c.value(signed)),
        }


@pytest.fixture
def kms(server: Server, monkeypatch: pytest.MonkeyPatch) -> KMS:
    kms = KMS()
    server.answer = kms
    monkeypatch.setenv("CLOUD_KMS_EMULATOR_HOST", server.address)
    return kms


@pytest.fixture
def audience() -> str:
    # It sets the sources of these tests apart: equal ones would share a token. A server's port may come again.
    return f"https://{uuid.uuid4()}.test"


@pytest.fixture
def source(kms: KMS, audience: str) -> meshpass.SignedJWT:
    return meshpass.SignedJWT("https://i.test", audience, meshpass.KMSKey(_NAME), scope="s")


def test_the_mesh_verifies_a_token_that_kms_signed(source: meshpass.SignedJWT, audience: str) -> None:
    token = source.token()
    key = jwt.PyJWKSet.from_dict(source.jwks())[jwt.get_unverified_header(token.value)["kid"]]

    claims = jwt.decode(token.value, key, ["ES256"], audience=audience)

    assert claims["iss"] == "https://i.test"
    assert token.claims["kid"] == source.jwks()["keys"][0]["kid"]


def test_the_kid_is_that_of_the_public_key_in_kms(source: meshpass.SignedJWT, kms: KMS) -> None:
    local = meshpass.SignedJWT(
        "i",
        "a",
        lambda: kms.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )

    assert source.jwks() == local.jwks()


def test_the_public_key_is_read_once_and_each_token_is_one_call(
    source: meshpass.SignedJWT, server: Server
) -> None:
    for _ in range(2):
        source.invalidate(source.token())
        source.token()

    assert [seen.method for seen in server.seen] == ["GET", "POST", "POST"]


def test_asyncio_has_kms_sign_off_the_event_loop(source: meshpass.SignedJWT, server: Server) -> None:
    async def ask() -> set[str]:
        return {token.value for token in await asyncio.gather(*(source.atoken() for _ in range(50)))}

    assert len(asyncio.run(ask())) == 1
    assert [seen.method for seen in server.seen] == ["GET", "POST"]


@given(st.binary(max_size=300))
def test_our_crc32c_is_googles(data: bytes) -> None:
    assert crc32c(data) == google_crc32c.value(data)


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_der_becomes_two_numbers_of_32_bytes_however_small(r: int, s: int) -> None:
    raw = raw_signature(utils.encode_dss_signature(r, s))

    assert (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"), len(raw)) == (r, s, 64)


@pytest.mark.parametrize(
    "der", [b"", b"\x30\x00", utils.encode_dss_signature(2**256, 1), utils.encode_dss_signature(0, 1)]
)
def test_der_that_is_no_signature_of_p256_is_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        raw_signature(der)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({"pemCrc32c": "1"}, "public key"),
        ({"pem": "-----BEGIN"}, "public key"),
        ({"name": _NAME.replace("/1", "/2")}, "public key"),
        ({"signatureCrc32c": "1"}, "signature"),
        ({"signature": base64.b64encode(b"x" * 70).decode()}, "signature"),
        (
            {
                "signature": base64.b64encode(b"x").decode(),
                "signatureCrc32c": str(google_crc32c.value(b"x")),
            },
            "signature",
        ),
        ({"signature": "not base64"}, "signature"),
        ({"verifiedDigestCrc32c": False}, "signature"),
        ({"verifiedDigestCrc32c": None}, "signature"),
    ],
)
def test_what_was_damaged_on_the_way_is_refused(
    source: meshpass.SignedJWT, kms: KMS, damage: dict[str, object], what: str
) -> None:
    kms.change = lambda answer: {**answer, **{k: v for k, v in damage.items() if k in answer}}

    with pytest.raises(meshpass.SigningKeyError, match=f"The {what} of .* arrived damaged") as caught:
        source.token()

    assert caught.value.retryable
    assert caught.value.__context__ is None


def test_a_public_key_that_is_whole_but_none_is_refused(source: meshpass.SignedJWT, kms: KMS) -> None:
    kms.change = lambda answer: {**answer, "pem": "no", "pemCrc32c": str(google_crc32c.value(b"no"))}

    with pytest.raises(meshpass.SigningKeyError, match=r"public key of .* arrived damaged"):
        source.token()


@pytest.mark.parametrize("answer", [[], "text", None, 1])
def test_an_answer_of_another_kind_is_refused(source: meshpass.SignedJWT, kms: KMS, answer: object) -> None:
    kms.change = lambda _: answer

    with pytest.raises(meshpass.SigningKeyError):
        source.token()


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, {"status": "UNAUTHENTICATED"}, "the credentials were not accepted"),
        (403, {"status": "PERMISSION_DENIED"}, "roles/cloudkms.signerVerifier"),
        (
            403,
            {"status": "PERMISSION_DENIED", "details": [{"reason": "SERVICE_DISABLED"}]},
            "gcloud services enable",
        ),
        (404, {"status": "NOT_FOUND"}, "there is no such key version"),
        (400, {"status": "FAILED_PRECONDITION"}, "disabled, destroyed"),
        (400, {"status": "INVALID_ARGUMENT"}, "asymmetric-signing"),
        (418, {"status": "ODD", "details": "odd"}, "Cloud KMS answered 418"),
    ],
)
def test_a_refusal_names_the_next_step_and_repeats_nothing(
    source: meshpass.SignedJWT, kms: KMS, status: int, error: dict[str, Any], says: str
) -> None:
    kms.refusal = (status, error)

    with pytest.raises(meshpass.SigningKeyError) as caught:
        source.token()

    assert says in str(caught.value)
    assert _NAME in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert not caught.value.retryable


def test_an_overloaded_kms_is_tried_again(source: meshpass.SignedJWT, kms: KMS, server: Server) -> None:
    refusals: list[Answer] = [(503, {}, b""), (429, {}, b"")]
    server.answer = lambda seen: refusals.pop() if refusals else kms(seen)

    assert source.token().value


def test_kms_out_of_reach_is_retryable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_KMS_EMULATOR_HOST", "127.0.0.1:9")

    with pytest.raises(meshpass.SigningKeyError, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
        meshpass.SignedJWT("i", "out-of-reach", meshpass.KMSKey(_NAME, timeout_s=0.3)).token()

    assert caught.value.retryable
    assert _NAME in str(caught.value)


_KMS_KEYS: list[tuple[str, str, Callable[[], Any]]] = [
    ("ES384", "EC_SIGN_P384_SHA384", lambda: ec.generate_private_key(ec.SECP384R1())),
    ("EdDSA", "EC_SIGN_ED25519", ed25519.Ed25519PrivateKey.generate),
    ("RS256", "RSA_SIGN_PKCS1_2048_SHA256", lambda: rsa.generate_private_key(65537, 2048)),
    ("RS256", "RSA_SIGN_PKCS1_3072_SHA256", lambda: rsa.generate_private_key(65537, 3072)),
]


@pytest.mark.parametrize(("algorithm", "of_kms", "make"), _KMS_KEYS)
def test_kms_signs_with_each_algorithm_that_a_jws_has(
    algorithm: str,
    of_kms: str,
    make: Callable[[], Any],
    source: meshpass.SignedJWT,
    server: Server,
    audience: str,
) -> None:
    server.answer = KMS(make(), of_kms)

    token = source.token()

    key = jwt.PyJWKSet.from_dict(source.jwks())[jwt.get_unverified_header(token.value)["kid"]]
    assert jwt.decode(token.value, key, [algorithm], audience=audience)["iss"] == "https://i.test"
    assert jwt.get_unverified_header(token.value)["alg"] == algorithm


def test_data_that_kms_did_not_verify_is_refused(source: meshpass.SignedJWT, server: Server) -> None:
    kms = KMS(ed25519.Ed25519PrivateKey.generate(), "EC_SIGN_ED25519")
    kms.change = lambda answer: {**answer, "verifiedDataCrc32c": False}
    server.answer = kms

    with pytest.raises(meshpass.SigningKeyError, match=r"The signature of .* arrived damaged"):
        source.token()


def test_a_public_key_that_is_not_of_its_algorithm_is_refused(
    source: meshpass.SignedJWT, server: Server
) -> None:
    server.answer = KMS(ec.generate_private_key(ec.SECP384R1()), "EC_SIGN_P256_SHA256")

    with pytest.raises(meshpass.SigningKeyError, match=r"public key of .* arrived damaged"):
        source.token()


@pytest.mark.parametrize("algorithm", ["EC_SIGN_SECP256K1_SHA256", "RSA_SIGN_PKCS1_4096_SHA512", None])
def test_a_key_of_another_algorithm_is_refused_by_name(
    source: meshpass.SignedJWT, kms: KMS, algorithm: str | None
) -> None:
    kms.change = lambda answer: {**answer, "algorithm": algorithm}

    with pytest.raises(meshpass.SigningKeyError, match=f"its algorithm is '{algorithm}'") as caught:
        source.token()

    assert "EC_SIGN_P256_SHA256" in caught.value.hint


@pytest.mark.parametrize("name", ["k", _NAME.removesuffix("/cryptoKeyVersions/1"), f"{_NAME}/../2", ""])
def test_a_name_that_is_no_key_version_is_refused_before_any_connection(
    kms: KMS, server: Server, name: str
) -> None:
    with pytest.raises(meshpass.SigningKeyError, match="does not name a key version"):
        meshpass.SignedJWT("i", "a", meshpass.KMSKey(name)).token()

    assert not server.seen


def test_google_itself_is_asked_with_the_environments_identity_over_https(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meshpass._tokens.google.web import Web

    monkeypatch.delenv("CLOUD_KMS_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    monkeypatch.setenv("GCE_METADATA_HOST", server.address)
    access = json.dumps({"access_token": "access", "expires_in": 3600, "token_type": "Bearer"}).encode()
    server.answer = lambda _: (200, {"metadata-flavor": "Google"}, access)

    with Web(5) as web:
        origin, headers = _endpoint(web)

    assert origin == "https://cloudkms.googleapis.com"
    assert {name.lower(): value for name, value in headers.items()} == {"authorization": "Bearer access"}


def test_a_signer_shows_the_keys_name_alone(kms: KMS) -> None:
    signer = KMSSigner(meshpass.KMSKey(_NAME), 5)

    assert repr(signer) == f"KMSSigner({_NAME!r})"
    assert len(signer.sign(b"message", 5)) == 64
    assert hashlib.sha256(b"message").hexdigest() not in repr(vars(signer))
