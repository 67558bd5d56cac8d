"""Ends of a delivery, and the policy of which error leads to which end."""

from enrichment.errors.classify import (
    of_google_answer,
    of_google_error,
    of_mesh_error,
    of_miss,
    of_unexpected_error,
)
from enrichment.errors.outcome import (
    BadEventError,
    Disposition,
    EnrichmentError,
    FaultError,
    Outcome,
    Stage,
    TransientError,
    copy_error,
    release_frames,
)
from enrichment.errors.reasons import DEAD_LETTER_REASONS, POLICY, Rule, failure

__all__ = [
    "DEAD_LETTER_REASONS",
    "POLICY",
    "BadEventError",
    "Disposition",
    "EnrichmentError",
    "FaultError",
    "Outcome",
    "Rule",
    "Stage",
    "TransientError",
    "copy_error",
    "failure",
    "of_google_answer",
    "of_google_error",
    "of_mesh_error",
    "of_miss",
    "of_unexpected_error",
    "release_frames",
]
