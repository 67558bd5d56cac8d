"""How long an event may take, and how its stages share that."""

import meshpass
import msgspec

_RESERVE = 0.1
_MIN_RESERVE_S = 1.0
_LOOKUP_SHARE = 0.5


class TimeBudget(msgspec.Struct, frozen=True):
    """The time that one delivery may take.

    Args:
        total_s: From its arrival to the answer, in seconds.
    """

    total_s: float

    @classmethod
    def within(cls, ack_deadline_s: float, timeout_s: float) -> "TimeBudget":
        """Derive the budget from the side that stops waiting first, less a tenth, or at least a second, to answer in.

        An answer that comes later is none: for a push subscription the acknowledgement deadline is also how long
        Pub/Sub waits for it, and Cloud Run ends a request at the function's timeout. Both then deliver again while
        the first try still runs.

        Args:
            ack_deadline_s: The subscription's acknowledgement deadline, in seconds.
            timeout_s: The function's timeout, in seconds.
        """
        whole_s = min(ack_deadline_s, timeout_s)
        return cls(max(whole_s - max(whole_s * _RESERVE, _MIN_RESERVE_S), whole_s / 2))

    def start(self) -> "EventTime":
        """Start the clock for one delivery."""
        end = meshpass.Deadline.after(self.total_s)
        return EventTime(lookup=meshpass.Deadline(end.at - self.total_s * (1 - _LOOKUP_SHARE)), end=end)


class EventTime(msgspec.Struct, frozen=True):
    """The moments that one delivery is held to.

    Args:
        lookup: When its profile must be there: half of the time stays for writing, or for a dead letter.
        end: When it must be answered.
    """

    lookup: meshpass.Deadline
    end: meshpass.Deadline
