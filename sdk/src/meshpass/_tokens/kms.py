"""Signing key in Google Cloud KMS. KMS signs, and the key is never in this process."""

import base64
import json
import os
import re
from typing import TYPE_CHECKING

from meshpass._errors import IdentityError, SigningKeyError
from meshpass._tokens.algorithms import algorithm_of, public_jwk, raw_signature
from meshpass._tokens.crc32c import crc32c
from meshpass._tokens.key_sources import KMSKey
from meshpass._tokens.untrusted_json import json_object
from meshpass._values import shown

if TYPE_CHECKING:
    from meshpass._tokens.google.web import Web, WebResponse

_KEY_VERSION = re.compile(
    r"projects/[^/\s]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]{1,63}"
    r"/cryptoKeys/[A-Za-z0-9_-]{1,63}/cryptoKeyVersions/[0-9]+"
)
# https://cloud.google.com/kms/docs/algorithms#asymmetric_signing_algorithms: those that are also JWS algorithms.
_ALGORITHMS = {
    "EC_SIGN_P256_SHA256": "ES256",
    "EC_SIGN_P384_SHA384": "ES384",
    "EC_SIGN_ED25519": "EdDSA",
    "RSA_SIGN_PKCS1_2048_SHA256": "RS256",
    "RSA_SIGN_PKCS1_3072_SHA256": "RS256",
    "RSA_SIGN_PKCS1_4096_SHA256": "RS256",
}
_DEFAULT = "EC_SIGN_P256_SHA256"
_TRY_AGAIN = "Try again. If the error stays, look at https://status.cloud.google.com."


class KMSSigner:
    """Signer that calls Cloud KMS. The public key is read once, because a version's key never changes.

    Args:
        key: The key version.
        deadline_s: How long reading the public key may take, in seconds.

    Raises:
        SigningKeyError: it is missing, not permitted, of another algorithm, damaged in transit, or cannot be reached.
    """

    is_quick = False

    def __init__(self, key: KMSKey, deadline_s: float) -> None:
        if not isinstance(key.name, str) or not _KEY_VERSION.fullmatch(key.name):
            raise SigningKeyError(
                f"{shown(key.name)} does not name a key version in Cloud KMS.",
                hint="Write it as projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/V.",
            )
        self._key = key
        self.jwk = self._public_jwk(deadline_s)

    def sign(self, message: bytes, deadline_s: float) -> bytes:
        """Return a signature in the format of a JWS.

        Raises:
            SigningKeyError: KMS did not sign, or its response was damaged in transit.
        """
        asked, verified = _to_sign(message, self.jwk["alg"])
        response = self._call("POST", ":asymmetricSign", asked, deadline_s)
        signature = _bytes_of(response.get("signature"))
        # https://cloud.google.com/kms/docs/data-integrity-guidelines: for the request and the response.
        intact = response.get(verified) is True and response.get("signatureCrc32c") == str(crc32c(signature))
        if not intact or response.get("name") != self._key.name:
            raise self._damaged("signature")
        if self.jwk["kty"] != "EC":
            return signature
        try:
            return raw_signature(signature, 48 if self.jwk["alg"] == "ES384" else 32)
        except ValueError:
            pass
        raise self._damaged("signature")

    def __repr__(self) -> str:
        return f"KMSSigner({self._key.name!r})"

    def _public_jwk(self, deadline_s: float) -> dict[str, str]:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        response = self._call("GET", "/publicKey", None, deadline_s)
        named = str(response.get("algorithm"))
        if named not in _ALGORITHMS:
            raise SigningKeyError(
                f"The key {self._key.name} in Cloud KMS cannot sign a token: its algorithm is {named[:100]!r}.",
                hint=f"Make a key with the purpose asymmetric-signing and the algorithm {_DEFAULT}, or one of"
                f" {', '.join(list(_ALGORITHMS)[1:])}.",
            )
        pem = str(response.get("pem", "")).encode(errors="replace")
        if response.get("pemCrc32c") != str(crc32c(pem)) or response.get("name") != self._key.name:
            raise self._damaged("public key")
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if algorithm_of(key) != _ALGORITHMS[named]:
            raise self._damaged("public key")
        return public_jwk(key)  # type: ignore[arg-type]  # one of these, as its algorithm shows

    def _call(
        self, method: str, suffix: str, asked: dict[str, object] | None, deadline_s: float
    ) -> dict[str, object]:
        from meshpass._tokens.google.web import Web

        body = None if asked is None else json.dumps(asked).encode()
        failure: IdentityError | None = None
        with Web(min(deadline_s, self._key.timeout_s), trust_env=True) as web:
            try:
                origin, headers = _endpoint(web)
                headers["content-type"] = "application/json"
                response = web.send(
                    f"{origin}/v1/{self._key.name}{suffix}", method, body, headers, hint=_TRY_AGAIN
                )
            except IdentityError as exc:
                failure = exc
        if failure is not None:
            raise SigningKeyError(
                f"{self._cannot}: {failure.args[0]}", hint=failure.hint, retryable=failure.retryable
            )
        if response.status != 200:
            raise self._refused(response)
        return json_object(response.data)

    def _refused(self, response: "WebResponse") -> SigningKeyError:
        why, hint = _NEXT_STEPS.get(
            _error_status(response.data),
            (
                f"Cloud KMS answered {response.status}",
                "Check the key's name, and that this identity may use it.",
            ),
        )
        return SigningKeyError(f"{self._cannot}: {why}.", hint=hint)

    def _damaged(self, what: str) -> SigningKeyError:
        return SigningKeyError(
            f"The {what} of {self._key.name} arrived damaged from Cloud KMS: its CRC32C or its name does not match.",
            hint=_TRY_AGAIN,
            retryable=True,
        )

    @property
    def _cannot(self) -> str:
        return f"The key {self._key.name} in Cloud KMS cannot be used"


def _endpoint(web: "Web") -> tuple[str, dict[str, str]]:
    emulator = os.environ.get("CLOUD_KMS_EMULATOR_HOST")
    if emulator:
        return f"http://{emulator}", {}
    from meshpass._tokens.google.detection import find_identity

    identity, _ = find_identity(None, os.environ)
    return "https://cloudkms.googleapis.com", identity.access(web).headers


def _to_sign(message: bytes, algorithm: str) -> tuple[dict[str, object], str]:
    """Return the request to sign, and the response field that says whether it arrived unchanged."""
    import hashlib

    if algorithm == "EdDSA":
        # Ed25519 hashes the message itself, twice, so KMS needs the whole message.
        data: dict[str, object] = {
            "data": base64.b64encode(message).decode(),
            "dataCrc32c": str(crc32c(message)),
        }
        return data, "verifiedDataCrc32c"
    name = "sha384" if algorithm == "ES384" else "sha256"
    digest = hashlib.new(name, message).digest()
    asked: dict[str, object] = {
        "digest": {name: base64.b64encode(digest).decode()},
        "digestCrc32c": str(crc32c(digest)),
    }
    return asked, "verifiedDigestCrc32c"


def _bytes_of(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except ValueError:
        return b""


def _error_status(data: bytes) -> str:
    """Return the status of an error, and nothing else of it (https://google.aip.dev/193)."""
    error = json_object(data).get("error")
    if not isinstance(error, dict):
        return ""
    details = error.get("details")
    reasons = (
        [detail.get("reason") for detail in details if isinstance(detail, dict)]
        if isinstance(details, list)
        else []
    )
    return "SERVICE_DISABLED" if "SERVICE_DISABLED" in reasons else str(error.get("status"))


_NEXT_STEPS = {
    "UNAUTHENTICATED": ("the credentials were not accepted", "Check the service account."),
    "PERMISSION_DENIED": (
        "this identity may not sign with it",
        "Grant it roles/cloudkms.signerVerifier on this key.",
    ),
    "SERVICE_DISABLED": (
        "the Cloud KMS API is not enabled",
        "Run `gcloud services enable cloudkms.googleapis.com`.",
    ),
    "NOT_FOUND": ("there is no such key version", "Check project, location, key ring, key and version."),
    "FAILED_PRECONDITION": (
        "the version is disabled, destroyed or still being made",
        "Enable it, or name another version.",
    ),
    "INVALID_ARGUMENT": (
        "the request does not fit the key",
        f"Check that its purpose is asymmetric-signing and its algorithm one of {', '.join(_ALGORITHMS)}.",
    ),
}
