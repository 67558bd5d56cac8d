"""The overlay without keys: Google's ID tokens of two accounts get in, nothing else does, and each condition counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.kustomize import build
from meshlab.lab.policy_tests import run_policy_tests
from meshlab.lab.project import Project

from tests.infra.mutation.own import OwnRun, mutation_run
from tests.infra.mutation.tally import ALL, tally
from tests.infra.test_every_condition_counts import EQUIVALENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KEYLESS = Project.find(root=ROOT, overlay="keyless")
GOOGLE = "https://accounts.google.com"


def test_every_expectation_is_met() -> None:
    run = run_policy_tests(KEYLESS)
    assert [(one.case.name, one.state, one.mismatches) for one in run.outcomes if one.state != "passed"] == []
    assert {"user-profile, lookup: no token, at user-profile", "expired, at the gateway"} <= {
        one.case.name for one in run.outcomes
    }


def test_both_proxies_trust_google_alone_and_hold_its_keys_inline() -> None:
    rules = {
        one.namespace: one.body["spec"]["jwtRules"]
        for one in build(KEYLESS.overlay)
        if one.kind == "RequestAuthentication"
    }
    assert set(rules) == {"istio-ingress", "orders", "user-profile"}
    keys = (KEYLESS.overlay / "keys/google.json").read_text()
    for (rule,) in rules.values():
        assert (rule["issuer"], rule["jwks"]) == (GOOGLE, keys)
        assert "jwksUri" not in rule


@pytest.fixture(scope="module")
def run() -> Iterator[OwnRun]:
    cases = [KEYLESS.policy_tests]
    with mutation_run(KEYLESS.overlay, cases, ROOT / "infra/contract.env") as started:
        yield started


def test_no_mutant_of_what_the_overlay_changes_survives(run: OwnRun) -> None:
    """Hosts, methods, paths and the other objects are those of the example overlay, which has mutants of its own."""
    shared = {str(one): one.body for one in build(ROOT / "infra/mesh/overlays/example")}
    changed = {
        (one.kind, one.namespace, one.name)
        for one in build(KEYLESS.overlay)
        if shared.get(str(one)) != one.body and one.namespace != "orders"
    }
    assert {name for _, _, name in changed} == {
        *("internal-gateway-tokens", "user-profile-tokens"),
        *("caller-enrichment", "caller-lookup", "user-profile-enrichment", "user-profile-lookup"),
    }
    mutants = [
        one
        for one in run.mutants()
        if (one.kind, one.namespace, one.name) in changed and (ALL or ".to." not in one.path)
    ]
    found = tally(run, mutants, EQUIVALENTS)
    print(found, *run.failed_once, sep="\n")
    assert (found.survivors, found.disproved) == ([], [])
