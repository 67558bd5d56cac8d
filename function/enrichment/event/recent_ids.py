"""Ids of recent rows, each with a digest of its content.

Two events of one id and different content are seen here where both come to one process within its memory: rows that
wait to be written included. What two instances take at the same time shows in the table alone.
"""

import hashlib
import threading

MAX_IDS = 20_000
"""Most ids that are remembered; the oldest go first. About 4 MB."""


class RecentIds:
    """A bounded memory of ids. Safe from any thread.

    Args:
        max_ids: Most ids.
    """

    def __init__(self, max_ids: int = MAX_IDS) -> None:
        self._max_ids = max_ids
        self._digests: dict[bytes, str] = {}  # in order of arrival
        self._lock = threading.Lock()

    def claim(self, row_id: str, digest: str) -> bool:
        """Note the content of an id.

        Args:
            row_id: The id.
            digest: The content's digest.

        Returns:
            Whether the id is free, or belongs to the same content.
        """
        key = _key(row_id)
        with self._lock:
            known = self._digests.get(key)
            if known is not None:
                return known == digest
            self._digests[key] = digest
            if len(self._digests) > self._max_ids:
                del self._digests[next(iter(self._digests))]
        return True

    def release(self, row_id: str, digest: str) -> None:
        """Forget an id whose row was not written, so that another event may have it."""
        key = _key(row_id)
        with self._lock:
            if self._digests.get(key) == digest:
                del self._digests[key]


def _key(row_id: str) -> bytes:
    # Ids may be long, and all of one length take a known amount of memory.
    return hashlib.blake2b(row_id.encode(), digest_size=16).digest()
