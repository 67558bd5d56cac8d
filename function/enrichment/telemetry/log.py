"""Log lines that Cloud Logging understands: one JSON object per line on stdout.

The field names are those of https://cloud.google.com/logging/docs/structured-logging. Nothing goes through `logging`:
functions-framework leaves its root logger at WARNING, and with `LOG_EXECUTION_ID` set it disables every logger that
the function made before, so that the one line to alert on would be lost. Nor through `sys.stdout`, which it then
swaps for one that parses and writes every line anew: a line goes to the file descriptor as it is, at once and whole.
"""

import contextlib
import enum
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from enrichment.errors import Disposition, Outcome
from enrichment.lookup.profile import LookupResult
from enrichment.telemetry import loaded
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.delivery import Delivery
from enrichment.telemetry.states import States
from enrichment.telemetry.trace import Trace

MAX_TEXT = 256
"""Longest text taken over from an event or a request, in characters."""

MAX_DETAIL = 1024
"""Longest sentence of ours, in characters."""

COUNTERS_EVERY_S = 60.0
"""Least time between two lines of counters, in seconds."""

_STDOUT = 1

# What JSON takes as it is, and what shows a line may obey: the controls U+0080 to U+009F, of which terminals take one
# for the begin of a command; the separators of lines, which readers may take for the end of one; and the marks that
# change the direction of what follows (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters).
_OBEYED = {
    code: f"\\u{code:04x}"
    for code in (*range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


class Severity(enum.IntEnum):
    """How grave a line is (https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity)."""

    DEBUG = 100
    INFO = 200
    NOTICE = 300
    WARNING = 400
    ERROR = 500
    CRITICAL = 600


class Ending(msgspec.Struct, frozen=True):
    """How a delivery or a request ended, as its line says it.

    Args:
        name: The label to filter by: `written`, `fault`.
        severity: How grave it is. `states` raises it now and then.
        stage: Where it was stopped, empty if it was not.
        reason: A stable code, empty if there is nothing to say.
        detail: One sentence for people.
        state: What `states` follows it as; its name if empty.
    """

    name: str
    severity: Severity
    stage: str = ""
    reason: str = ""
    detail: str = ""
    state: str = ""


_SEVERITIES = {
    Disposition.WRITTEN: Severity.INFO,
    Disposition.DEAD_LETTERED: Severity.WARNING,
    Disposition.RETRY: Severity.WARNING,
    Disposition.FAULT: Severity.ERROR,
    Disposition.DROPPED: Severity.DEBUG,
}


def to_stdout(line: bytes) -> None:
    """Write one line whole, whatever other threads write meanwhile.

    Args:
        line: The line with its end.

    Raises:
        OSError: the reader is gone, or there is no space.
    """
    with _one_at_a_time:
        written = os.write(_STDOUT, line)
        while written < len(line):  # a pipe that is full takes a part
            written += os.write(_STDOUT, line[written:])


_one_at_a_time = threading.Lock()


class Log:
    """One line for every delivery and every request, and once a minute one of counters.

    Where no event gets through, lines would repeat themselves as fast as events come. At most once a minute for each
    such state one of them is `CRITICAL`: that is the one to alert on, and it says how many it stands for.

    Args:
        project: The project of the traces, empty if unknown.
        severity: The least of what is written.
        counters: What the line of counters reports; None for no such line.
        clock: A monotonic clock, in seconds.
        write: Writes one line. What it raises as an OSError is swallowed: an event does not fail for want of its line.
        success_sample: One in so many lines of severity `INFO` is written. Counters stay exact.
    """

    def __init__(
        self,
        project: str,
        severity: Severity = Severity.INFO,
        counters: Counters | None = None,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[bytes], None] = to_stdout,
        success_sample: int = 1,
    ) -> None:
        self._traces = f"projects/{project}/traces/" if project else ""
        self._severity = severity
        self._counters = counters
        self._clock = clock
        self._write = write
        self._states = States()
        self._success_sample = success_sample
        self._successes = 0
        self._counted_at = clock()
        self._counted: dict[str, int] = {}

    def delivery(self, outcome: Outcome, delivery: Delivery) -> None:
        """Write how a delivery ended.

        Args:
            outcome: The end.
            delivery: What is known of it.
        """
        now = self._clock()
        ending = Ending(
            outcome.disposition.value,
            _SEVERITIES[outcome.disposition],
            str(outcome.stage or ""),
            outcome.reason,
            outcome.detail,
        )
        self._end(ending, delivery.trace, _fields(delivery), delivery.started_at, now)

    def request(
        self, ending: Ending, trace: Trace, started_at: float, status: int, answer: LookupResult | None
    ) -> None:
        """Write how a request to the HTTP entry point ended. The line has no key: a key may name a person.

        Args:
            ending: The end.
            trace: The trace it belongs to.
            started_at: When it arrived, on the monotonic clock, in seconds.
            status: The HTTP status it was answered with.
            answer: What the lookup found, if it came to that.
        """
        fields: dict[str, Any] = {"status": status}
        if answer is not None:
            fields["cache"] = answer.event.value
        self._end(ending, trace, fields, started_at, self._clock())

    def started(self, message: str) -> None:
        """Write one line about the start of the process.

        Args:
            message: What it does.
        """
        if self._severity <= Severity.INFO:
            self._line({"severity": Severity.INFO.name, "message": message})

    def note(self, severity: Severity, message: str, **fields: str | int) -> None:
        """Write one line about the process and no single delivery.

        Args:
            severity: How grave it is.
            message: One sentence.
            fields: Further fields; `reason` is a label to filter by.
        """
        if severity < self._severity:
            return
        labels = {"reason": str(fields.pop("reason"))} if "reason" in fields else {}
        line: dict[str, Any] = {"severity": severity.name, "message": message[:MAX_DETAIL], **fields}
        self._line(line | ({"logging.googleapis.com/labels": labels} if labels else {}))

    def _end(
        self, ending: Ending, trace: Trace, fields: dict[str, Any], started_at: float, now: float
    ) -> None:
        severity = ending.severity
        if alert := self._states.ended(ending.state or ending.name, now):
            severity = Severity.CRITICAL if alert.is_critical else Severity.WARNING
            fields.update(alert.fields)
        if severity >= self._severity and self._is_sampled(severity, fields):
            labels = {"outcome": ending.name}
            if ending.stage:
                labels["stage"] = ending.stage
            if ending.reason:
                labels["reason"] = ending.reason
            if execution_id := _execution_id():
                labels["execution_id"] = execution_id
            self._line(
                {
                    "severity": severity.name,
                    "message": f"{ending.name}: {ending.detail[:MAX_DETAIL]}"
                    if ending.detail
                    else ending.name,
                    **fields,
                    "total_ms": _ms(now - started_at),
                    "logging.googleapis.com/trace": self._traces + trace.trace_id,
                    "logging.googleapis.com/spanId": trace.span_id,
                    "logging.googleapis.com/trace_sampled": trace.sampled,
                    "logging.googleapis.com/labels": labels,
                }
            )
        if now - self._counted_at >= COUNTERS_EVERY_S:
            self._count(now)

    def _is_sampled(self, severity: Severity, fields: dict[str, Any]) -> bool:
        if severity is not Severity.INFO or self._success_sample == 1:
            return True
        fields["sample"] = self._success_sample  # so that a reader can multiply
        self._successes += 1
        return self._successes % self._success_sample == 1

    def _count(self, now: float) -> None:
        if self._counters is None or self._severity > Severity.INFO:
            return
        totals = self._counters.snapshot()
        self._line(
            {
                "severity": Severity.INFO.name,
                "message": "counters",
                "counters": totals,
                # What a log-based metric can add up over instances, which totals cannot be.
                "added": {
                    name: added
                    for name, total in totals.items()
                    if (added := total - self._counted.get(name, 0))
                },
                "added_in_s": round(now - self._counted_at, 1),
            }
        )
        self._counted_at, self._counted = now, totals

    def _line(self, line: dict[str, Any]) -> None:
        try:
            text = msgspec.json.encode(line)
        except UnicodeEncodeError:
            # A lone surrogate: JSON can escape it, and msgspec would not.
            text = json.dumps(line).encode()
        if not text.isascii():
            text = text.decode().translate(_OBEYED).encode()
        with contextlib.suppress(OSError):
            self._write(text + b"\n")


def _fields(delivery: Delivery) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if delivery.event is not None:
        fields["event_id"] = delivery.event.event_id[:MAX_TEXT]
    message = delivery.message
    if message is not None:
        fields["message_id"] = message.message_id[:MAX_TEXT]
        if message.delivery_id not in ("", message.message_id):
            fields["delivery_id"] = message.delivery_id[:MAX_TEXT]
        if message.attempt:
            fields["attempt"] = message.attempt
        if message.redriven:
            fields["redriven"] = message.redriven
    if delivery.cache is not None:
        fields["cache"] = delivery.cache
    if delivery.lookup_s is not None:
        fields["lookup_ms"] = _ms(delivery.lookup_s)
    if delivery.write_s is not None:
        fields["write_ms"] = _ms(delivery.write_s)
    return fields


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _execution_id() -> str:
    """Return the framework's name for this execution, which it keeps whether or not it logs it; empty without one."""
    framework = loaded.module("functions_framework.execution_id")
    context = getattr(framework, "execution_context_var", None)
    execution = None if context is None else context.get()
    # A request's header may set it.
    return (getattr(execution, "execution_id", None) or "")[:MAX_TEXT]
