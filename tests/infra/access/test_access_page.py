"""docs/access.md names what is there, and one choice is written once."""

from __future__ import annotations

import re

import yaml
from meshlab.kustomize import build

from tests.infra.access.admission_cases import RULES
from tests.infra.networks.world import ROOT

PAGE = (ROOT / "docs/access.md").read_text()
EXAMPLE = yaml.safe_load((ROOT / "infra/mesh/environments/example.yaml").read_text())


def test_it_names_every_rule_and_every_role() -> None:
    roles = [found.name for found in build(ROOT / "infra/mesh/access/roles")]
    assert [name for name in (*RULES, *roles) if f"| `{name}` |" not in PAGE] == []


def test_its_description_is_the_example() -> None:
    block = re.search(r"```yaml\n(dns:.*?)```", PAGE, re.DOTALL)
    assert block
    assert yaml.safe_load(block[1]) == EXAMPLE


def test_it_lists_what_its_overlay_needs() -> None:
    block = re.search(r"```yaml\n(resources:.*?)```", PAGE, re.DOTALL)
    assert block
    overlay = ROOT / "infra/mesh/overlays/any"
    for resource in yaml.safe_load(block[1])["resources"]:
        assert build((overlay / resource).resolve())
