"""Result of reading manifests without starting anything."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from meshlab.bench.settings_file import read_settings_file
from meshlab.inputs import read_inputs
from meshlab.istio import load_mesh
from meshlab.istio.model.trust import Refusal, Scope
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.protocol import Sources
    from meshlab.inputs import Inputs
    from meshlab.istio import Manifest, Mesh
    from meshlab.manifest import Problem

__all__ = ["Checked", "check"]


@dataclass(frozen=True)
class Checked:
    """Manifests, read.

    Attributes:
        inputs: The objects and the files.
        mesh: What they describe.
    """

    inputs: Inputs
    mesh: Mesh

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """Every object that was found."""
        return self.inputs.manifests

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What is not known, and the traffic that is therefore not judged; a file that cannot be read is all of it."""
        unreadable = tuple(Refusal((problem,), (Scope(),)) for problem in self.inputs.unreadable)
        return (*unreadable, *self.mesh.refusals)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The refusals one by one."""
        return tuple(problem for refusal in self.refusals for problem in refusal.problems)

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What is legal in Istio and hardly intended, what is old, and what was assumed."""
        return self.mesh.notes

    @property
    def not_enforced(self) -> tuple[str, ...]:
        """What only a cluster can do, one sentence each."""
        return self.mesh.not_enforced


def check(sources: Sources) -> Checked:
    """Read manifests as `meshlab test` reads them.

    Raises:
        LabError: A path does not exist or holds no manifest.
        ManifestError: A kustomization cannot be built, or the MeshConfig's file holds what is not known.
    """
    inputs = read_inputs(sources.paths, namespace=sources.namespace, stdin=sys.stdin)
    settings = read_settings_file(sources.mesh_config) if sources.mesh_config else None
    return Checked(inputs, load_mesh(inputs.manifests, settings, inject_unknown_namespaces=True))
