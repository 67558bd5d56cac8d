"""A mesh of a hundred workloads starts only what its cases touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case_file.collect import collect
from meshlab.bench.mesh_run import MeshRun
from meshlab.bench.protocol import Setup
from meshlab.istio import WorkloadRef, load_mesh
from meshlab.manifest import parse_manifests

from bench.policy.mesh import cases_of, mesh_of

if TYPE_CHECKING:
    from pathlib import Path


def test_only_the_proxies_that_the_cases_touch_start(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(cases_of(range(3), 12))
    cases = [case for case_file in collect([file], {}) for case in case_file.cases]
    mesh = load_mesh(parse_manifests(mesh_of(100), "mesh.yaml")).require_complete()
    run = MeshRun(Setup(), ())
    try:
        run.follow(mesh, cases)
        states = {outcome.state for outcome in run.run(cases, 4)}
        running = run.running
    finally:
        run.close()

    assert sum(workload.injected for workload in mesh.workloads) == 102
    doors = {WorkloadRef("edge", f"door{number}") for number in range(2)}
    assert running == doors | {WorkloadRef("shop", f"app{number}") for number in range(3)}
    assert states == {"passed"}
