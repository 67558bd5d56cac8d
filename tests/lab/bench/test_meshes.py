"""Whole meshes with the verdicts that real Istio gives: each folder of `meshes` is a mesh and its cases.

The verdicts were compared with those of proxies that Istio's control plane configured. Those of `empty-values` and
`ports-and-policies` were not: they follow from Istio's source and documentation.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab.bench.case_file import read_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases

MESHES = Path(__file__).parent / "meshes"


@pytest.mark.parametrize("name", sorted(folder.name for folder in MESHES.iterdir()))
def test_a_mesh_answers_as_istio_does(name: str) -> None:
    folder = MESHES / name
    settings = folder / "mesh-config.yaml"
    sources = Sources((str(folder / "mesh.yaml"),), "default", settings if settings.exists() else None)
    bench = LocalBench()
    try:
        run = run_cases(bench.load(sources), [read_case_file(folder / "cases.yaml")], Choice())
    finally:
        bench.close()
    wrong = {
        outcome.case.name: [*map(str, outcome.mismatches), *outcome.reasons]
        for outcome in run.outcomes
        if outcome.state != "passed"
    }
    assert wrong == {}
