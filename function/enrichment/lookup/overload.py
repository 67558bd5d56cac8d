"""Answers of the service, or of the mesh before it, that say it has too much to do."""

from typing import Final

from enrichment.errors import Stage, TransientError

OVERLOAD_STATUSES: Final = frozenset({429, 503, 504})
"""Too many requests, no capacity or no instance, and no answer in the gateway's time (RFC 9110, 15.6.4 and 15.6.5;
RFC 6585, 4). Other failures, such as a 500 for one key, say nothing about load."""


class OverloadError(TransientError):
    """A lookup failed because there are too many of them.

    Args:
        reason: A stable code.
        detail: One sentence for people, without payload.
        retry_after_s: When to come back, in seconds from now, where the answer says so.
    """

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(Stage.LOOKUP, reason, detail)
        self.retry_after_s = retry_after_s
