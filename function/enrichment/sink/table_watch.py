"""Guard against a table that was deleted and made anew under the same name. Pure but for its clock.

BigQuery's streaming side learns of such a change late. For some minutes it may acknowledge rows and put them into the
old table, where they are lost without an error, or answer 404
(https://cloud.google.com/bigquery/docs/streaming-data-into-bigquery#metadata_errors_for_streaming_inserts). The time
of creation tells the two tables apart.
"""

import threading
import time
from collections.abc import Callable

CHECK_EVERY_S = 60.0
"""How old the last look at the table may be when a row is written, in seconds."""


class TableWatch:
    """Decides when to look at the table, and for how long rows are held back. Safe from any thread.

    The first look comes a minute after the start, so that no first row waits for it. A table that was made anew before
    that look is not noticed.

    Args:
        hold_s: How long after its creation a recreated table takes no rows, in seconds; 0 turns the guard off.
        clock: Seconds since the epoch, as the table's time of creation is.
    """

    def __init__(self, hold_s: float, clock: Callable[[], float] = time.time) -> None:
        self._hold_s = hold_s
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at_s = clock()
        self._created_at_s: float | None = None
        self._held_until_s = 0.0

    def claim_look(self) -> bool:
        """Return whether the caller has to look at the table before it writes; true for one caller at a time."""
        now_s = self._clock()
        with self._lock:
            if not self._hold_s or now_s - self._looked_at_s < CHECK_EVERY_S:
                return False
            self._looked_at_s = now_s
            return True

    def missed(self) -> None:
        """Note that BigQuery did not find the table: the next row is not written before a look at it."""
        with self._lock:
            self._looked_at_s = -CHECK_EVERY_S

    def saw(self, created_at_s: float) -> None:
        """Note when the table was created.

        Args:
            created_at_s: Its time of creation, in seconds since the epoch.
        """
        with self._lock:
            if self._created_at_s is not None and created_at_s != self._created_at_s:
                self._held_until_s = created_at_s + self._hold_s
            self._created_at_s = created_at_s

    def held_s(self) -> float:
        """Return for how many seconds from now the table takes no rows; 0 where it does."""
        return max(0.0, self._held_until_s - self._clock())
