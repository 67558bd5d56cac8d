"""The meshes of the defects as they run: proxies take one change after the other, and named cases are sent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.session import Choice, run_cases
from meshlab.env_file import read_env_file
from meshlab.inputs import read_inputs
from meshlab.istio.read.mesh_config import read_mesh_settings
from meshlab.manifest import to_manifest
from meshlab.mutate.changed_objects import MESH_CONFIG, as_object

from tests.infra.defects.model import MESHES, Objects

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.manifest import Manifest

__all__ = ["RunningMesh"]


class RunningMesh:
    """One of `MESHES`, whose objects may be changed.

    Args:
        name: Its name.
    """

    def __init__(self, name: str) -> None:
        mesh = MESHES[name]
        self._bench = LocalBench()
        self._inputs = read_inputs((str(mesh.manifests),))
        self._written = {_key(found.body): found for found in self._inputs.manifests}
        config = mesh.mesh_config
        self._config = dict(as_object(yaml.safe_load(config.read_text())).body) if config else None
        self._files = collect(list(mesh.cases), read_env_file(mesh.values))

    def close(self) -> None:
        """End everything."""
        self._bench.close()

    def objects(self) -> Objects:
        """Return the objects without a change."""
        bodies = [found.body for found in self._inputs.manifests]
        return Objects([*bodies, *([self._config] if self._config else [])])

    def send(self, objects: Objects, cases: Collection[str]) -> dict[str, list[Outcome]]:
        """Send the cases of these names through the mesh with these objects; some names stand in several files."""
        if not cases:
            return {}
        manifests, settings = [], None
        for body in objects.bodies:
            if body["kind"] == MESH_CONFIG:
                settings = read_mesh_settings(body["spec"])
            else:
                manifests.append(self._manifest(body))
        inputs = replace(self._inputs, manifests=tuple(manifests))
        mesh = LocalMesh(self._bench, inputs, settings)
        chosen = [
            replace(file, cases=tuple(case for case in file.cases if case.name in cases))
            for file in self._files
        ]
        files = [file for file in chosen if file.cases]
        assert {case.name for file in files for case in file.cases} == set(cases)
        found: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in run_cases(mesh, files, Choice()).outcomes:
            found[outcome.case.name].append(outcome)
        return found

    def _manifest(self, body: Mapping[str, Any]) -> Manifest:
        written = self._written.get(_key(body))
        if written and written.api_version == body["apiVersion"]:
            return replace(written, body=body)
        return to_manifest(body, "a defect")


def _key(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]
