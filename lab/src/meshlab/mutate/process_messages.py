"""Messages between the process that hands out mutants and those that ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.results import Result

__all__ = ["Caught", "Done", "GivenBack", "Idle", "Job", "Message", "Next", "Over", "Ready"]

Caught = tuple[int, str]
"""The number of a mutant, and the name of the case that caught it."""


@dataclass(frozen=True)
class Job:
    """All that a process needs. The mutants hold the manifests of the objects, so they are pickled together."""

    objects: Objects
    case_files: Sequence[CaseFile]
    mutants: Sequence[Mutant]
    find: bool


@dataclass(frozen=True)
class Ready:
    """The mesh of a process runs, and its cases pass."""

    cases: int


class Idle:
    """A process asks for the next mutant. The answer is a `Next`."""


@dataclass(frozen=True)
class Next:
    """The number of the next mutant, `None` for no more, and what other processes caught in the meantime."""

    number: int | None
    caught: Sequence[Caught]


@dataclass(frozen=True)
class Done:
    """What became of a mutant."""

    number: int
    result: Result


@dataclass(frozen=True)
class GivenBack:
    """A process has no room for its proxies, so it has ended; others may ask the mutants that it was given."""

    numbers: Sequence[int]
    why: str


@dataclass(frozen=True)
class Over:
    """A process has asked its last mutant."""

    not_covered: Sequence[str]


Message = Ready | Idle | Done | GivenBack | Over | Exception
