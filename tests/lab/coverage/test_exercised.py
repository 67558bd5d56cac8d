"""Which rules and conditions a request exercises, from what Envoy says of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.case_coverage.policy_parts import exercised_by
from meshlab.bench.verdicts.policy_results import Alternative, ConditionResult, PolicyResult, RuleResult
from meshlab.istio.read.authorization_policy import read_authorization_policy
from meshlab.istio.read.fields import Where
from meshlab.manifest import parse_manifests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.read.authorization_policy import Action

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME, namespace: shop}
spec: {action: ACTION, rules: [{}]}
"""


def policy(
    action: Action,
    name: str,
    *rules: tuple[bool | None, list[str], list[str]],
    dry_run: bool = False,
    reached: bool = True,
) -> PolicyResult:
    """What Envoy said of a policy.

    A rule is whether it matched, and the alternatives of operations and sources: `+a -b` is one in which the
    condition `a` holds and `b` does not.
    """
    (manifest,) = parse_manifests(POLICY.replace("ACTION", action).replace("NAME", name), "mesh.yaml")
    read = replace(read_authorization_policy(manifest), dry_run=dry_run)
    where = Where(manifest)
    return PolicyResult(
        replace(read, rules=read.rules * len(rules)),
        where,
        tuple(
            RuleResult(
                where.key("spec", "rules").item(index),
                index,
                matched,
                operations=alternatives(where, operations),
                sources=alternatives(where, sources),
            )
            for index, (matched, operations, sources) in enumerate(rules)
        ),
        reached,
    )


def alternatives(where: Where, written: Sequence[str]) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(where, tuple(condition(where.key(word[1:]), word[0]) for word in text.split()))
        for text in written
    )


def condition(where: Where, mark: str) -> ConditionResult:
    return ConditionResult(where, "methods", False, (), {"+": True, "-": False, "?": None}[mark])


def names(*policies: PolicyResult) -> tuple[list[str], list[str]]:
    """The rules that are exercised, as policy and index, and the conditions by their names."""
    found = exercised_by(policies)
    rules = [f"{where.manifest.name}{where.keys[-1]}" for where in found.rules]
    return rules, [str(where.keys[-1]) for where in found.conditions]


@pytest.mark.parametrize(
    ("operations", "sources", "expected"),
    [
        (["-a"], [""], ["a"]),
        (["-a +b"], [""], ["a"]),
        (["-a -b"], [""], []),
        (["-a"], ["-b"], []),
        (["+a"], ["+b -c"], ["c"]),
        # Of two alternatives, a stranger shows both.
        ([""], ["-a", "-b"], ["a", "b"]),
        ([""], ["-a", "-b -c"], ["a"]),
        # The condition of `when` stands in every alternative.
        ([""], ["-w +a", "-w -b"], ["w"]),
        ([""], ["-w -a", "-w -b"], []),
        # What Envoy said nothing about proves nothing.
        (["-a ?b"], [""], []),
    ],
)
def test_a_condition_counts_where_it_alone_kept_the_rule_from_matching(
    operations: list[str], sources: list[str], expected: list[str]
) -> None:
    assert names(policy("ALLOW", "p", (False, operations, sources)))[1] == expected


MISSED: Any = (False, ["-a"], [""])
MATCHED: Any = (True, ["+b"], [""])
ELSEWHERE: Any = (False, ["-x -y"], [""])


@pytest.mark.parametrize(
    ("policies", "rules", "conditions"),
    [
        ([policy("ALLOW", "p", MATCHED)], ["p0"], []),
        ([policy("ALLOW", "p", MISSED)], [], ["a"]),
        # Another rule lets the request in as well, so one more would not be noticed.
        ([policy("ALLOW", "p", MISSED, MATCHED)], ["p1"], []),
        ([policy("ALLOW", "p", MISSED), policy("ALLOW", "q", MATCHED)], ["q0"], []),
        # A DENY rule refuses it whatever ALLOW rules say.
        ([policy("DENY", "d", MATCHED), policy("ALLOW", "p", MISSED)], ["d0"], []),
        ([policy("DENY", "d", MATCHED), policy("ALLOW", "p", MATCHED)], ["d0"], []),
        # A DENY rule more is noticed where the request is let in.
        ([policy("DENY", "d", MISSED)], [], ["a"]),
        ([policy("DENY", "d", MISSED), policy("ALLOW", "p", MATCHED)], ["p0"], ["a"]),
        ([policy("DENY", "d", MISSED), policy("ALLOW", "p", ELSEWHERE)], [], []),
        ([policy("DENY", "d", MISSED, MATCHED)], ["d1"], []),
        # What only records has a say of its own.
        ([policy("AUDIT", "l", MISSED), policy("DENY", "d", MATCHED)], ["d0"], ["a"]),
        ([policy("DENY", "t", MATCHED, dry_run=True), policy("ALLOW", "p", MATCHED)], ["t0", "p0"], []),
        ([policy("DENY", "t", MISSED, dry_run=True), policy("ALLOW", "p", ELSEWHERE)], [], ["a"]),
        # A rule that the request did not reach.
        ([policy("ALLOW", "p", (None, ["?a"], [""]))], [], []),
    ],
)
def test_what_had_a_say_counts_and_what_would_have_had_one(
    policies: list[PolicyResult], rules: list[str], conditions: list[str]
) -> None:
    assert names(*policies) == (rules, conditions)


def test_a_policy_without_rules_has_a_say_where_nothing_else_lets_the_request_in() -> None:
    nothing = policy("ALLOW", "n")
    assert names(nothing)[0] == ["nspec"]
    assert names(nothing, policy("ALLOW", "p", ELSEWHERE))[0] == ["nspec"]
    assert names(nothing, policy("ALLOW", "p", MATCHED))[0] == ["p0"]
    assert names(nothing, policy("DENY", "d", MATCHED))[0] == ["d0"]


def test_a_request_that_is_refused_before_the_policies_exercises_none() -> None:
    not_reached: Any = (None, ["?a"], [""])
    assert names(policy("ALLOW", "n", reached=False), policy("ALLOW", "p", not_reached, reached=False)) == (
        [],
        [],
    )
