"""ML411: a subset whose labels no server has and that no route names. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML411",
    name="unused-subset-selects-nothing",
    severity=Severity.WARNING,
    summary="a subset whose labels no server has, and that no route names",
    why="The first route that names the subset is answered 503.",
    fix="Correct the labels, or remove the subset.",
    source="istio/istio pkg/config/analysis: DestinationRuleSubsetNotSelectPods",
    missed=Missed(WORKLOADS, anywhere=True),
)
