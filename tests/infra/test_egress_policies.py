"""The egress mesh on real Envoys: the teams' cases, the story, each layer alone, and what a weaker line would open."""

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
def bench() -> Iterator[LocalBench]:
    """One bench for all tests of this module: proxies of one mesh become those of the next."""
    with closing(LocalBench()) as bench:
        yield bench


def test_the_shipped_teams_reach_what_they_may_and_nothing_else(bench: LocalBench) -> None:
    mesh = bench.load(Sources((str(ROOT / OVERLAY),), mesh_config=CONFIG))
    mistakes = [note for note in mesh.notes if "a cluster's network enforces it" not in note]
    assert (list(mesh.refusals), mistakes) == ([], [])
    run = run_cases(mesh, collect([ROOT / TESTS / "teams"], CONTRACT), Choice())
    assert len(run.outcomes) >= 80
    assert wrong(run) == {}


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one more team, which uses every word of a description."""
    project = tmp_path_factory.mktemp("rich")
    shutil.copytree(ROOT / "infra", project / "infra", symlinks=True)
    shutil.copy(RICH, project / "infra/mesh/egress/teams/team-z.yaml")
    assert main(["--project", str(project)]) == 0
    return project


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


# --- one weaker line: what it would open is the name of a case ---


def the(objects: Objects, kind: str, name: str, namespace: str) -> Object:
    (found,) = [
        body
        for body in objects
        if (body["kind"], body["metadata"]["name"], body["metadata"].get("namespace"))
        == (kind, name, namespace)
    ]
    spec: Object = found["spec"]
    return spec


def operation(objects: Objects, team: str, rule: int = 0) -> Object:
    policy = the(objects, "AuthorizationPolicy", f"egress-{team}", "istio-egress")
    found: Object = policy["rules"][rule]["to"][0]["operation"]
    return found


def source(objects: Objects, team: str, rule: int = 0) -> Object:
    policy = the(objects, "AuthorizationPolicy", f"egress-{team}", "istio-egress")
    found: Object = policy["rules"][rule]["from"][0]["source"]
    return found


def tls(objects: Objects, host: str) -> Object:
    found: Object = the(objects, "DestinationRule", host, "istio-egress")["trafficPolicy"]["tls"]
    return found


def server(objects: Objects, host: str) -> Object:
    """The server of the gateway that takes a host."""
    servers = the(objects, "Gateway", "egress", "istio-egress")["servers"]
    found: Object
    (found,) = [each for each in servers if f"istio-egress/{host}" in each["hosts"]]
    return found


def without(kind: str, name: str, namespace: str) -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        the(objects, kind, name, namespace)
        objects[:] = [
            body
            for body in objects
            if (body["kind"], body["metadata"]["name"], body["metadata"].get("namespace"))
            != (kind, name, namespace)
        ]

    return change


def _allow_every_source(objects: Objects) -> None:
    the(objects, "AuthorizationPolicy", "egress-team-x", "istio-egress")["rules"][0].pop("from")


def _without_any_policy(objects: Objects) -> None:
    for name, namespace in (
        ("allow-nothing", "istio-system"),
        ("allow-nothing", "istio-egress"),
        ("egress-team-x", "istio-egress"),
        ("egress-team-y", "istio-egress"),
    ):
        without("AuthorizationPolicy", name, namespace)(objects)


def _namespaces_for_principals(objects: Objects) -> None:
    found = source(objects, "team-x")
    found.clear()
    found["namespaces"] = ["team-x"]


def _service_ports_in_policies(objects: Objects) -> None:
    """Facts 2.2: the number of the Service in place of the pod's."""
    operation(objects, "team-x")["ports"] = ["80"]


def _plaintext_at_the_gateway(objects: Objects) -> None:
    found = server(objects, "example.com")
    found.pop("tls")
    found["port"]["protocol"] = "HTTP"


def _tls_without_identity(objects: Objects) -> None:
    server(objects, "example.com")["tls"] = {"mode": "SIMPLE", "credentialName": "egress"}


def _plain_passthrough(objects: Objects) -> None:
    """Facts 2.6: no identity on the way, and an ALLOW for the port."""
    server(objects, "www.wikipedia.org")["tls"] = {"mode": "PASSTHROUGH"}
    policy = the(objects, "AuthorizationPolicy", "egress-team-x", "istio-egress")
    policy["rules"][1] = {"to": [{"operation": {"ports": ["8443"]}}]}
    service = the(objects, "VirtualService", "www.wikipedia.org", "istio-egress")
    route = service.pop("tcp")[0]["route"]
    service["tls"] = [{"match": [{"port": 443, "sniHosts": ["www.wikipedia.org"]}], "route": route}]


def _allow_any_in_the_namespace(objects: Objects) -> None:
    the(objects, "Sidecar", "default", "team-x")["outboundTrafficPolicy"] = {"mode": "ALLOW_ANY"}


def _both_sides_open(objects: Objects) -> None:
    """Facts 2.3: a route without exportTo, and a Sidecar that imports everything."""
    for kind in ("ServiceEntry", "VirtualService"):
        the(objects, kind, "httpbin.org", "team-y").pop("exportTo")
    the(objects, "Sidecar", "default", "team-x")["egress"] = [{"hosts": ["*/*"]}]


def _plaintext_leaves(objects: Objects) -> None:
    """Facts 2.5: plain HTTP to port 80."""
    entry = the(objects, "ServiceEntry", "httpbin.org", "istio-egress")
    entry["ports"] = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    service = the(objects, "VirtualService", "httpbin.org", "istio-egress")
    service["http"][0]["route"][0]["destination"]["port"] = {"number": 80}
    without("DestinationRule", "httpbin.org", "istio-egress")(objects)


def _tls_port_for_sidecars(objects: Objects) -> None:
    """As in the tutorial: one entry with both ports, exported to the team, which its sidecar uses directly."""
    entry = the(objects, "ServiceEntry", "example.com", "team-x")
    entry["ports"].append({"number": 443, "name": "tls", "protocol": "TLS"})
    entry.pop("endpoints")


def _google_for_another_team(objects: Objects) -> None:
    for name in ("google-apis", "metadata-server"):
        the(objects, "ServiceEntry", name, "team-x").pop("exportTo")
    the(objects, "Sidecar", "default", "team-y")["egress"][0]["hosts"].append("team-x/*")


def _drop_condition(objects: Objects) -> None:
    the(objects, "AuthorizationPolicy", "egress-team-x", "istio-egress")["rules"][0].pop("when")


def _any_server_name(objects: Objects) -> None:
    the(objects, "AuthorizationPolicy", "egress-team-x", "istio-egress")["rules"][1].pop("when")
    server(objects, "www.wikipedia.org")["hosts"] = ["*/*"]


WEAKER: dict[str, tuple[Callable[[Objects], None], set[str]]] = {
    "any path": (
        lambda objects: operation(objects, "team-y").pop("paths"),
        {"httpbin.org: GET / (another path)", "httpbin.org: GET /status/418-near-miss (another path)"},
    ),
    "a path's beginning": (
        lambda objects: operation(objects, "team-y").update(paths=["/status/418*"]),
        {"httpbin.org: GET /status/418-near-miss (another path)"},
    ),
    "any method": (
        lambda objects: operation(objects, "team-y").pop("methods"),
        {"httpbin.org: POST /status/418 (another method)"},
    ),
    "any host": (
        lambda objects: operation(objects, "team-x").pop("hosts"),
        {"example.com: another host, at the gateway"},
    ),
    "any source": (
        _allow_every_source,
        {
            "example.com: a workload of no team, at the gateway",
            "example.com: team-y is refused by the gateway",
            "example.com: the team's name in another trust domain",
        },
    ),
    "the namespace of any trust domain": (
        _namespaces_for_principals,
        {"example.com: the team's name in another trust domain"},
    ),
    "every namespace": (
        lambda objects: source(objects, "team-x").update(principals=["cluster.local/*"]),
        {
            "example.com: a workload of no team, at the gateway",
            "example.com: team-y is refused by the gateway",
        },
    ),
    "any source of passed-through TLS": (
        lambda objects: source(objects, "team-x", 1).update(principals=["*"]),
        {"www.wikipedia.org: a workload of no team, at the gateway"},
    ),
    "WebSockets": (_drop_condition, {"example.com: no WebSocket, whose tunnel no policy reads"}),
    "the Service's port in a policy": (
        _service_ports_in_policies,
        {"example.com: GET / is allowed, and leaves as TLS"},
    ),
    "allow-nothing and no policy of a team": (
        _without_any_policy,
        {"example.com: a workload of no team, at the gateway", "httpbin.org: GET / (another path)"},
    ),
    "plaintext at the gateway": (
        _plaintext_at_the_gateway,
        {"example.com: GET / is allowed, and leaves as TLS"},
    ),
    "TLS without an identity at the gateway": (
        _tls_without_identity,
        {
            "example.com: TLS without a certificate to the gateway",
            "example.com: GET / is allowed, and leaves as TLS",
        },
    ),
    "passthrough without identity": (
        _plain_passthrough,
        {"www.wikipedia.org: TLS without a certificate to the gateway"},
    ),
    "any server name in a policy and at the gateway": (
        _any_server_name,
        {"www.wikipedia.org: another server name at the gateway"},
    ),
    "ALLOW_ANY in a namespace": (
        _allow_any_in_the_namespace,
        {
            "a host that is not registered",
            "a host that is not registered, over TLS",
            "an address that is not registered, over TCP",
            "example.com: TLS of the application itself",
        },
    ),
    "routes for everyone": (_both_sides_open, {"httpbin.org: team-x is refused by its own sidecar"}),
    "plain HTTP to the host": (
        _plaintext_leaves,
        {"httpbin.org: GET /status/418 is allowed, and leaves as TLS"},
    ),
    "no origination": (
        without("DestinationRule", "example.com", "istio-egress"),
        {"example.com: GET / is allowed, and leaves as TLS"},
    ),
    "no mTLS to the gateway": (
        without("DestinationRule", "egress-gateway", "team-x"),
        {"example.com: GET / is allowed, and leaves as TLS"},
    ),
    "a TLS port in the team's registry": (
        _tls_port_for_sidecars,
        {"example.com: TLS of the application itself"},
    ),
    "Google's APIs for another team": (
        _google_for_another_team,
        {"Google's APIs: not for this team", "the metadata server: not for this team"},
    ),
    "the proxies' own headers": (
        lambda objects: the(objects, "VirtualService", "example.com", "istio-egress")["http"][0].pop(
            "headers"
        ),
        {"example.com: nothing that the proxies know of the workload leaves"},
    ),
    "no Sidecar": (
        without("Sidecar", "default", "team-x"),
        {"a service of another namespace, which the team's sidecars do not know"},
    ),
    "plaintext between pods": (
        without("PeerAuthentication", "default", "istio-system"),
        {"plaintext to a pod of the team"},
    ),
    "no default deny for the teams' own pods": (
        without("AuthorizationPolicy", "allow-nothing", "istio-system"),
        {"a workload of no team, at a pod of the team"},
    ),
    "Google's APIs for every namespace": (
        lambda objects: the(objects, "ServiceEntry", "google-apis", "team-x").pop("exportTo"),
        {"Google's APIs: not for a workload of no team"},
    ),
    "the metadata server for every namespace": (
        lambda objects: the(objects, "ServiceEntry", "metadata-server", "team-x").pop("exportTo"),
        {"the metadata server: not for a workload of no team"},
    ),
    "the host in the gateway's registry for every namespace": (
        lambda objects: the(objects, "ServiceEntry", "example.com", "istio-egress").pop("exportTo"),
        {"example.com: a workload of no team, by its own sidecar over TLS"},
    ),
    "no names of the server's certificate": (
        lambda objects: tls(objects, "example.com").pop("subjectAltNames"),
        {"team-x to example.com: the gateway refuses the host's certificate"},
    ),
    "no check of the server's certificate": (
        lambda objects: tls(objects, "httpbin.org").update(insecureSkipVerify=True),
        {"team-y to httpbin.org: the gateway refuses the host's certificate"},
    ),
}


@pytest.mark.parametrize("name", WEAKER)
def test_a_weaker_line_breaks_the_case_that_it_kept(bench: LocalBench, tmp_path: Path, name: str) -> None:
    change, cases = WEAKER[name]
    objects = json.loads(json.dumps([found.body for found in build(ROOT / OVERLAY)]))
    change(objects)
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(yaml.safe_dump_all(objects))
    run = run_cases(
        bench.load(Sources((str(mesh),), mesh_config=CONFIG)),
        collect([ROOT / TESTS / "teams"], CONTRACT),
        Choice(),
    )
    assert cases <= set(wrong(run))
