"""How a delivery can end, and which error leads to which end."""

from enrichment.errors.classify import of_google_error, of_mesh_error, of_miss, of_unexpected_error
from enrichment.errors.outcome import (
    BadEventError,
    Disposition,
    EnrichmentError,
    FaultError,
    Outcome,
    Stage,
    TransientError,
)

__all__ = [
    "BadEventError",
    "Disposition",
    "EnrichmentError",
    "FaultError",
    "Outcome",
    "Stage",
    "TransientError",
    "of_google_error",
    "of_mesh_error",
    "of_miss",
    "of_unexpected_error",
]
