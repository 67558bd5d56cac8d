"""Every case of every policy test file, sent once to proxies that record each condition.

The explanation of each case has the real verdict, and Envoy's results fit together. The coverage of the project's own
meshes is complete, but for conditions that another control proves redundant.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_coverage.recorder import CoverageRecorder
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import by_setup
from meshlab.env_file import read_env_file
from meshlab.explain.explained_outcome import explain
from meshlab.lab.lambda_bridge.run import BridgeRun, bridge_values
from meshlab.lab.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.case_coverage.coverage import Coverage
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.explain.explanation import Explanation, PolicyExplanation

ROOT = Path(__file__).parents[3]
INFRA = ROOT / "infra"
TESTS = INFRA / "policy-tests"
CONFIG = INFRA / "mesh/platform/mesh-config.yaml"
CONTRACT = INFRA / "contract.env"
BRIDGE = INFRA / "mesh/lambda-bridge"
MESHES = Path(__file__).parents[1] / "bench/meshes"

Input = tuple[str, Path, Path, "Path | None", "Path | None"]


def inputs() -> Iterator[Input]:
    """Yield each mesh with its cases: a name, manifests, cases, a MeshConfig and values."""
    yield "ingress", INFRA / "mesh/overlays/example", TESTS / "ingress", None, CONTRACT
    yield "keyless", INFRA / "mesh/overlays/keyless", TESTS / "overlays/keyless", None, CONTRACT
    yield "egress", INFRA / "mesh/egress/overlays/example", TESTS / "egress/teams", CONFIG, CONTRACT
    for side in ("eks", "gke"):
        values = BRIDGE / "contract/bridge.env"
        yield (
            f"lambda-bridge {side}",
            BRIDGE / "overlays" / side,
            TESTS / "lambda-bridge" / side,
            None,
            values,
        )
    for kind in ("story", "layers"):
        for file in sorted((TESTS / "egress" / kind).glob("*/cases.yaml")):
            # The first steps are meshes with Istio's own settings.
            config = None if file.parent.name in ("1-sidecars", "without-the-mesh-wide-setting") else CONFIG
            yield f"{kind} {file.parent.name}", file.parent, file, config, CONTRACT
    # Meshes with what the project's own do not have: CUSTOM, AUDIT, dry runs, addresses, rules that istiod drops.
    for folder in (MESHES / name for name in ("addresses", "offers", "security")):
        settings = folder / "mesh-config.yaml"
        config = settings if settings.exists() else None
        yield f"mesh {folder.name}", folder / "mesh.yaml", folder / "cases.yaml", config, None


INPUTS = {each[0]: each for each in inputs()}


def family(name: str) -> str:
    """Return what a mesh is one of. Meshes of one family share workloads, so their proxies can follow each other."""
    return "egress" if name.partition(" ")[0] in ("egress", "story", "layers") else name


class Benches:
    """One bench for the meshes of a family, whose proxies become those of the next mesh. The next family ends them."""

    def __init__(self) -> None:
        self._bench: LocalBench | None = None
        self._family = ""

    def of(self, name: str) -> LocalBench:
        if self._bench is None or self._family != family(name):
            self.close()
            self._bench, self._family = LocalBench(condition_probes=True), family(name)
        return self._bench

    def close(self) -> None:
        if self._bench is not None:
            self._bench.close()
            self._bench = None


@pytest.fixture(scope="module")
def benches() -> Iterator[Benches]:
    with closing(Benches()) as benches:
        yield benches


@dataclass
class Judged:
    """What the cases of one mesh showed.

    Attributes:
        wrong: Where explanations contradict the verdict or themselves, by the name of the case.
        cases: How many cases there were.
        coverage: What they exercise; `None` for meshes that are joined.
    """

    wrong: dict[str, list[str]] = field(default_factory=dict)
    cases: int = 0
    coverage: Coverage | None = None

    def take(self, outcome: Outcome, found: Explanation) -> None:
        self.cases += 1
        if problems := list(contradictions(outcome, found)):
            self.wrong[outcome.case.name] = problems


Judge = Callable[[str], Judged]


@pytest.fixture(scope="module")
def judged(benches: Benches) -> Judge:
    """Send the cases of a mesh and judge them, once for all tests that ask for it."""

    @cache
    def judge(name: str) -> Judged:
        return judge_both_meshes() if name == BOTH else judge_on(benches.of(name), name)

    return judge


def judge_on(bench: LocalBench, name: str) -> Judged:
    _, manifests, cases, config, values = INPUTS[name]
    loaded = bench.load(Sources((str(manifests),), mesh_config=config))
    files = collect([cases], read_env_file(values) if values else {})
    judged, recorder = Judged(), CoverageRecorder()
    for setup, names in by_setup(files):
        chosen = [case for file in files for case in file.cases if case.place.file in names]
        with bench.running(loaded, setup, chosen, 0) as engine:
            recorder.started(engine)
            for outcome in engine.run(chosen):
                recorder.happened(outcome)
                judged.take(outcome, explain(outcome, engine.mesh, engine.under_test))
    judged.coverage = recorder.coverage(loaded.mesh)
    return judged


def judge_both_meshes() -> Judged:
    """Judge the cases of `lambda-bridge/both`, whose requests go from one mesh to the other."""
    project = Project(ROOT, INFRA / "mesh/overlays/example")
    files = collect([TESTS / "lambda-bridge/both"], bridge_values(project))
    judged = Judged()
    with BridgeRun(project, files, condition_probes=True) as run:
        for outcome in run.send():
            judged.take(outcome, explain(outcome, run.meshes, run.under_test))
    return judged


BOTH = "lambda-bridge both"


@pytest.mark.parametrize("name", [*INPUTS, BOTH])
def test_the_explanation_of_every_case_has_the_real_verdict(judged: Judge, name: str) -> None:
    found = judged(name)
    assert found.wrong == {}
    assert found.cases > 0


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
REDUNDANT: dict[str, set[tuple[str, str]]] = {
    "ingress": VERIFIED_BEFORE,
    "egress": SEPARATED_BY_PORT,
    "lambda-bridge gke": set(),
    "lambda-bridge eks": REFUSED_BY_TLS,
}
"""Conditions that no case exercises, by the mesh; each as the name of the object and the path."""


@pytest.mark.parametrize("name", REDUNDANT)
def test_the_cases_of_a_mesh_exercise_everything_but_what_another_control_makes_redundant(
    judged: Judge, name: str
) -> None:
    found = judged(name)
    assert found.cases > 30
    assert found.coverage is not None
    assert {each.reason for each in found.coverage.missed} <= {ALONE}
    assert {
        (each.item.place.object.partition(" ")[2], each.item.place.path) for each in found.coverage.missed
    } == REDUNDANT[name]


def test_the_coverage_of_the_ingress_counts_every_kind(judged: Judge) -> None:
    coverage = judged("ingress").coverage
    assert coverage is not None
    assert {kind: count.total > 0 for kind, count in coverage.kinds.items()} == dict.fromkeys(
        ("rule", "condition", "route", "server"), True
    )


def test_no_policy_test_file_is_left_out() -> None:
    judged = [cases for _, _, cases, _, _ in INPUTS.values()] + [TESTS / "lambda-bridge/both"]

    assert [
        file.relative_to(TESTS).as_posix()
        for file in sorted(TESTS.rglob("*.yaml"))
        if "cases:" in (text := file.read_text()) or "matrix:" in text
        if not any(file.is_relative_to(each) for each in judged)
    ] == []


def contradictions(outcome: Outcome, found: Explanation) -> Iterator[str]:
    """Yield where an explanation differs from the verdict, or contradicts itself."""
    if outcome.state != "passed":
        yield f"{outcome.state}: {outcome.mismatches} {outcome.reasons}"
        return
    verdict, decision = outcome.verdict, found.decision
    assert verdict is not None
    assert decision is not None
    expect = outcome.case.expect
    assert expect is not None
    if decision.allowed != (verdict.reply.answered and verdict.app is not None):
        yield f"allowed {decision.allowed}"
    if expect.policy is not None and decision.policy != expect.policy:
        yield f"policy {decision.policy} in place of {expect.policy}"
    if expect.rule is not None and decision.rule != expect.rule:
        yield f"rule {decision.rule} in place of {expect.rule}"
    if verdict.proxy and decision.proxy != str(verdict.proxy):
        yield f"proxy {decision.proxy} in place of {verdict.proxy}"
    refusing = [each for each in found.hops if any(step.state == "refused" for step in each.steps)]
    if decision.allowed and refusing:
        yield f"allowed, and a step of {refusing[0].workload} refuses"
    if verdict.decisive and not any(each.workload == decision.proxy for each in refusing):
        yield f"refused by {decision.proxy}, and none of its steps does"
    for hop in found.hops:
        policies = hop.step("policies")
        if policies is None:
            continue
        if policies.state == "passed":
            yield from passed(policies.policies)
        elif policies.state == "refused":
            yield from refused(policies.policies, decision.policy, decision.rule)
        else:
            reached = [each.name for each in policies.policies if each.matched is not None]
            if reached and "CUSTOM" not in {each.action for each in policies.policies}:
                yield f"policies that were not reached have results: {reached}"


def enforced(policies: tuple[PolicyExplanation, ...], action: str) -> list[PolicyExplanation]:
    return [each for each in policies if each.action == action and not each.dry_run]


def passed(policies: tuple[PolicyExplanation, ...]) -> Iterator[str]:
    denying = [each.name for each in enforced(policies, "DENY") if each.matched is not False]
    if denying:
        yield f"passed, and {denying} denies it or has no result"
    allowing = enforced(policies, "ALLOW")
    if allowing and not any(each.matched for each in allowing):
        yield "passed, and no ALLOW policy matches"


def refused(policies: tuple[PolicyExplanation, ...], name: str, index: int | None) -> Iterator[str]:
    if name == "none":
        matching = [each.name for each in enforced(policies, "ALLOW") if each.matched is not False]
        if matching or not enforced(policies, "ALLOW"):
            yield f"no ALLOW policy matched, and {matching} does or has no result"
        for each in enforced(policies, "ALLOW"):
            yield from (
                f"{each.name} rule {rule.index} does not match, and every condition holds"
                for rule in each.rules
                if rule.matched is False and not rule.failing and not rule.note
            )
        return
    rules = [rule for each in policies if each.name == name for rule in each.rules]
    rule = next((each for each in rules if each.index == index), None)
    if rule is None or not rule.matched or rule.failing:
        yield f"refused by {name} rule {index}, which does not match"
