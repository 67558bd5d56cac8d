"""Conditions of `pipeline.toml` on an event."""

from enrichment.errors import failure
from enrichment.expressions import EvaluationError, Expression, Scope
from enrichment.settings.model import EventShape


def holds(condition: Expression, scope: Scope, setting: str) -> bool:
    """Return whether a condition is true.

    Args:
        condition: The condition.
        scope: What it finds of the event.
        setting: Where it stands, to name it in the error.

    Raises:
        BadEventError: `event_invalid`, it cannot be evaluated for this event.
    """
    try:
        return condition.is_true(scope)
    except EvaluationError as error:
        raise failure("event_invalid", f"{setting} cannot be read: {condition.text} {error}") from None


def is_dropped(shape: EventShape, scope: Scope) -> bool:
    """Return whether an event is to be acknowledged and not written.

    Raises:
        BadEventError: As `holds`.
    """
    return bool(shape.drop) and any(holds(condition, scope, "[event] drop") for condition in shape.drop)
