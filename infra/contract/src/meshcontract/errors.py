"""The error of a contract that cannot be used."""

from __future__ import annotations

__all__ = ["ContractError"]


class ContractError(Exception):
    """A contract cannot be read, or values are missing or wrong; the message lists every problem."""
