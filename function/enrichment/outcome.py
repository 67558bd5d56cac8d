"""How an event can end, and which failure leads to which end.

Four ends, and every delivery reaches exactly one:

===============  ======================================================  ==========  =======
fate             when                                                    reply       Pub/Sub
===============  ======================================================  ==========  =======
written          the row is durable                                      200         ack
dead-lettered    the event itself is bad, and its dead letter is safe    200         ack
retry            the trouble will pass                                   503         nack
fault            our configuration or a broken contract: mend it first   500         nack
===============  ======================================================  ==========  =======

A stage that cannot go on raises one of the three errors below. Whatever it raises, the event is never lost:
only `BadEventError` leads to an acknowledgement without a row, and only after its dead letter is confirmed.
"""

import enum
import traceback
from dataclasses import dataclass
from typing import ClassVar

import meshpass

from enrichment.config import OnMiss


class Fate(enum.Enum):
    """The end of one delivery; the value names it in logs."""

    WRITTEN = "written"
    DEAD_LETTERED = "dead-lettered"
    RETRY = "retry"
    FAULT = "fault"

    @property
    def status(self) -> int:
        """The HTTP status that tells Pub/Sub: any 2xx acknowledges, anything else asks for redelivery."""
        return {Fate.RETRY: 503, Fate.FAULT: 500}.get(self, 200)


class Stage(enum.StrEnum):
    """Where on its way an event was stopped."""

    DECODE = "decode"
    LOOKUP = "lookup"
    ROW = "row"
    WRITE = "write"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivery.

    Args:
        fate: The end it reached.
        stage: Where it was stopped, None if it was written.
        reason: A stable code, such as `profile_not_found`; empty if it was written.
        detail: One sentence for people. Never holds the payload, a token or a key.
    """

    fate: Fate
    stage: Stage | None = None
    reason: str = ""
    detail: str = ""


class EnrichmentError(Exception):
    """An event cannot go on.

    Args:
        stage: Where it was stopped, None if that is unknown.
        reason: A stable code.
        detail: One sentence for people, without payload.
    """

    fate: ClassVar[Fate]

    def __init__(self, stage: Stage | None, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.stage = stage
        self.reason = reason
        self.detail = detail

    def outcome(self) -> Outcome:
        """This failure as the end of a delivery."""
        return Outcome(self.fate, self.stage, self.reason, self.detail)


class BadEventError(EnrichmentError):
    """The event itself is bad: no redelivery will mend it, so it goes to the dead-letter topic."""

    fate = Fate.DEAD_LETTERED


class TransientError(EnrichmentError):
    """The trouble will pass: deliver again."""

    fate = Fate.RETRY


class FaultError(EnrichmentError):
    """Our configuration, or the service's contract, is broken: keep the event, and tell somebody loudly."""

    fate = Fate.FAULT


def of_mesh_error(error: meshpass.MeshError) -> EnrichmentError:
    """Decides on a failed call through the mesh.

    A refused token, a policy that says no or a missing route is our configuration, whatever the event:
    dead-lettering would throw good events away until somebody notices. Only a value that no path can carry is
    the event's own doing.
    """
    if isinstance(error, meshpass.InvalidPathValue):
        return BadEventError(Stage.LOOKUP, "key_invalid", "the key cannot stand as one segment of a path")
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
        return BadEventError(Stage.LOOKUP, "profile_not_found", unknown)
    return TransientError(Stage.LOOKUP, "profile_not_found", unknown)


def of_google_error(
    error: Exception, stage: Stage, service: str, resource: str
) -> TransientError | FaultError:
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
    what = f"{type(error).__name__} ({status or 'no status'}) from {service} for {resource}"
    if status == 404:
        return FaultError(
            stage, f"{service}_not_found", f"{what}: create it, or correct its name in the environment"
        )
    if status in (401, 403) and not _says_quota(error):
        return FaultError(
            stage, f"{service}_forbidden", f"{what}: grant the function's service account access"
        )
    if status == 400:
        return FaultError(stage, f"{service}_refused", f"{what}: the request as a whole was refused")
    if isinstance(error, DefaultCredentialsError):
        return FaultError(stage, f"{service}_no_credentials", f"{what}: give the function a service account")
    if isinstance(error, RefreshError) and not isinstance(error.__cause__, TransportError):
        return FaultError(stage, f"{service}_no_credentials", f"{what}: its credentials cannot be refreshed")
    return TransientError(stage, f"{service}_unavailable", what)


def of_unexpected_error(error: Exception, stage: Stage | None = None) -> FaultError:
    """Decides on an exception nobody planned for: a defect of ours, so the event is kept and we are told.

    The detail names the type and the place only, for an exception's own text may quote the payload.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "an unknown place"
    return FaultError(stage, "unexpected_error", f"{type(error).__name__} at {place}")


def _says_quota(error: Exception) -> bool:
    errors = getattr(error, "errors", None) or ()
    return any(
        isinstance(e, dict) and e.get("reason") in ("quotaExceeded", "rateLimitExceeded") for e in errors
    )
