"""Each rule finds its mistake in the manifest beside it, and nothing in the one without the mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.inputs import read_inputs
from meshlab.istio import load_mesh
from meshlab.lint.rules import BY_CODE, RULES, examples
from meshlab.lint.run import lint
from meshlab.lint.source_texts import text_of

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.lint.rule import Rule
    from meshlab.lint.run import Linted


def linted(path: Path) -> Linted:
    inputs = read_inputs([str(path)])
    return lint(inputs, load_mesh(inputs.manifests, inject_unknown_namespaces=True), text_of)


def test_codes_and_names_are_unique() -> None:
    assert len(BY_CODE) == len(RULES) == len({rule.name for rule in RULES})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_what_why_and_how_to_mend_it(rule: Rule) -> None:
    for text in (rule.summary, rule.why, rule.fix, rule.source):
        assert text.strip()
    assert rule.why.endswith(".")
    assert rule.fix.endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_finds_its_mistake_with_its_line_and_nothing_without_it(rule: Rule) -> None:
    pair = examples(rule)
    assert pair is not None, f"{rule.code} has no manifests beside it"
    bad, good = pair
    found = [finding for finding in linted(bad).counted if finding.rule is rule]
    assert found
    assert all(finding.problem.line for finding in found)
    assert [str(finding.problem) for finding in linted(good).counted] == []
