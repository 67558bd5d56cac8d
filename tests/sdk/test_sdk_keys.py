# ruff: noqa: ANN401, PT012
"""Signing keys: which are accepted, what is said of the others, and how they come out of Secret Manager."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import meshpass
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from google.cloud import secretmanager_v1
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from hypothesis import given
from hypothesis import strategies as st
from meshlab.cloud import secretmanager

from .conftest import pem_of

_VERSION = "projects/p/secrets/signing-key/versions/1"


def _sign_with(pem: bytes) -> meshpass.Token:
    return meshpass.SignedJWT("i", "a", lambda: pem).token()


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _sec1() -> bytes:
    return _key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _encrypted() -> bytes:
    return _key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )


def _public() -> bytes:
    return (
        _key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


@pytest.mark.parametrize("pem", [pem_of(_key()), _sec1(), pem_of(_key()).replace(b"\n", b"\r\n")])
def test_a_p256_private_key_signs_in_pkcs8_and_sec1(pem: bytes) -> None:
    assert _sign_with(pem).value


@pytest.mark.parametrize(
    ("pem", "found"),
    [
        (_public(), "a public key"),
        (_encrypted(), "encrypted with a passphrase"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "an RSA key of 1024 bits"),
        (pem_of(ec.generate_private_key(ec.SECP521R1())), "an EC key on the curve secp521r1"),
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "an EC key on the curve secp256k1"),
        (pem_of(dsa.generate_private_key(1024)), "a key of another kind (DSA)"),
        (pem_of(ed448.Ed448PrivateKey.generate()), "a key of another kind (Ed448)"),
        (pem_of(x25519.X25519PrivateKey.generate()), "a key of another kind (X25519)"),
        (pem_of(_key())[:120], "damaged or cut short"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate"),
        (b'{"private_key": "-----"}', "a JSON document"),
        (b"", "empty"),
        (b"\x30\x81\x87", "not PEM text"),
    ],
)
def test_any_other_key_is_refused_by_saying_what_it_is(pem: bytes, found: str) -> None:
    with pytest.raises(meshpass.SigningKeyError) as caught:
        _sign_with(pem)

    assert f"{found}, not an unencrypted private key in PEM: EC P-256" in str(caught.value)
    assert "openssl genpkey" in str(caught.value)
    assert caught.value.__context__ is None


def test_a_key_file_is_read_and_named_in_errors(tmp_path: Path, pem: bytes) -> None:
    good, bad, missing = tmp_path / "good.pem", tmp_path / "bad.pem", tmp_path / "missing.pem"
    good.write_bytes(pem)
    bad.write_bytes(_public())

    assert meshpass.SignedJWT("i", "a", meshpass.KeyFile(good)).token().value
    with pytest.raises(meshpass.SigningKeyError, match=r"the file .*bad\.pem cannot sign"):
        meshpass.SignedJWT("i", "a", meshpass.KeyFile(bad)).token()
    with pytest.raises(meshpass.SigningKeyError, match=r"missing\.pem cannot be read: No such file"):
        meshpass.SignedJWT("i", "a", meshpass.KeyFile(missing)).token()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[secretmanager_v1.SecretManagerServiceClient]:
    with secretmanager.running() as address, grpc.insecure_channel(address) as channel:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)
        transport = SecretManagerServiceGrpcTransport(channel=channel)
        client = secretmanager_v1.SecretManagerServiceClient(transport=transport)
        client.create_secret(
            request={
                "parent": "projects/p",
                "secret_id": "signing-key",
                "secret": {"replication": {"automatic": {}}},
            }
        )
        yield client


def test_a_key_comes_out_of_secret_manager(
    secrets: secretmanager_v1.SecretManagerServiceClient, pem: bytes
) -> None:
    secrets.add_secret_version(request={"parent": "projects/p/secrets/signing-key", "payload": {"data": pem}})

    assert meshpass.SecretManagerKey(_VERSION)() == pem
    assert meshpass.SecretManagerKey(_VERSION.replace("/1", "/latest"))() == pem


def test_a_running_process_follows_an_alias_to_a_new_version(
    secrets: secretmanager_v1.SecretManagerServiceClient,
) -> None:
    now = [1_800_000_000.0]
    key = meshpass.SecretManagerKey(_VERSION.replace("/1", "/latest"))
    source = meshpass.SignedJWT("i", "a", key, clock=lambda: now[0])
    kids = []

    for _ in range(2):
        payload = {"data": pem_of(_key())}
        secrets.add_secret_version(request={"parent": "projects/p/secrets/signing-key", "payload": payload})
        kids.append(source.token().claims["kid"])
        now[0] += 301

    assert kids[0] != kids[1] == source.token().claims["kid"]


def test_a_missing_secret_is_said_to_be_missing(secrets: secretmanager_v1.SecretManagerServiceClient) -> None:
    with pytest.raises(meshpass.SigningKeyError, match="there is no such secret, version or alias") as caught:
        meshpass.SecretManagerKey(_VERSION)()

    assert _VERSION in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("disable_secret_version", r"the version is disabled\. Enable it, or name another version\."),
        ("destroy_secret_version", r"the version is destroyed\. Name another version: "),
    ],
)
def test_a_version_that_is_disabled_or_destroyed_is_said_to_be(
    secrets: secretmanager_v1.SecretManagerServiceClient, pem: bytes, change: str, said: str
) -> None:
    secrets.add_secret_version(request={"parent": "projects/p/secrets/signing-key", "payload": {"data": pem}})
    getattr(secrets, change)(name=_VERSION)

    with pytest.raises(meshpass.SigningKeyError, match=said):
        meshpass.SecretManagerKey(_VERSION)()


def test_secret_manager_out_of_reach_is_retryable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", "127.0.0.1:9")

    with pytest.raises(meshpass.SigningKeyError, match="did not answer") as caught:
        meshpass.SecretManagerKey(_VERSION, timeout_s=0.3)()

    assert caught.value.retryable


@contextmanager
def _answering(
    status: grpc.StatusCode | None, response: secretmanager_v1.AccessSecretVersionResponse
) -> Iterator[str]:
    """Serve AccessSecretVersion with one answer, for what the fake never does."""
    from concurrent.futures import ThreadPoolExecutor

    def access(
        request: object, context: grpc.ServicerContext
    ) -> secretmanager_v1.AccessSecretVersionResponse:
        if status is not None:
            context.abort(status, "as the test says")
        return response

    method = grpc.unary_unary_rpc_method_handler(
        access,
        request_deserializer=secretmanager_v1.AccessSecretVersionRequest.deserialize,
        response_serializer=secretmanager_v1.AccessSecretVersionResponse.serialize,
    )
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"AccessSecretVersion": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "roles/secretmanager.secretAccessor"),
        (grpc.StatusCode.UNAUTHENTICATED, "credentials were not accepted"),
    ],
)
def test_a_refusal_names_the_next_step(
    monkeypatch: pytest.MonkeyPatch, status: grpc.StatusCode, says: str
) -> None:
    with _answering(status, secretmanager_v1.AccessSecretVersionResponse()) as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)

        with pytest.raises(meshpass.SigningKeyError, match=says) as caught:
            meshpass.SecretManagerKey(_VERSION)()

    assert not caught.value.retryable


@pytest.mark.parametrize("payload", [{"data": b"damaged", "data_crc32c": 1}, {"data": b"unchecked"}])
def test_a_payload_that_does_not_match_its_checksum_is_refused(
    monkeypatch: pytest.MonkeyPatch, payload: dict[str, object]
) -> None:
    answer = secretmanager_v1.AccessSecretVersionResponse({"name": _VERSION, "payload": payload})
    with _answering(None, answer) as address:
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", address)

        with pytest.raises(meshpass.SigningKeyError, match="arrived damaged"):
            meshpass.SecretManagerKey(_VERSION)()


def test_a_name_that_is_no_version_is_refused_before_any_connection() -> None:
    with pytest.raises(meshpass.SigningKeyError, match="projects/PROJECT/secrets/SECRET/versions/VERSION"):
        meshpass.SecretManagerKey("signing-key")()


@pytest.mark.parametrize("missing", ["google.cloud.secretmanager_v1", "google.api_core", "google_crc32c"])
def test_without_the_extra_the_error_says_what_to_install(missing: str) -> None:
    # `None` in sys.modules is what the import system takes for "not installed".
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "import meshpass\n"
        f"try: meshpass.SecretManagerKey({_VERSION!r})()\n"
        "except meshpass.SigningKeyError as error: print(error)"
    )

    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert 'pip install "./sdk[secretmanager]"' in ran.stdout


@pytest.mark.parametrize("returned", ["-----BEGIN PRIVATE KEY-----", None, 1, [b"x"], {"key": "s3cret"}])
@pytest.mark.parametrize("use", ["token", "jwks"])
def test_a_key_function_that_returns_no_bytes_is_named_by_what_it_returned(returned: Any, use: str) -> None:
    source = meshpass.SignedJWT("i", "returns", lambda: returned)

    with pytest.raises(
        meshpass.SigningKeyError, match=f"returned {type(returned).__name__}, not bytes"
    ) as caught:
        getattr(source, use)()

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "error", [ValueError("s3cret"), KeyError("s3cret"), OSError(2, "s3cret"), RecursionError()]
)
@pytest.mark.parametrize("use", ["token", "jwks", "atoken"])
def test_a_key_function_that_fails_is_named_with_its_line(error: Exception, use: str) -> None:
    def load() -> bytes:
        raise error

    source = meshpass.SignedJWT("i", "fails", load)
    with pytest.raises(meshpass.SigningKeyError) as caught:
        if use == "atoken":
            asyncio.run(source.atoken())
        else:
            getattr(source, use)()

    assert f"The key function failed: {type(error).__name__} at test_sdk_keys.py:" in str(caught.value)
    assert "s3cret" not in repr(caught.value) + str(vars(caught.value))
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_error_of_the_package_from_a_key_function_stays_as_it_is() -> None:
    def load() -> bytes:
        raise meshpass.SigningKeyError("Mine.", hint="Look.", retryable=True)

    with pytest.raises(meshpass.SigningKeyError, match=r"Mine\. Look\.") as caught:
        meshpass.SignedJWT("i", "own", load).token()

    assert caught.value.retryable


@pytest.mark.parametrize("key", [b"-----BEGIN s3cret", "signing.pem", None, Path("signing.pem")])
def test_a_key_that_is_no_source_is_a_configuration_error(key: Any) -> None:
    with pytest.raises(meshpass.ConfigurationError, match=f"key is of type {type(key).__name__}") as caught:
        meshpass.SignedJWT("i", "a", key)

    assert "s3cret" not in str(caught.value)


@given(st.binary(max_size=200) | st.sampled_from([b"-----BEGIN EC PRIVATE KEY-----\n", b"\0" * 50]))
def test_whatever_bytes_a_key_is_only_a_signing_key_error_leaves(data: bytes) -> None:
    for text in (
        data,
        b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(data) + b"\n-----END PRIVATE KEY-----\n",
    ):
        with pytest.raises(meshpass.SigningKeyError):
            _sign_with(text)


def test_a_clock_that_fails_is_a_signing_key_error(pem: bytes) -> None:
    calls = iter([1.0, 1.0, 1.0])

    def clock() -> float:
        return next(calls, float("nan"))

    with pytest.raises(
        meshpass.SigningKeyError, match=r"No token can be signed: ValueError at signed_jwt\.py"
    ):
        for _ in range(3):
            source = meshpass.SignedJWT("i", "clock", lambda: pem, clock=clock)
            source.token()
