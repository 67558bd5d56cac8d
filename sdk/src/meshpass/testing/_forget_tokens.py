"""Reset of the process-wide cache of tokens, between one test and the next."""

from meshpass._tokens import cache


def forget_tokens() -> None:
    """Forget every token, failure and back-off of this process, so that the next call fetches a new token.

    Sources share tokens across the process, also those that a program made when it was imported. The fixtures
    `meshpass_gateway` and `meshpass_metadata` call this before and after each test.
    """
    with cache._lock:  # noqa: SLF001
        entries = list(cache._entries.values())  # noqa: SLF001
        for entry in entries:
            entry.cached = entry.failure = None
            entry.failures = 0
            entry.retry_at = 0.0
            entry.forced_at = float("-inf")
        cache._kept.clear()  # noqa: SLF001
