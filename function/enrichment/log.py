"""Log lines that Cloud Logging understands: one JSON object per line on stdout.

The field names are those of https://cloud.google.com/logging/docs/structured-logging. Nothing goes through `logging`:
functions-framework leaves its root logger at WARNING, and with `LOG_EXECUTION_ID` set it disables every logger that
the function made before, so that the one line to alert on would be lost.
"""

import json
import sys

from enrichment.outcome import Fate, Outcome
from enrichment.trace import Trace

MAX_TEXT = 256
"""Longest text taken over from an event, in characters."""

_SEVERITIES = {
    Fate.DEAD_LETTERED: "WARNING",
    Fate.RETRY: "WARNING",
    Fate.FAULT: "CRITICAL",  # every event is held up until somebody acts: the one line to alert on
}


def outcome(outcome: Outcome, *, message_id: str, event_id: str, trace: Trace, project: str) -> None:
    """Logs how a delivery ended: nothing for a written row, one line for anything else.

    Args:
        outcome: The end.
        message_id: Pub/Sub's id of the message.
        event_id: The event's id, empty if it could not be read. A stranger's text: cut here, escaped by JSON.
        trace: The trace of the delivery.
        project: The project of the trace, empty if unknown.
    """
    if outcome.fate not in _SEVERITIES:
        return
    line = {
        "severity": _SEVERITIES[outcome.fate],
        "message": f"{outcome.fate.value}: {outcome.detail}",
        "event_id": event_id[:MAX_TEXT],
        "message_id": message_id[:MAX_TEXT],
        "logging.googleapis.com/trace": (f"projects/{project}/traces/" if project else "") + trace.trace_id,
        "logging.googleapis.com/labels": {
            "outcome": outcome.fate.value,
            "stage": str(outcome.stage or ""),
            "reason": outcome.reason,
        },
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
