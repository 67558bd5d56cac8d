"""Log lines about the receiving of messages, beside those of the events."""

import time
from collections.abc import Callable

from enrichment.errors import release_frames
from enrichment.telemetry.log import Log, Severity
from enrichment.telemetry.states import MIN_INTERVAL_S, Rule, States

RULES = {
    "fault": Rule(1, 0.0, "No message is received until this is corrected."),
    "retry": Rule(3, 120.0, "No message has been received for {for_s} s, in {count} tries."),
}
"""By the name of the state: when a line is `CRITICAL`, at most once a minute."""

CONFIGURATION = frozenset(
    {
        "FAILED_PRECONDITION",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "UNIMPLEMENTED",
    }
)
"""Codes of gRPC that say that something must be corrected. All others pass by themselves."""

_TO_DO = {
    "FAILED_PRECONDITION": "PULL_SUBSCRIPTION must name a subscription without a push configuration",
    "NOT_FOUND": "create the subscription, or correct PULL_SUBSCRIPTION",
    "PERMISSION_DENIED": "grant roles/pubsub.subscriber on the subscription to the account of the worker",
    "UNAUTHENTICATED": "give the worker an identity of Google",
}


class Report:
    """Writes the lines.

    Args:
        log: Where they are written.
        subscription: `projects/P/subscriptions/S`.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, log: Log, subscription: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._subscription = subscription
        self._clock = clock
        self._states = States(RULES)
        self._acks_refused = 0
        self._acks_reported_at_s: float | None = None
        self._was_failing = False

    def started(self, facts: str) -> None:
        """Log the start."""
        self._log.note(Severity.INFO, f"work receives from {self._subscription}: {facts}")

    def warned(self, warning: str) -> None:
        """Log what is not as it should be, and lets the worker run."""
        self._log.note(Severity.WARNING, f"{self._subscription}: {warning}", reason="subscription_settings")

    def opened(self) -> None:
        """Note that a stream is open."""
        self._states.ended("open", self._clock())
        if self._was_failing:
            self._was_failing = False
            self._log.note(Severity.NOTICE, f"work receives from {self._subscription} again")

    def failed(self, code: str, detail: str, tries: int) -> None:
        """Log that a stream could not be opened, or broke.

        Streams break every half hour in ordinary operation. So a first try that fails for a transient error, or for a
        token that is refused, is no line.

        Args:
            code: The name of the gRPC status.
            detail: What the server or the channel says.
            tries: How many tries have failed in a row.
        """
        if (
            code == "UNAUTHENTICATED" and tries == 1
        ):  # a token may end before its time; the next try has a new one
            return
        is_fault = code in CONFIGURATION
        alert = self._states.ended("fault" if is_fault else "retry", self._clock())
        if alert is None and (is_fault or tries != 3):
            return
        self._was_failing = True
        kind = "fault" if is_fault else "retry"
        to_do = f" To do: {_TO_DO[code]}." if code in _TO_DO else ""
        self._log.note(
            Severity.CRITICAL if alert and alert.is_critical else Severity.WARNING,
            f"{kind}: no messages from {self._subscription}: {code}: {detail.rstrip('.')}.{to_do}",
            reason=f"pull_{code.lower()}",
            **(alert.fields if alert else {}),
        )

    def acks_refused(self, number: int, why: str) -> None:
        """Log acks that were refused for good, at most once a minute: their messages come again."""
        self._acks_refused += number
        now_s = self._clock()
        if self._acks_reported_at_s is not None and now_s - self._acks_reported_at_s < MIN_INTERVAL_S:
            return
        refused, self._acks_refused, self._acks_reported_at_s = self._acks_refused, 0, now_s
        self._log.note(
            Severity.WARNING,
            f"{refused} acks were refused: {why}. These messages are delivered again; their rows are written already, "
            "and a second one has the same identity",
            reason="ack_refused",
        )

    def defect(self, error: Exception) -> None:
        """Log an error that the core should have decided on."""
        self._log.note(
            Severity.ERROR,
            f"the event could not be handled, and comes again: {type(error).__name__}",
            reason="unexpected_error",
        )
        release_frames(error)

    def defect_of_stream(self, error: BaseException) -> None:
        """Log an error that ended a stream for good, and so the process."""
        self._log.note(
            Severity.CRITICAL,
            f"fault: the stream ended by a defect, so the process ends: {type(error).__name__}",
            reason="unexpected_error",
        )

    def refused(self, problem: str) -> None:
        """Log why the worker does not run with this subscription."""
        self._log.note(Severity.CRITICAL, f"fault: {problem}", reason="subscription_refused")

    def draining(self, in_process: int) -> None:
        """Log the begin of the drain."""
        self._log.note(Severity.INFO, f"draining: {in_process} messages in the process, no more are taken")

    def drained(self, late: int, seconds: float) -> None:
        """Log the end of the drain."""
        self._log.note(
            Severity.WARNING if late else Severity.INFO,
            f"drained in {seconds:.1f} s: {late} messages did not end in time and are delivered again",
        )
