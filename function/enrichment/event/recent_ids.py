"""Ids of recent rows, each with a digest of its content.

Two events of one id and different content are seen here where both come to one process within its memory: rows that
wait to be written included. What two instances take at the same time shows in the table alone.
"""

import hashlib
import threading
from collections import OrderedDict, deque
from concurrent.futures import Future

MAX_IDS = 20_000
"""Most ids that are remembered; the oldest go first. About 5 MB."""


class RecentIds:
    """A bounded memory of ids. Safe from any thread.

    Pub/Sub may deliver an event again while its first delivery is under way, so several deliveries may have one claim.

    Args:
        max_ids: Most ids.
    """

    def __init__(self, max_ids: int = MAX_IDS) -> None:
        self._max_ids = max_ids
        # In order of arrival. A plain dict looks for its first key past all that were deleted before.
        self._digests: OrderedDict[bytes, str] = OrderedDict()
        # How many deliveries have a claim, where no row is known to be written.
        self._pending: dict[bytes, int] = {}
        # What waits for an id that another content has, in the order of arrival: nearly never anything.
        self._waiting: dict[bytes, deque[Waiting]] = {}
        self._lock = threading.Lock()

    def claim(self, row_id: str, digest: str) -> "bytes | Waiting | None":
        """Note the content of an id. A claim ends with `keep` or `release`.

        Args:
            row_id: The id.
            digest: The content's digest.

        Returns:
            What names the claim, where the id is free or belongs to the same content. Else None where a row of another
            content is written; and where that is still open, what ends once the id may be claimed again. A caller
            claims again then, or gives it to `leave`.
        """
        # Ids may be long, and all of one length take a known amount of memory.
        key = hashlib.blake2b(row_id.encode(), digest_size=16).digest()
        with self._lock:
            known = self._digests.get(key)
            if known is not None and known != digest:
                return self._wait(key) if key in self._pending else None
            if known is None:
                self._digests[key] = digest
                self._pending[key] = 0
                if len(self._digests) > self._max_ids:
                    oldest, _ = self._digests.popitem(last=False)
                    self._pending.pop(oldest, None)
                    self._wake(oldest, 1)
            if key in self._pending:
                self._pending[key] += 1
        return key

    def keep(self, key: bytes, digest: str) -> None:
        """Remember a claimed id whose row was written, whatever becomes of other deliveries of its event."""
        with self._lock:
            if self._digests.get(key) == digest:
                self._pending.pop(key, None)
                self._wake(key, len(self._waiting.get(key, ())))

    def release(self, key: bytes, digest: str) -> None:
        """Forget a claimed id if no delivery has written its row or may still do so. Another event may then have it."""
        with self._lock:
            if self._digests.get(key) != digest or key not in self._pending:
                return
            self._pending[key] -= 1
            if not self._pending[key]:
                del self._digests[key], self._pending[key]
                self._wake(key, 1)

    def leave(self, waiting: "Waiting") -> None:
        """Wait no longer for an id. Whatever waits behind it goes on waiting, or has its turn.

        Args:
            waiting: What `claim` gave.
        """
        with self._lock:
            if not waiting.cancel():  # it had its turn already
                self._wake(waiting.key, 1)

    def _wait(self, key: bytes) -> "Waiting":
        waiting = Waiting()
        waiting.key = key
        self._waiting.setdefault(key, deque()).append(waiting)
        return waiting

    def _wake(self, key: bytes, number: int) -> None:
        """Give the first of those that wait their turn: one where the id is free, since only one can have it."""
        queue = self._waiting.get(key)
        while queue and number > 0:
            waiting = queue.popleft()
            if waiting.set_running_or_notify_cancel():  # else it was left
                waiting.set_result(None)  # runs nothing here: each waits in its own loop
                number -= 1
        if queue is not None and not queue:
            del self._waiting[key]


class Waiting(Future[None]):
    """What ends once an id may be claimed again.

    Attributes:
        key: The id.
    """

    key: bytes
