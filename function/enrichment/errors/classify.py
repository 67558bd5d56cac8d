"""Which error of a client leads to which end: of the mesh, of Google's clients, and of our own code."""

import re
import traceback
from collections.abc import Iterable

import meshpass

from enrichment.errors.outcome import EnrichmentError, FaultError, Stage, TransientError
from enrichment.errors.policy import failure
from enrichment.settings.lookup_rules import OnMiss

_WORD = re.compile(r"[A-Za-z_]{1,64}")
_QUOTA = frozenset({"quotaExceeded", "rateLimitExceeded"})


def of_mesh_error(error: meshpass.MeshError) -> EnrichmentError:
    """Decides on a failed call through the mesh.

    A refused token, a policy that says no or a missing route is our configuration, whatever the event:
    dead-lettering would throw good events away until somebody notices. Only a value that no path can carry is
    the event's own doing.
    """
    if isinstance(error, meshpass.InvalidPathValue):
        return failure("key_invalid", "the key cannot stand as one segment of a path")
    # The error's own sentence may quote the key; the mesh's words and the advice do not.
    detail = " ".join(part for part in (f"{type(error).__name__}:", error.detail, error.hint) if part)
    if error.retryable:
        return TransientError(Stage.LOOKUP, error.code, detail)
    return FaultError(Stage.LOOKUP, error.code, detail)


def of_miss(on_miss: OnMiss) -> EnrichmentError | None:
    """Decides on an event whose key the service does not know; None to write its row without a profile."""
    if on_miss is OnMiss.WRITE:
        return None
    unknown = "the service knows no such key"
    if on_miss is OnMiss.DEAD_LETTER:
        return failure("profile_not_found", unknown)
    return TransientError(Stage.LOOKUP, "profile_not_found", unknown)


def of_google_error(error: Exception, stage: Stage, service: str, resource: str) -> EnrichmentError:
    """Decides on an exception from one of Google's clients. It is never the event's doing.

    BigQuery answers 403 both for a missing permission and for a spent quota; the error's `reason` tells them
    apart (https://cloud.google.com/bigquery/docs/error-messages). The server's own message stays out of the
    detail: it may quote values.

    Args:
        error: What the client raised.
        stage: Where the event was.
        service: Start of the reason code, such as `bigquery`.
        resource: The table or topic, for the detail.
    """
    # Loaded already by the client that raised, and never at start.
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError

    if not isinstance(error, GoogleAPIError | GoogleAuthError | OSError):  # requests' errors are OSErrors
        return of_unexpected_error(error, stage)
    status = getattr(error, "code", None)  # the HTTP status, for gRPC's errors as well
    if status is not None:
        return of_google_answer(int(status), _reasons(error), str(error), stage, service, resource)
    what = f"{type(error).__name__} (no status) from {service} for {resource}"
    if isinstance(error, DefaultCredentialsError):
        return failure(f"{service}_no_credentials", f"{what}: give the function a service account", stage)
    if isinstance(error, RefreshError) and not isinstance(error.__cause__, TransportError):
        return failure(f"{service}_no_credentials", f"{what}: its credentials cannot be refreshed", stage)
    return failure(f"{service}_unavailable", what, stage)


def of_google_answer(
    status: int, reasons: Iterable[str], message: str, stage: Stage, service: str, resource: str
) -> EnrichmentError:
    """Decide on an error that a Google API answered with.

    Args:
        status: The HTTP status.
        reasons: Every `reason` that Google gives.
        message: Google's sentence. It may quote values, so it is never repeated.
        stage: Where the event was.
        service: Start of the reason code, such as `bigquery`.
        resource: The table or topic, for the detail.
    """
    given = [reason for reason in reasons if _WORD.fullmatch(reason)]
    what = " ".join([str(status), *given[:1], f"from {service} for {resource}"])
    if status == 404:
        return failure(
            f"{service}_not_found", f"{what}: create it, or correct its name in the environment", stage
        )
    if status in (401, 403) and not _QUOTA.intersection(given):
        return failure(f"{service}_forbidden", f"{what}: grant the function's service account access", stage)
    if status == 400:
        return failure(f"{service}_refused", f"{what}: the request as a whole was refused", stage)
    return failure(f"{service}_unavailable", what, stage)


def of_unexpected_error(error: Exception, stage: Stage | None = None) -> EnrichmentError:
    """Decides on an exception nobody planned for: a defect of ours, so the event is kept and we are told.

    The detail names the type and the place only, for an exception's own text may quote the payload.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "an unknown place"
    return failure("unexpected_error", f"{type(error).__name__} at {place}", stage)


def _reasons(error: Exception) -> list[str]:
    listed = getattr(error, "errors", None) or ()
    return [str(entry.get("reason", "")) for entry in listed if isinstance(entry, dict)]
