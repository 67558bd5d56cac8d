"""How many messages may be in the process, and how many may be under way. Pure: time is an argument."""

from collections.abc import Callable

_STREAK = 32
_FIRST_PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0


class Admission:
    """Bound of the messages that are in the process, by number and by bytes.

    Pub/Sub keeps to the same bounds for each stream, but a stream that is opened again starts to count anew.

    Args:
        max_messages: The most messages.
        max_bytes: The most bytes. A message that is larger alone is taken when it is the only one.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self.messages = 0
        self.bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        """Return whether a message of a size may come in."""
        if self.messages == 0:
            return True
        return self.messages < self._max_messages and self.bytes + size_bytes <= self._max_bytes

    def take(self, size_bytes: int) -> None:
        """Count a message in."""
        self.messages += 1
        self.bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Count a message out."""
        self.messages -= 1
        self.bytes -= size_bytes


class Window:
    """Bound of the messages under way, which shrinks where none gets through.

    A push subscription slows down by itself when its endpoint fails
    (https://cloud.google.com/pubsub/docs/push#delivery_rate). A pull does not: where every event fails in a
    millisecond, a worker would fetch and nack the whole backlog again and again, and use up the delivery attempts of
    all of it. So 32 failures in a row, with no success between them, leave a quarter of the window. With a window of
    one, each failure is followed by a pause, which doubles up to 30 s. The first success ends the pauses, and each
    success doubles the window. Where only a part of the events fails, the others are not slowed down.

    A success is a row that was written. An event that was dropped or dead-lettered may have needed neither lookup nor
    write, so it is no sign that these work. As many of them in a row as failures shrink the window are one success.

    Args:
        limit: The largest window.
        jitter: Gives a random number from 0 to 1, so that workers do not try at the same moment.
    """

    def __init__(self, limit: int, jitter: Callable[[], float]) -> None:
        self._limit = limit
        self._jitter = jitter
        self._size = limit
        self._streak = 0
        self._rowless = 0
        self._pause_s = 0.0
        self._resume_at_s = 0.0

    @property
    def size(self) -> int:
        """How many messages may be under way."""
        return self._size

    def room(self, under_way: int, now_s: float) -> int:
        """Return how many messages may begin now."""
        return 0 if now_s < self._resume_at_s else self._size - under_way

    def resume_at_s(self, now_s: float) -> float | None:
        """Return when the pause is over; None where there is none."""
        return self._resume_at_s if now_s < self._resume_at_s else None

    def succeeded(self) -> None:
        """Note a message whose rows were written."""
        self._streak = self._rowless = 0
        self._pause_s = self._resume_at_s = 0.0
        if self._size < self._limit:
            self._size = min(self._limit, self._size * 2)

    def ended_without_row(self) -> None:
        """Note a message that was dropped or dead-lettered."""
        self._rowless += 1
        if self._rowless >= _STREAK:
            self.succeeded()

    def failed(self, now_s: float) -> None:
        """Note a message that is to be delivered again."""
        self._rowless = 0
        if now_s < self._resume_at_s:  # it began before the pause, whose length it says nothing about
            return
        self._streak += 1
        if self._streak < min(self._size, _STREAK):
            return
        self._streak = 0
        if self._size > 1:
            self._size = max(1, self._size // 4)
            return
        self._pause_s = min(_MAX_PAUSE_S, self._pause_s * 2 or _FIRST_PAUSE_S)
        self._resume_at_s = now_s + self._pause_s * (0.5 + self._jitter() / 2)


def nack_delay_s(attempt: int, *, server_waits: bool) -> float:
    """Return how long a message that failed is kept before its nack, in seconds.

    A subscription without a retry policy delivers at once what was nacked
    (https://cloud.google.com/pubsub/docs/handling-failures#subscription_retry_policy).

    Args:
        attempt: How often it has failed.
        server_waits: Whether the subscription has a retry policy: then Pub/Sub waits.
    """
    if server_waits:
        return 0.0
    return min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 10))
