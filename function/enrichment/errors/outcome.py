"""Outcomes of an event, and the errors that lead to them.

There are five dispositions, and every event has exactly one:

===============  ======================================================  ==========  =======
disposition      when                                                    reply       Pub/Sub
===============  ======================================================  ==========  =======
written          the row is durable                                      200         ack
dead-lettered    the event itself is bad, and its dead letter is safe    200         ack
dropped          pipeline.toml says that it is not written               200         ack
retry            a transient error: the same delivery may succeed later  503         nack
fault            our configuration, or a contract, is broken             500         nack
===============  ======================================================  ==========  =======

A stage that cannot go on raises one of the three errors below. Whatever it raises, the event is never lost:
only `BadEventError` leads to an acknowledgement without a row, and only after its dead letter is confirmed.
"""

import enum
from typing import ClassVar, TypeVar

import msgspec

_E = TypeVar("_E", bound=BaseException)


class Disposition(enum.Enum):
    """The end of one delivery; the value names it in logs."""

    WRITTEN = "written"
    DEAD_LETTERED = "dead-lettered"
    RETRY = "retry"
    FAULT = "fault"
    DROPPED = "dropped"

    @property
    def status(self) -> int:
        """The HTTP status of the reply to Pub/Sub: any 2xx acknowledges, anything else asks for redelivery."""
        return {Disposition.RETRY: 503, Disposition.FAULT: 500}.get(self, 200)


class Stage(enum.StrEnum):
    """Where on its way an event was stopped."""

    DECODE = "decode"
    LOOKUP = "lookup"
    ROW = "row"
    WRITE = "write"
    DEAD_LETTER = "dead_letter"


class Outcome(msgspec.Struct, frozen=True):
    """How one delivery ended.

    Args:
        disposition: The end it reached.
        stage: Where it was stopped, None if it was written.
        reason: A stable code, such as `profile_not_found`; empty if it was written.
        detail: One sentence for people. Never holds the payload, a token or a key.
    """

    disposition: Disposition
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

    disposition: ClassVar[Disposition]

    def __init__(self, stage: Stage | None, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.stage = stage
        self.reason = reason
        self.detail = detail

    def outcome(self) -> Outcome:
        """Return this failure as the end of a delivery."""
        return Outcome(self.disposition, self.stage, self.reason, self.detail)


class BadEventError(EnrichmentError):
    """The event itself is bad: no redelivery helps, so it goes to the dead-letter topic."""

    disposition = Disposition.DEAD_LETTERED


class TransientError(EnrichmentError):
    """A transient error: deliver the event again."""

    disposition = Disposition.RETRY


class FaultError(EnrichmentError):
    """Our configuration, or the service's contract, is broken: keep the event, and alert."""

    disposition = Disposition.FAULT


def copy_error(error: _E) -> _E:
    """Return an exception of the same class with the same contents, and a traceback of its own."""
    # Not `copy.copy`, which would call `__init__` with `args`: other arguments than many exceptions take.
    twin = type(error).__new__(type(error), *error.args)
    twin.__dict__.update(error.__dict__)
    return twin


def release_frames(error: _E) -> _E:
    """Drop the tracebacks of an error and of all errors that led to it.

    For an error that was decided on, and goes on as a value. A traceback holds the frames of its calls, which hold the
    event and often the error itself. What is in such a cycle stays in memory until the garbage collector runs, and
    that may take thousands of events.

    Args:
        error: The error.

    Returns:
        The same error.
    """
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        found = left.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            found.__traceback__ = None
            left += (found.__cause__, found.__context__)
    return error
