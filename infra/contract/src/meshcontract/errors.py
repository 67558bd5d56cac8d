"""Problems of a contract, and the error that lists them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ContractError", "Problem"]


class ContractError(Exception):
    """A contract cannot be read, or values are missing or wrong; the message lists every problem."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one value or line.

    Attributes:
        key: The key; empty for a line that has none.
        what: What is wrong and what to do, to follow the key or the line's number.
        line: The line of the file; 0 for a key that is not there.
    """

    key: str
    what: str
    line: int = 0

    @property
    def text(self) -> str:
        """The problem as a sentence, without the line."""
        return f"{self.key} {self.what}" if self.key else self.what

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text
