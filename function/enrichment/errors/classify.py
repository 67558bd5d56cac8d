"""Decisions about the errors of the mesh, of Google's clients and of our own code."""

import re
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

import meshpass

from enrichment.errors.outcome import Disposition, EnrichmentError, FaultError, Stage, TransientError
from enrichment.errors.reasons import POLICY, failure
from enrichment.settings.lookup_rules import OnMiss

if TYPE_CHECKING:
    from enrichment.errors.remote_errors import GoogleError

_WORD = re.compile(r"[A-Za-z_]{1,64}")
_QUOTA = re.compile(r"[Ee]xceed[a-z]* (?:for quota metric )?'([A-Za-z][A-Za-z0-9 ./_-]{0,80})'", re.ASCII)
"""How Google's sentence names a quota: `Exceeds 'AppendRows throughput' quota`, `exceeded for quota metric '...'`."""
_NAMES = {"bigquery": "BigQuery", "pubsub": "Pub/Sub"}


def of_mesh_error(error: meshpass.MeshError) -> EnrichmentError:
    """Decide on a failed call through the mesh.

    A refused token, a policy that says no or a missing route is our configuration, whatever the event:
    dead-lettering would throw good events away until the cause is found. Only a value that no path can carry is
    the event's own fault.
    """
    if isinstance(error, meshpass.InvalidPathValue):
        return failure("key_invalid", "the key cannot stand as one segment of a path")
    from enrichment.errors.remote_errors import (  # large tables, which good events do without
        OTHER_SDK_CODE,
        SDK_CODES,
    )

    known = SDK_CODES.get(error.code, OTHER_SDK_CODE)
    retry = error.retryable if known.varies else known.disposition is Disposition.RETRY
    return (TransientError if retry else FaultError)(Stage.LOOKUP, error.code, _sentence(error))


def of_miss(on_miss: OnMiss) -> EnrichmentError | None:
    """Decide on an event whose key the service does not know; None to write its row without a profile."""
    if on_miss is OnMiss.WRITE:
        return None
    unknown = "the service does not know the key"
    if on_miss is OnMiss.DEAD_LETTER:
        return failure("profile_not_found", unknown)
    return TransientError(Stage.LOOKUP, "profile_not_found", unknown)


def of_google_error(error: Exception, stage: Stage, service: str, resource: str) -> EnrichmentError:
    """Decide on an exception from one of Google's clients. It is never the event's fault.

    Args:
        error: What the client raised.
        stage: Where the event was.
        service: `bigquery` or `pubsub`.
        resource: The table or topic, for the detail.
    """
    # Loaded already by the client that raised, and never at start.
    from google.api_core.exceptions import GoogleAPIError, RetryError
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError

    # What was tried again until the time was over has failed for what stopped the last attempt.
    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        error = error.cause
    if not isinstance(error, GoogleAPIError | GoogleAuthError | OSError):  # requests' errors are OSErrors
        return of_unexpected_error(error, stage)
    status = getattr(error, "code", None)  # the HTTP status, for gRPC's errors as well
    if status is not None:
        return of_google_answer(int(status), _reasons(error), str(error), stage, service, resource)
    from enrichment.errors.remote_errors import reason_of

    refused = isinstance(error, RefreshError) and not isinstance(error.__cause__, TransportError)
    ending = "no_credentials" if refused or isinstance(error, DefaultCredentialsError) else "unavailable"
    said = f"{_NAMES[service]} was not reached for {resource} ({type(error).__name__})"
    return _google_failure(reason_of(service, ending), said, stage)


def of_google_answer(
    status: int, reasons: Iterable[str], message: str, stage: Stage, service: str, resource: str
) -> EnrichmentError:
    """Decide on an error that a Google API answered with.

    403 means a missing role, a used-up quota, disabled billing or a perimeter: the `reason` says which. The
    message may quote values, so it is searched and never repeated.

    Args:
        status: The HTTP status.
        reasons: Every `reason` that Google gives.
        message: Google's sentence.
        stage: Where the event was.
        service: `bigquery` or `pubsub`.
        resource: The table or topic, for the detail.
    """
    from enrichment.errors.remote_errors import GOOGLE_ERRORS, reason_of

    given = [reason for reason in reasons if _WORD.fullmatch(reason)]
    known = next(entry for entry in GOOGLE_ERRORS if _fits(entry, status, given, message))
    named = next((reason for reason in given if reason in known.reasons), given[0] if given else "")
    quota = _QUOTA.search(message) if known.ending == "quota" else None
    said = f"{_NAMES[service]} answered {status} {named}".rstrip() + f" for {resource}"
    said += f" (the quota {quota[1]!r})" if quota else ""
    return _google_failure(reason_of(service, known.ending), said, stage)


def of_unexpected_error(error: Exception, stage: Stage | None = None) -> EnrichmentError:
    """Decide on an exception that is not planned for: a defect of ours, so the event is kept and the log says so.

    The detail names the type and the place only, for an exception's own text may quote the payload.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "an unknown place"
    return failure("unexpected_error", f"{type(error).__name__} at {place}", stage)


_OWN_SENTENCE = (
    meshpass.ConfigurationError,
    meshpass.SigningKeyError,
    meshpass.IdentityError,
    meshpass.GatewayTLSError,
    meshpass.GatewayUnreachable,
    meshpass.MeshTimeout,
    meshpass.BadResponse,
    meshpass.ClientClosed,
)
"""Errors whose sentence speaks of settings, files, secrets, hosts, times and certificates: it cannot quote an event's
key."""


def _sentence(error: meshpass.MeshError) -> str:
    """Say what failed, on which host and why, without the event's values: other errors may quote the path."""
    if isinstance(error, _OWN_SENTENCE) or error.code == "connection_lost":
        return " ".join(str(error).split())
    if not isinstance(error, meshpass.RequestRefused):
        said = " ".join(f"{part.rstrip('.')}." for part in (error.detail, error.hint) if part)
        return (
            f"{type(error).__name__}: {error.service}: {said}"
            if error.service
            else f"{type(error).__name__}: {said}"
        )
    who = f"the {error.answered_by or 'mesh'} answered {error.status or 'no status'} for {error.service}"
    words = f" ({error.detail})" if error.detail else ""
    # `exp` says nothing about the configuration.
    claims = ", ".join(
        f"{name}={error.claims[name]}" for name in ("iss", "aud", "kid") if name in error.claims
    )
    sent = f" The token had {claims}." if claims else ""
    return f"{type(error).__name__}: {who}{words}. {error.hint}{sent}"


def _google_failure(reason: str, said: str, stage: Stage) -> EnrichmentError:
    rule = POLICY[reason]
    return failure(reason, f"{said}: {rule.meaning}. To do: {rule.action}.", stage)


def _fits(entry: "GoogleError", status: int, reasons: list[str], message: str) -> bool:
    return (
        (not entry.statuses or status in entry.statuses)
        and (not entry.reasons or any(reason in entry.reasons for reason in reasons))
        and entry.says in message
    )


def _reasons(error: Exception) -> list[str]:
    """Return what REST's `errors` and gRPC's ErrorInfo give as the reason."""
    listed = getattr(error, "errors", None) or ()
    found = [str(entry.get("reason", "")) for entry in listed if isinstance(entry, dict)]
    return [reason for reason in (*found, str(getattr(error, "reason", None) or "")) if reason]
