"""ML402: a subset whose labels no server has. Found while the mesh is read."""

from __future__ import annotations

from meshlab.lint.missed import WORKLOADS, Missed
from meshlab.lint.rule import Rule, Severity

RULE = Rule(
    code="ML402",
    name="subset-selects-nothing",
    severity=Severity.ERROR,
    summary="a subset whose labels no server has",
    why="Requests to the subset are answered 503.",
    fix="Correct the labels.",
    source="istio/istio pkg/config/analysis: DestinationRuleSubsetNotSelectPods",
    missed=Missed(WORKLOADS, anywhere=True),
)
