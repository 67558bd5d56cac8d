"""Coverage of this project's own cases: complete, but for conditions that another control proves redundant."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_coverage.run import run_with_coverage
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice
from meshlab.env_file import read_env_file

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.case_coverage.coverage import Coverage

INFRA = ROOT / "infra"
ALONE = "no case misses the rule because of this condition alone"

VERIFIED_BEFORE = {
    # RequestAuthentication refuses a token for another audience with 401 before any policy looks at it.
    ("istio-ingress/caller-enrichment", "spec.rules[0].when[1].values"),
    ("user-profile/user-profile-enrichment", "spec.rules[0].when[1].values"),
    ("user-profile/user-profile-reports", "spec.rules[0].when[1].values"),
}
SEPARATED_BY_PORT = {
    # Each port of the egress gateway has one protocol: what the other conditions ask for does not exist on the other.
    ("istio-egress/egress-team-x", "spec.rules[0].to[0].operation.ports"),
    ("istio-egress/egress-team-x", "spec.rules[1].to[0].operation.ports"),
    ("istio-egress/egress-team-y", "spec.rules[0].to[0].operation.ports"),
    # No other name of a server has a filter chain there.
    ("istio-egress/egress-team-x", "spec.rules[1].when[0].values"),
}
REFUSED_BY_TLS = {
    # The server's subjectAltNames end the handshake of every other client.
    ("istio-lambda-ingress/lambda-from-gke", "spec.rules[0].from[0].source.principals"),
}


def coverage_of(overlay: Path, cases: Path, env_file: Path, mesh_config: Path | None = None) -> Coverage:
    with closing(LocalBench(condition_probes=True)) as bench:
        mesh = bench.load(Sources((str(overlay),), mesh_config=mesh_config))
        run = run_with_coverage(mesh, collect([cases], read_env_file(env_file)), Choice())
    assert run.counts["passed"] == len(run.outcomes) > 30
    assert run.coverage is not None
    return run.coverage


def missed(coverage: Coverage) -> set[tuple[str, str]]:
    """What is missed, as the name of the object and the path; each for want of a case that shows it alone."""
    assert {each.reason for each in coverage.missed} <= {ALONE}
    return {(each.item.place.object.partition(" ")[2], each.item.place.path) for each in coverage.missed}


def test_the_cases_of_the_ingress_mesh_exercise_everything_else() -> None:
    coverage = coverage_of(
        INFRA / "mesh/overlays/example", INFRA / "policy-tests/ingress", INFRA / "contract.env"
    )
    assert missed(coverage) == VERIFIED_BEFORE
    assert {kind: count.total > 0 for kind, count in coverage.kinds.items()} == dict.fromkeys(
        ("rule", "condition", "route", "server"), True
    )


def test_the_cases_of_the_egress_mesh_exercise_everything_else() -> None:
    coverage = coverage_of(
        INFRA / "mesh/egress/overlays/example",
        INFRA / "policy-tests/egress/teams",
        INFRA / "contract.env",
        INFRA / "mesh/platform/mesh-config.yaml",
    )
    assert missed(coverage) == SEPARATED_BY_PORT


@pytest.mark.parametrize(("side", "redundant"), [("gke", set()), ("eks", REFUSED_BY_TLS)])
def test_the_cases_of_the_bridge_exercise_everything_else(side: str, redundant: set[tuple[str, str]]) -> None:
    bridge = INFRA / "mesh/lambda-bridge"
    coverage = coverage_of(
        bridge / f"overlays/{side}",
        INFRA / f"policy-tests/lambda-bridge/{side}",
        bridge / "contract/bridge.env",
    )
    assert missed(coverage) == redundant
