"""Sources of a signing key: a mounted file, Secret Manager, or Cloud KMS, which signs itself."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._errors import SigningKeyError
from meshpass._frames import sealed
from meshpass._values import shown

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

VERSION_NAME_FORM = (
    "projects/PROJECT/secrets/SECRET/versions/VERSION, or projects/PROJECT/locations/LOCATION/secrets/... where it is"
    " regional"
)

KeySource = Callable[[], bytes]
"""Function that returns the key's PEM bytes; it may do I/O."""

_SECRET_VERSION = re.compile(
    r"projects/[^/\s]+/(locations/[a-z0-9-]+/)?secrets/[A-Za-z0-9_-]{1,255}/versions/[A-Za-z0-9_-]+"
)
_LOCATION = re.compile(r"projects/[^/]+/locations/([a-z0-9-]+)/")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A signing key in a file, such as a secret mounted into the container.

    Args:
        path: The PEM file's path.
    """

    path: Path | str

    @sealed
    def __call__(self) -> bytes:
        """Read the file.

        Raises:
            SigningKeyError: the file is missing or cannot be read.
        """
        try:
            return Path(self.path).read_bytes()
        except OSError as exc:
            raise SigningKeyError(
                f"The signing key file {self.path} cannot be read: {exc.strerror}.",
                hint="Check that the secret is mounted there and that this process may read it.",
            ) from exc
        except ValueError:
            raise SigningKeyError(
                "The signing key file cannot be read: its path holds a null byte.", hint="Check the path."
            ) from None
        except TypeError:
            raise SigningKeyError(
                f"The path of a KeyFile is of type {type(self.path).__name__}; it must be a str or a Path."
            ) from None

    def __str__(self) -> str:
        return f"the file {self.path}"


@dataclass(frozen=True, slots=True)
class SecretManagerKey:
    """A signing key in Google Secret Manager, read with the official client (`meshpass[secretmanager]`).

    The client is imported and connected only while a key is read, so that no connection is open during a fork.
    A regional secret is read from the endpoint of its region, `secretmanager.LOCATION.rep.googleapis.com`
    (https://cloud.google.com/secret-manager/regional-secrets/config-rs).
    `SECRET_MANAGER_EMULATOR_HOST` names an emulator, which is reached without TLS or credentials.

    Args:
        name: `projects/P/secrets/S/versions/V` or `projects/P/locations/L/secrets/S/versions/V`, where V is a number,
            an alias or `latest`.
        timeout_s: Limit for one read with its retries, in seconds.
    """

    name: str
    timeout_s: float = 10.0

    @sealed
    def __call__(self) -> bytes:
        """Read the secret's version.

        Raises:
            SigningKeyError: it is missing, not permitted, disabled, damaged in transit, or cannot be reached.
        """
        if not is_secret_version(self.name):
            raise SigningKeyError(
                f"{shown(self.name)} does not name a secret's version.",
                hint=f"Write it as {VERSION_NAME_FORM}.",
            )
        return _access(self.name, self.timeout_s)

    def __str__(self) -> str:
        return f"Secret Manager ({self.name})"


@dataclass(frozen=True, slots=True)
class KMSKey:
    """A signing key in Cloud KMS.

    Its algorithm is `EC_SIGN_P256_SHA256` (ES256), `EC_SIGN_P384_SHA384` (ES384), `EC_SIGN_ED25519` (EdDSA), or
    `RSA_SIGN_PKCS1_2048_SHA256`, `..._3072_SHA256` or `..._4096_SHA256` (RS256).

    KMS signs; the key never leaves it. The identity of this process is found as `GoogleIDToken` finds it. It needs
    `roles/cloudkms.signerVerifier` and, unless it comes from the metadata server, `meshpass[google]`.
    `CLOUD_KMS_EMULATOR_HOST` names an emulator, which is reached without TLS or credentials.

    Args:
        name: `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/V`.
        timeout_s: Limit for one signature with its retries, in seconds.
    """

    name: str
    timeout_s: float = 10.0

    def __str__(self) -> str:
        return f"Cloud KMS ({self.name})"


def is_secret_version(name: str) -> bool:
    """Return whether this is the full name of a secret's version, in a global or a regional secret."""
    return isinstance(name, str) and _SECRET_VERSION.fullmatch(name) is not None


def _access(name: str, timeout_s: float) -> bytes:
    try:
        import google_crc32c
        from google.api_core import exceptions, retry
        from google.auth.exceptions import GoogleAuthError
    except ImportError as exc:
        raise missing_extra() from exc
    # The client's default would retry for a minute. The codes are those that it retries by default.
    policy = retry.Retry(
        predicate=retry.if_exception_type(exceptions.ServiceUnavailable, exceptions.ResourceExhausted),
        initial=0.1,
        maximum=2.0,
        timeout=timeout_s,
    )
    try:
        with secret_manager_client(name) as client:
            payload = client.access_secret_version(name=name, retry=policy, timeout=timeout_s).payload
    except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as exc:
        raise _cannot_read(name, exc) from exc
    data: bytes = payload.data
    if google_crc32c.value(data) != payload.data_crc32c:
        raise SigningKeyError(
            f"The secret {name} arrived damaged: its CRC32C does not match.",
            hint="Try again. If the error stays, add a new version of the secret.",
            retryable=True,
        )
    return data


def secret_manager_client(name: str) -> "SecretManagerServiceClient":
    """Return Google's client for the endpoint of a secret, or one for the emulator.

    Args:
        name: A secret's name, with or without its version.
    """
    try:
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient
    except ImportError as exc:
        raise missing_extra() from exc
    emulator = os.environ.get("SECRET_MANAGER_EMULATOR_HOST")
    if not emulator:
        regional = _LOCATION.match(name)
        host = f"secretmanager.{regional[1]}.rep.googleapis.com" if regional else None
        return SecretManagerServiceClient(client_options={"api_endpoint": host})
    import grpc
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport,
    )

    channel = grpc.insecure_channel(emulator)
    return SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))


def missing_extra() -> SigningKeyError:
    """Return the error for a client that is not installed."""
    from meshpass._install import install_hint

    return SigningKeyError(
        "The signing key is in Secret Manager, but Google's client for it is not installed.",
        hint=f"{install_hint('secretmanager')} Or mount the secret as a file and name that file.",
    )


def _state(exc: Exception) -> tuple[str, str]:
    """Return what is wrong with a version that is there, and what to do. Only Google's sentence has its state."""
    said = str(exc)
    if "DESTROYED" in said:
        return "the version is destroyed", "Name another version: no one can restore this one."
    what = "disabled" if "DISABLED" in said else "disabled or destroyed"
    return f"the version is {what}", "Enable it, or name another version."


def _cannot_read(name: str, exc: Exception) -> SigningKeyError:
    from google.api_core import exceptions

    next_steps: tuple[tuple[type[Exception], str, str, bool], ...] = (
        (
            exceptions.NotFound,
            "there is no such secret, version or alias",
            "Check the name, and that a version was added.",
            False,
        ),
        (
            exceptions.PermissionDenied,
            "this identity may not read it",
            "Grant it roles/secretmanager.secretAccessor on this secret.",
            False,
        ),
        (
            exceptions.Unauthenticated,
            "the credentials were not accepted",
            "Check the service account.",
            False,
        ),
        (
            exceptions.FailedPrecondition,
            *_state(exc),
            False,
        ),
        (exceptions.InvalidArgument, "the name was not accepted", "Check the name.", False),
        (exceptions.GoogleAPICallError, "Secret Manager did not answer", "Try again.", True),
        (exceptions.RetryError, "Secret Manager did not answer in time", "Try again.", True),
    )
    for kind, why, hint, retryable in next_steps:
        if isinstance(exc, kind):
            return SigningKeyError(
                f"The secret {name} cannot be read: {why}.", hint=hint, retryable=retryable
            )
    return SigningKeyError(
        f"The secret {name} cannot be read: no Google credentials were found or they cannot be refreshed.",
        hint="Attach a service account, or run `gcloud auth application-default login` on your own machine.",
        retryable=bool(getattr(exc, "retryable", False)),
    )
