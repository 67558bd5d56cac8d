"""How many processes ask mutants, each with a mesh of its own."""

from __future__ import annotations

__all__ = ["process_count"]

_PER_PROCESSOR = 2
"""A process waits half of its time: for proxies that take a configuration, and for what they log."""
_MOST = 4
"""Each process runs every proxy of the mesh, and the system has a limit for what proxies watch."""
_MUTANTS = 20
_CASES_FOR_A_MUTANT = 40
"""A further mesh takes as long to start as some mutants take to be asked, and it must pass all cases first."""


def process_count(mutants: int, cases: int, processors: int) -> int:
    """Return in how many processes mutants are asked.

    Args:
        mutants: How many mutants there are.
        cases: How many cases there are.
        processors: How many processors the machine has.
    """
    worth_one = _MUTANTS + cases // _CASES_FOR_A_MUTANT
    return max(1, min(_PER_PROCESSOR * processors, _MOST, mutants // worth_one))
