"""Mutation runs over this project's own meshes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from meshlab.bench.case_file.collect import collect
from meshlab.bench.protocol import Sources
from meshlab.env_file import read_env_file
from meshlab.mutate import run
from meshlab.mutate.changed_objects import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class OwnRun(run.MutationRun):
    """A mutation run whose objects are also there as plain mappings, for proofs."""

    @property
    def bodies(self) -> list[Mapping[str, Any]]:
        """The objects without a change."""
        config = [self.objects.config] if self.objects.config else []
        return [manifest.body for manifest in (*self.objects.manifests, *config)]


@contextmanager
def mutation_run(
    manifests: Path, cases: Sequence[Path], env_file: Path, mesh_config: Path | None = None
) -> Iterator[OwnRun]:
    """Run a mesh for mutants, and end it."""
    objects = read_objects(Sources((str(manifests),), mesh_config=mesh_config))
    started = OwnRun(objects, collect(list(cases), read_env_file(env_file)))
    try:
        yield started
    finally:
        started.close()
