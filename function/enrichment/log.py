"""Log lines that Cloud Logging understands: one JSON object per line on stdout.

The field names are those of https://cloud.google.com/logging/docs/structured-logging. The logger is its own,
because functions-framework leaves the root logger at WARNING and reconfigures it at will.
"""

import json
import logging
import sys
from typing import TextIO

from enrichment.outcome import Fate, Outcome
from enrichment.trace import Trace

LOGGER = logging.getLogger("enrichment")

MAX_TEXT = 256
"""Longest text taken over from an event, in characters."""

_LEVELS = {
    Fate.WRITTEN: logging.DEBUG,
    Fate.DEAD_LETTERED: logging.WARNING,
    Fate.RETRY: logging.WARNING,
    Fate.FAULT: logging.CRITICAL,  # every event is held up until somebody acts: the one line to alert on
}


def set_up() -> None:
    """Sends this function's log lines to stdout; calling it again changes nothing."""
    if not LOGGER.handlers:
        handler = _StdoutHandler()
        handler.setFormatter(_JsonFormatter())
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False


def outcome(outcome: Outcome, *, message_id: str, event_id: str, trace: Trace, project: str) -> None:
    """Logs how a delivery ended: nothing for a written row, one line for anything else.

    Args:
        outcome: The end.
        message_id: Pub/Sub's id of the message.
        event_id: The event's id, empty if it could not be read. It is a stranger's text: cut here, escaped by
            JSON.
        trace: The trace of the delivery.
        project: The project of the trace, empty if unknown.
    """
    level = _LEVELS[outcome.fate]
    if not LOGGER.isEnabledFor(level):
        return
    fields = {
        "event_id": event_id[:MAX_TEXT],
        "message_id": message_id[:MAX_TEXT],
        "logging.googleapis.com/trace": f"projects/{project}/traces/{trace.trace_id}"
        if project
        else trace.trace_id,
        "logging.googleapis.com/labels": {
            "outcome": outcome.fate.value,
            "stage": str(outcome.stage or ""),
            "reason": outcome.reason,
        },
    }
    LOGGER.log(level, "%s: %s", outcome.fate.value, outcome.detail, extra={"fields": fields})


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"severity": record.levelname, "message": record.getMessage(), **getattr(record, "fields", {})}
        return json.dumps(line)


class _StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stdout` is by then: functions-framework swaps it to add execution ids."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout
