"""The egress mesh on real Envoys: the teams' cases, the story, each layer alone, and what a weaker mesh would open."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from meshgen.cli import main
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.demo.story import read_story, run_story
from meshlab.env_file import read_env_file
from meshlab.kustomize import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.bench.report.run import Run

ROOT = Path(__file__).parents[2]
OVERLAY = "infra/mesh/egress/overlays/example"
TESTS = "infra/policy-tests/egress"
CONFIG = ROOT / "infra/mesh/platform/mesh-config.yaml"
CONTRACT = read_env_file(ROOT / "infra/contract.env")
RICH = Path(__file__).parent / "data/team-with-everything.yaml"

Object = dict[str, Any]
Objects = list[Object]


def wrong(run: Run) -> dict[str, list[str]]:
    return {
        outcome.case.name: [*map(str, outcome.mismatches), *outcome.reasons]
        for outcome in run.outcomes
        if outcome.state != "passed"
    }


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one more team, which uses every word of a description."""
    project = tmp_path_factory.mktemp("rich")
    shutil.copytree(ROOT / "infra", project / "infra", symlinks=True)
    shutil.copy(RICH, project / "infra/mesh/egress/teams/team-z.yaml")
    assert main(["--project", str(project)]) == 0
    return project


@pytest.mark.parametrize("name", ["story", "layers"])
def test_every_step_ends_as_its_cases_say(name: str) -> None:
    assert_steps_hold(ROOT / TESTS / name)


def test_the_story_holds_with_one_more_team(rich: Path) -> None:
    assert_steps_hold(rich / TESTS / "story")


def assert_steps_hold(directory: Path) -> None:
    """Every step of a story is listed, and ends as its cases say."""
    story = read_story(directory / "story.yaml")
    directories = {path.parent for path in directory.glob("*/kustomization.yaml")}
    assert {step.manifests for step in story.steps} == directories
    broken = {done.step.name: wrong(done.run) for done in run_story(story, CONTRACT)}
    assert broken == {step.name: {} for step in story.steps}


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    """One bench for all tests below: proxies of one mesh become those of the next. The stories above have their own."""
    with closing(LocalBench()) as bench:
        yield bench


def test_the_shipped_teams_reach_what_they_may_and_nothing_else(bench: LocalBench) -> None:
    mesh = bench.load(Sources((str(ROOT / OVERLAY),), mesh_config=CONFIG))
    mistakes = [note for note in mesh.notes if "a cluster's network enforces it" not in note]
    assert (list(mesh.refusals), mistakes) == ([], [])
    run = run_cases(mesh, collect([ROOT / TESTS / "teams"], CONTRACT), Choice())
    assert len(run.outcomes) >= 80
    assert wrong(run) == {}


def test_the_cases_of_a_team_that_uses_every_word_hold(bench: LocalBench, rich: Path) -> None:
    mesh = bench.load(Sources((str(rich / OVERLAY),), mesh_config=CONFIG))
    run = run_cases(mesh, collect([rich / TESTS / "teams"], CONTRACT), Choice())
    assert len(run.outcomes) >= 200
    assert wrong(run) == {}


def test_a_policy_for_passed_through_tls_without_a_server_name_opens_the_hosts_of_others(
    bench: LocalBench, rich: Path, tmp_path: Path
) -> None:
    objects = json.loads(json.dumps([found.body for found in build(rich / OVERLAY)]))
    the(objects, "AuthorizationPolicy", "egress-team-x", "istio-egress")["rules"][1].pop("when")
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(yaml.safe_dump_all(objects))
    cases = collect([rich / TESTS / "teams"], CONTRACT)
    run = run_cases(bench.load(Sources((str(mesh),), mesh_config=CONFIG)), cases, Choice("git and gateway"))
    assert "git.example: team-x is refused by the gateway" in wrong(run)


# --- changes of more than one line, which neither the mutants nor the defects of the source documents have ---


def the(objects: Objects, kind: str, name: str, namespace: str) -> Object:
    (found,) = [
        body
        for body in objects
        if (body["kind"], body["metadata"]["name"], body["metadata"].get("namespace"))
        == (kind, name, namespace)
    ]
    spec: Object = found["spec"]
    return spec


def _namespaces_for_principals(objects: Objects) -> None:
    rule = the(objects, "AuthorizationPolicy", "egress-team-x", "istio-egress")["rules"][0]
    rule["from"] = [{"source": {"namespaces": ["team-x"]}}]


def _tls_port_for_sidecars(objects: Objects) -> None:
    """As in the tutorial: one entry with both ports, exported to the team, which its sidecar uses directly."""
    entry = the(objects, "ServiceEntry", "example.com", "team-x")
    entry["ports"].append({"number": 443, "name": "tls", "protocol": "TLS"})
    entry.pop("endpoints")


WEAKER: dict[str, tuple[Callable[[Objects], None], str]] = {
    "the namespace of any trust domain": (
        _namespaces_for_principals,
        "example.com: the team's name in another trust domain",
    ),
    "a TLS port in the team's registry": (
        _tls_port_for_sidecars,
        "example.com: TLS of the application itself",
    ),
}


@pytest.mark.parametrize("name", WEAKER)
def test_a_weaker_mesh_breaks_the_case_that_it_kept(bench: LocalBench, tmp_path: Path, name: str) -> None:
    change, case = WEAKER[name]
    objects = json.loads(json.dumps([found.body for found in build(ROOT / OVERLAY)]))
    change(objects)
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(yaml.safe_dump_all(objects))
    run = run_cases(
        bench.load(Sources((str(mesh),), mesh_config=CONFIG)),
        collect([ROOT / TESTS / "teams"], CONTRACT),
        Choice("example"),
    )
    assert case in wrong(run)
