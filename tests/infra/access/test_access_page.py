"""docs/access.md names what is there, and one choice is written once."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import yaml
from meshlab.kustomize import build

from tests.infra.access.admission_cases import RULES
from tests.infra.networks.world import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs/access.md").read_text()
EXAMPLE = yaml.safe_load((ROOT / "infra/mesh/environments/example.yaml").read_text())


def test_it_names_every_rule_and_every_role() -> None:
    roles = [found.name for found in build(ROOT / "infra/mesh/access/roles")]
    assert [name for name in (*RULES, *roles) if f"| `{name}` |" not in PAGE] == []


def test_its_description_is_the_example() -> None:
    block = re.search(r"```yaml\n(dns:.*?)```", PAGE, re.DOTALL)
    assert block
    assert yaml.safe_load(block[1]) == EXAMPLE


def test_the_egress_overlay_takes_in_what_the_page_lists(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(resources:.*?)```", PAGE, re.DOTALL)
    assert block
    listed = yaml.safe_load(block[1])["resources"]
    file = ROOT / "infra/mesh/egress/overlays/example/kustomization.yaml"
    # The overlay itself holds the lines, some of them as comments.
    assert [name for name in listed if f"- {name}\n" not in file.read_text()] == []
    value = yaml.safe_load(file.read_text())
    names = {"resources": sorted({*value["resources"], *listed}), "components": value["components"]}
    for key, found in names.items():
        value[key] = [os.path.relpath(file.parent / name, tmp_path) for name in found]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(value))
    kinds = {manifest.kind for manifest in build(tmp_path)}
    assert kinds >= {
        "ValidatingAdmissionPolicy",
        "ClusterRole",
        "RoleBinding",
        "NetworkPolicy",
        "AuthorizationPolicy",
    }
