"""How many processes ask mutants, each with a mesh of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from meshlab.istio import load_mesh
from meshlab.processes.inotify import free_inotify_instances

if TYPE_CHECKING:
    from meshlab.mutate.changed_objects import Objects

__all__ = ["process_count", "processes_here"]

_MOST = 4
_MUTANTS = 20
_CASES_FOR_A_MUTANT = 20
"""A further mesh takes as long to start as some mutants take to be asked, and it must pass all cases first."""
_MESHES = 3
"""Beside the mesh of the cases run those to which batteries are sent, some of them with servers of their own."""


def processes_here(objects: Objects, mutants: int, cases: int) -> int:
    """Return in how many processes mutants are asked on this machine.

    Args:
        objects: The mesh without a change.
        mutants: How many mutants there are.
        cases: How many cases there are.
    """
    mesh = load_mesh(objects.manifests, objects.settings(), inject_unknown_namespaces=True)
    proxies = _MESHES * max(1, sum(workload.injected for workload in mesh.workloads))
    room = free_inotify_instances(_MOST * proxies) // proxies
    return process_count(mutants, cases, os.cpu_count() or 1, room)


def process_count(mutants: int, cases: int, processors: int, room: int = _MOST) -> int:
    """Return in how many processes mutants are asked.

    Args:
        mutants: How many mutants there are.
        cases: How many cases there are.
        processors: How many processors the machine has.
        room: For how many processes the system lets proxies run.
    """
    worth_one = _MUTANTS + cases // _CASES_FOR_A_MUTANT
    return max(1, min(processors, _MOST, room, mutants // worth_one))
