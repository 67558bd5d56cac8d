"""Answers of the service, or of the mesh before it, that say it has too much to do."""

from enrichment.errors import Stage, TransientError

__all__ = ["OverloadError", "is_overload"]


def is_overload(status: int | None) -> bool:
    """Return whether an answer says that there are too many lookups.

    Args:
        status: Its HTTP status; None where there was no answer.
    """
    if status is None or status < 400:
        return False
    from enrichment.errors.remote_errors import (
        OVERLOAD_STATUSES,
    )  # a large module, which good answers do without

    return status in OVERLOAD_STATUSES


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
