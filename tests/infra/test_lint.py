"""Lint finds nothing in the project's own meshes, and each mechanical defect of the source documents in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from meshlab.inputs import read_inputs
from meshlab.istio import load_mesh
from meshlab.istio.read.mesh_config import read_mesh_settings
from meshlab.lint.rules import BY_CODE, examples
from meshlab.lint.run import lint
from meshlab.lint.source_texts import text_of
from meshlab.manifest import to_manifest
from meshlab.mutate.changed_objects import MESH_CONFIG, as_object

from tests.infra.defects import bridge, egress, ingress
from tests.infra.defects.model import MESHES, ROOT, Objects

if TYPE_CHECKING:
    from meshlab.inputs import Inputs
    from meshlab.lint.run import Linted

    from tests.infra.defects.model import Body, Defect

OWN = (
    "infra/mesh/overlays/example",
    "infra/mesh/overlays/keyless",
    "infra/mesh/overlays/plain-http",
    "infra/mesh/egress/overlays/example",
    "infra/mesh/lambda-bridge/overlays/gke",
    "infra/mesh/lambda-bridge/overlays/eks",
)

ROWS = {
    "0.4": {"ML305"},
    "0.6": {"ML304"},
    "0.7": {"ML316"},
    "0.8": {"ML306"},
    "0.11": {"ML000"},
    "0.12": {"ML308"},
    "0.13": {"ML310"},
    "0.14": {"ML311"},
    "0.15": {"ML504"},
    "0.16": {"ML505"},
    "0.17": {"ML312", "ML608"},
    "2.2": {"ML312"},
    "2.3": {"ML210"},
    "2.4": {"ML405"},
    "2.9": {"ML607"},
    "2.10": {"ML603"},
    "2.11": {"ML602"},
    "2.12": {"ML604"},
    "2.13": {"ML605", "ML609"},
    "2.14": {"ML601", "ML610"},
    "2.15": {"ML602", "ML608"},
    "3.2": {"ML211"},
    "3.3": {"ML405", "ML406"},
    "3.7": {"ML108"},
    "3.8": {"ML405"},
    "3.9": {"ML403"},
    "3.10": {"ML407"},
}
"""The rows of the list of defects that are mechanical, each with the rules that find it."""

ELSEWHERE = {"2.9"}
"""Rows that no edit of today's manifests brings back; the manifest beside the rule has the mistake."""

DEFECTS = [defect for defect in (*ingress.DEFECTS, *egress.DEFECTS, *bridge.DEFECTS) if defect.row in ROWS]


def linted(inputs: Inputs, settings: Body | None = None) -> Linted:
    """Look for mistakes in objects."""
    read = read_mesh_settings(settings) if settings is not None else None
    return lint(inputs, load_mesh(inputs.manifests, read, inject_unknown_namespaces=True), text_of)


@pytest.fixture(scope="module")
def codes() -> dict[str, set[str]]:
    """Return the rules that find each defect in the mesh that it is brought back into."""
    inputs = {name: read_inputs([str(MESHES[name].manifests)]) for name in {each.mesh for each in DEFECTS}}
    return {
        str(defect): {finding.rule.code for finding in changed(defect, inputs[defect.mesh]).counted}
        for defect in DEFECTS
    }


def changed(defect: Defect, inputs: Inputs) -> Linted:
    """Bring a defect back, and look for mistakes."""
    mesh = MESHES[defect.mesh]
    bodies = [manifest.body for manifest in inputs.manifests]
    if mesh.mesh_config:
        bodies.append(dict(as_object(yaml.safe_load(mesh.mesh_config.read_text())).body))
    objects = Objects(bodies)
    defect.change(objects)
    settings = [body["spec"] for body in objects.bodies if body["kind"] == MESH_CONFIG]
    rest = [to_manifest(body, "a defect") for body in objects.bodies if body["kind"] != MESH_CONFIG]
    return linted(replace(inputs, manifests=tuple(rest)), settings[0] if settings else None)


@pytest.mark.parametrize("overlay", OWN)
def test_nothing_is_found_in_our_own_meshes(overlay: str) -> None:
    found = linted(read_inputs([str(ROOT / overlay)]))
    assert found.objects > 10
    assert [str(finding.problem) for finding in found.counted] == []


def test_every_mechanical_row_is_tried() -> None:
    assert {defect.row for defect in DEFECTS} | ELSEWHERE == set(ROWS)


@pytest.mark.parametrize("defect", DEFECTS, ids=str)
def test_a_mechanical_defect_is_found(defect: Defect, codes: dict[str, set[str]]) -> None:
    assert codes[str(defect)] & ROWS[defect.row]


@pytest.mark.parametrize("row", sorted(ELSEWHERE))
def test_a_row_without_an_edit_is_found_in_the_rules_own_manifest(row: str) -> None:
    (code,) = ROWS[row]
    assert {finding.rule.code for finding in _bad(code).counted} == {code}


def test_every_rule_of_a_row_finds_a_defect(codes: dict[str, set[str]]) -> None:
    for row in set(ROWS) - ELSEWHERE:
        found = {code for defect in DEFECTS if defect.row == row for code in codes[str(defect)]}
        assert found >= ROWS[row], row


def _bad(code: str) -> Linted:
    pair = examples(BY_CODE[code])
    assert pair is not None
    return linted(read_inputs([str(Path(pair[0]))]))
