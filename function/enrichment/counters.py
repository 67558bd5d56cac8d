"""What is counted, and the one way to count it."""

from typing import Protocol


class Count(Protocol):
    """Adds to a counter."""

    def __call__(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Adds to one counter.

        Args:
            name: The counter: `events`, `lookups`.
            amount: How much to add.
            labels: What is counted apart: `outcome="written"`. From a small, fixed set, never from an event.
        """


def uncounted(name: str, amount: int = 1, /, **labels: str) -> None:
    """Counts nothing."""
