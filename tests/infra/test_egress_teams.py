"""What follows from one team's file: objects, policy tests, and every mistake with its line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from meshgen.cli import main
from meshgen.egress import egress
from meshgen.egress.hosts import host_problem, label_of
from meshgen.egress.paths import matches, near_misses, path_problem, sample
from meshgen.generated import stale
from meshgen.sources import DescriptionError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
ORIGINATE = "{host: example.com, tls: originate, allow: [{methods: [GET], paths: [/]}]}"

Described = dict[str, list[dict[str, Any]]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the shipped gateway and schema, and no team."""
    (tmp_path / "infra/mesh/egress/teams").mkdir(parents=True)
    shutil.copytree(ROOT / "infra/mesh/egress/gateway", tmp_path / "infra/mesh/egress/gateway")
    shutil.copytree(ROOT / "infra/mesh/schema", tmp_path / "infra/mesh/schema")
    return tmp_path


@pytest.fixture
def generate(project: Path) -> Callable[..., Described]:
    """Generate from teams, given as name=text; return the documents of each file by its path in the project."""

    def run(**teams: str) -> Described:
        for name, text in teams.items():
            (project / f"infra/mesh/egress/teams/{name}.yaml").write_text(text)
        return {
            str(file.path.relative_to(project / "infra")): list(yaml.safe_load_all(file.text))
            for file in egress(project)
        }

    return run


def found(documents: Described, kind: str, name: str, namespace: str) -> dict[str, Any]:
    (body,) = [
        document
        for file, bodies in documents.items()
        if file.startswith("mesh/")
        for document in bodies
        if document.get("kind") == kind
        and document["metadata"]["name"] == name
        and document["metadata"].get("namespace", "") == namespace
    ]
    spec: dict[str, Any] = body["spec"]
    return spec


def team(*hosts: str, namespace: str = "team-z", more: str = "") -> str:
    return f"namespace: {namespace}\n{more}hosts:\n" + "".join(f"  - {host}\n" for host in hosts)


def test_what_is_committed_is_what_the_descriptions_say() -> None:
    directories = [ROOT / "infra/mesh/egress/generated", ROOT / "infra/policy-tests/egress/teams"]
    assert stale(egress(ROOT), directories) == []


def test_a_generated_file_that_was_edited_is_stale(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "infra", tmp_path / "infra", symlinks=True)
    assert main(["--project", str(tmp_path), "--check"]) == 0
    file = tmp_path / "infra/mesh/egress/generated/teams/team-x.yaml"
    file.write_text(file.read_text().replace("example.com", "example.org"))
    assert main(["--project", str(tmp_path), "--check"]) == 1
    assert main(["--project", str(tmp_path)]) == 0
    assert main(["--project", str(tmp_path), "--check"]) == 0


def test_a_team_that_is_gone_takes_its_files_with_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "infra", tmp_path / "infra", symlinks=True)
    (tmp_path / "infra/mesh/egress/teams/team-y.yaml").unlink()
    assert main(["--project", str(tmp_path)]) == 0
    left = [path.name for path in (tmp_path / "infra").rglob("*team-y*") if path.is_file()]
    assert [name for name in left if name == "team-y.yaml" and "egress/generated" in name] == []
    assert not (tmp_path / "infra/mesh/egress/generated/teams/team-y.yaml").exists()
    assert not (tmp_path / "infra/policy-tests/egress/teams/team-y.yaml").exists()
    gateway = (tmp_path / "infra/mesh/egress/generated/gateway.yaml").read_text()
    assert "httpbin.org" not in gateway


def test_the_gateways_host_list_is_that_of_all_teams(generate: Callable[..., Described]) -> None:
    documents = generate(
        a=team(ORIGINATE), b=team("{host: git.example, tls: passthrough}", namespace="team-b")
    )
    servers = found(documents, "Gateway", "egress", "istio-egress")["servers"]
    assert [(server["port"]["protocol"], server["hosts"], server["tls"]) for server in servers] == [
        ("HTTPS", ["istio-egress/example.com"], {"mode": "ISTIO_MUTUAL"}),
        ("TLS", ["istio-egress/git.example"], {"mode": "ISTIO_MUTUAL"}),
    ]


def test_policies_name_the_ports_that_pods_listen_on_and_nothing_else_writes_them(
    project: Path, generate: Callable[..., Described]
) -> None:
    service = project / "infra/mesh/egress/gateway/service.yaml"
    service.write_text(
        service.read_text()
        .replace("targetPort: 8080", "targetPort: 9080")
        .replace("targetPort: 8443", "targetPort: 9443")
    )
    documents = generate(a=team(ORIGINATE, "{host: git.example, tls: passthrough}"))
    rules = found(documents, "AuthorizationPolicy", "egress-team-z", "istio-egress")["rules"]
    assert [rule["to"][0]["operation"]["ports"] for rule in rules] == [["9080"], ["9443"]]
    cases = documents["policy-tests/egress/teams/a.yaml"][0]["cases"]
    ports = {
        case["from"]["port"]
        for case in cases
        if isinstance(case.get("from"), dict) and "port" in case["from"]
    }
    assert ports == {9080, 9443}


def test_every_object_says_whom_it_is_exported_to() -> None:
    for file in (ROOT / "infra/mesh/egress/generated").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] in ("ServiceEntry", "VirtualService", "DestinationRule"):
                assert document["spec"]["exportTo"] == ["."], document["metadata"]


def test_every_originated_host_has_its_name_checked(generate: Callable[..., Described]) -> None:
    documents = generate(a=team(ORIGINATE.replace("tls:", "port: 8443, tls:")))
    rule = found(documents, "DestinationRule", "example.com", "istio-egress")
    assert rule["trafficPolicy"]["tls"] == {
        "mode": "SIMPLE",
        "sni": "example.com",
        "subjectAltNames": ["example.com"],
    }
    entry = found(documents, "ServiceEntry", "example.com", "istio-egress")
    assert [port["number"] for port in entry["ports"]] == [8443]


def test_two_teams_share_a_host_each_with_its_own_paths(generate: Callable[..., Described]) -> None:
    documents = generate(
        a=team(ORIGINATE.replace("[/]", "[/a]"), namespace="team-a"),
        b=team(ORIGINATE.replace("[/]", "[/b]"), namespace="team-b"),
    )
    for name in "ab":
        (rule,) = found(documents, "AuthorizationPolicy", f"egress-team-{name}", "istio-egress")["rules"]
        assert rule["from"][0]["source"]["principals"] == [f"cluster.local/ns/team-{name}/sa/*"]
        assert rule["to"][0]["operation"]["paths"] == [f"/{name}"]
        found(documents, "ServiceEntry", "example.com", f"team-{name}")
    found(documents, "ServiceEntry", "example.com", "istio-egress")  # one, for both


def test_a_host_may_be_for_some_service_accounts_alone(generate: Callable[..., Described]) -> None:
    documents = generate(a=team(ORIGINATE.replace("tls:", "serviceAccounts: [batch], tls:")))
    (rule,) = found(documents, "AuthorizationPolicy", "egress-team-z", "istio-egress")["rules"]
    assert rule["from"][0]["source"]["principals"] == ["cluster.local/ns/team-z/sa/batch"]
    names = [case["name"] for case in documents["policy-tests/egress/teams/a.yaml"][0]["cases"]]
    assert "example.com: another service account" in names


def test_a_team_without_hosts_reaches_none(generate: Callable[..., Described]) -> None:
    documents = generate(a="namespace: team-z\nhosts: []\n")
    assert "mesh/egress/generated/gateway.yaml" not in documents
    kinds = [document["kind"] for document in documents["mesh/egress/generated/teams/a.yaml"]]
    assert kinds == ["Namespace", "Sidecar"]


def test_the_range_of_googles_apis_comes_from_the_contract(generate: Callable[..., Described]) -> None:
    documents = generate(a=team(ORIGINATE, more="googleApis: true\n"))
    entry = found(documents, "ServiceEntry", "google-apis", "team-z")
    assert entry["endpoints"] == [{"address": "${GOOGLE_APIS_HOST}"}]
    (component,) = documents["mesh/egress/generated/kustomization.yaml"]
    (replacement,) = component["replacements"]
    assert replacement["source"]["fieldPath"] == "data.GOOGLE_APIS_HOST"


MISTAKES = {
    "a wildcard": (
        team(ORIGINATE.replace("example.com", '"*.example.com"')),
        "x.yaml:3: hosts.0.host: *.example.com is a wildcard",
    ),
    "an address": (team(ORIGINATE.replace("example.com", "93.184.216.34")), "is an IP address"),
    "an IPv6 address": (team(ORIGINATE.replace("example.com", '"[2001:db8::1]"')), "is an IP address"),
    "a URL": (team(ORIGINATE.replace("example.com", '"https://example.com/"')), "is a URL"),
    "a port in the host": (team(ORIGINATE.replace("example.com", '"example.com:443"')), "has a port"),
    "capitals": (team(ORIGINATE.replace("example.com", "Example.com")), "write example.com"),
    "one label": (team(ORIGINATE.replace("example.com", "intranet")), "is no DNS name of a host outside"),
    "a name inside the cluster": (
        team(ORIGINATE.replace("example.com", "web.shop.svc.cluster.local")),
        "a name inside the network",
    ),
    "one of Google's": (
        team(ORIGINATE.replace("example.com", "storage.googleapis.com")),
        "write `googleApis: true`",
    ),
    "port 80": (
        team(ORIGINATE.replace("tls:", "port: 80, tls:")),
        "x.yaml:3: hosts.0.port: port 80 is plain HTTP",
    ),
    "one of Istio's ports": (team("{host: a.example, port: 15001, tls: passthrough}"), "one of Istio's own"),
    "a port out of range": (team("{host: a.example, port: 70000, tls: passthrough}"), "hosts.0.port: 70000"),
    "requests of a passthrough": (
        team("{host: a.example, tls: passthrough, allow: [{methods: [GET], paths: [/]}]}"),
        "x.yaml:3: hosts.0.allow: the gateway does not read what passes through",
    ),
    "origination without requests": (team("{host: a.example, tls: originate}"), "tls: originate needs `allow`"),
    "a mode that does not exist": (team("{host: a.example, tls: simple}"), "hosts.0.tls: 'simple' is not one of"),
    "a host twice": (team(ORIGINATE, ORIGINATE), "x.yaml:4: hosts.1.host: example.com stands here twice (first"),
    "a host with both modes": (
        team(ORIGINATE, "{host: example.com, tls: passthrough}"), "stands here twice with both modes of tls"
    ),
    "a path without a slash": (team(ORIGINATE.replace("[/]", "[orders]")), "does not begin with /"),
    "a query": (team(ORIGINATE.replace("[/]", '["/a?b=c"]')), "remove the query"),
    "a fragment": (team(ORIGINATE.replace("[/]", '["/a#b"]')), "remove the fragment"),
    "an escape": (team(ORIGINATE.replace("[/]", '["/a%2Fb"]')), "Envoy decodes"),
    "dots": (team(ORIGINATE.replace("[/]", '["/a/../b"]')), "never matches"),
    "dots with a parameter": (team(ORIGINATE.replace("[/]", '["/..;/b"]')), "never matches"),
    "an empty segment": (team(ORIGINATE.replace("[/]", '["/a//b"]')), "has an empty segment"),
    "a star in the middle": (team(ORIGINATE.replace("[/]", '["/a/*/b"]')), "write {*} for one segment"),
    "a template with a star": (team(ORIGINATE.replace("[/]", '["/a/{*}/b*"]')), "ends with {**}, not with *"),
    "{**} in the middle": (team(ORIGINATE.replace("[/]", '["/{**}/a"]')), "stands only at the end"),
    "part of a segment": (team(ORIGINATE.replace("[/]", '["/a{*}"]')), "{*} is a whole segment"),
    "a space": (team(ORIGINATE.replace("[/]", '["/a b"]')), "a character that no path has"),
    "a method in small letters": (
        team(ORIGINATE.replace("GET", "get")),
        "hosts.0.allow.0.methods.0: 'get' is not one of",
    ),
    "any method": (team(ORIGINATE.replace("GET", '"*"')), "'*' is not one of"),
    "Istio's own namespace": (
        team(ORIGINATE, namespace="istio-system"),
        "x.yaml:1: namespace: istio-system is no team's",
    ),
    "a namespace of Kubernetes": (team(ORIGINATE, namespace="kube-system"), "is no team's namespace"),
    "an unknown word": (team(ORIGINATE, more="team: z\n"), "'team' was unexpected"),
    "a word twice": (
        "namespace: team-z\nnamespace: team-w\nhosts: []\n",
        "x.yaml:2: the key namespace stands here twice",
    ),
    "a namespace that YAML readers differ on": ("namespace: yes\nhosts: []\n", "quote it"),
    "a line break": (team(ORIGINATE, namespace='"team-z\\n"'), "has a line break or a control character"),
    "a line break in a service account": (
        team(ORIGINATE.replace("tls:", 'serviceAccounts: ["a\\n"], tls:')),
        "has a line break or a control character",
    ),
    "a port that Kubernetes takes for no integer": (
        team(ORIGINATE.replace("tls:", "port: 8443.0, tls:")),
        "hosts.0.port: 8443.0 is not of type 'integer'",
    ),
    "a service of Kubernetes by its short name": (
        team("{host: kubernetes.default, tls: passthrough}"),
        "is a name inside the network",
    ),
    "a service of a team by its short name": (
        team("{host: db.team-z, tls: passthrough}"),
        "is the name of a service in a team's namespace",
    ),
    "a namespace that is the name of a generated file": (
        team(ORIGINATE, namespace="administrators"),
        "is the name of another generated file",
    ),
    "lists without end": ("namespace: team-z\nhosts: " + "[" * 2000 + "]" * 2000, "nested too deeply"),
    "a list that holds itself": ("namespace: team-z\nhosts: &a [*a]\n", "unconstructable recursive node"),
    "no mapping": ("- a\n", "x.yaml:1: expected one mapping"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_place(generate: Callable[..., Described], name: str) -> None:
    text, says = MISTAKES[name]
    with pytest.raises(DescriptionError) as error:
        generate(x=text)
    assert any(says in problem for problem in error.value.problems), error.value.problems
    assert all(re.match(r".*/teams/x\.yaml:\d+: ", problem) for problem in error.value.problems)


def test_all_mistakes_of_all_teams_are_named_at_once(generate: Callable[..., Described]) -> None:
    with pytest.raises(DescriptionError) as error:
        generate(
            a=team(ORIGINATE.replace("[/]", "[a]"), "{host: B.example, tls: passthrough, port: 80}"),
            b=team("{host: 1.2.3.4, tls: passthrough}"),
        )
    assert len(error.value.problems) == 5  # path, capitals, port, address, and the namespace of both


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("team-z.yml", "is no description of a team; name it NAME.yaml"),
        ("Team Z.yaml", "a team is named with at most 30 lower-case letters"),
        ("kustomization.yaml", "a team is named with"),
    ],
)
def test_a_file_that_would_be_left_out_or_has_a_strange_name_is_refused(
    project: Path, name: str, says: str
) -> None:
    (project / "infra/mesh/egress/teams" / name).write_text(team(ORIGINATE))
    with pytest.raises(DescriptionError, match=says):
        egress(project)


def test_what_other_yaml_readers_take_for_a_number_is_quoted(
    project: Path, generate: Callable[..., Described]
) -> None:
    generate(a=team(ORIGINATE, namespace='"1e3"'))
    texts = [file.text for file in egress(project) if "/generated/teams/" in str(file.path)]
    assert "namespace: '1e3'" in texts[0]
    assert "namespace: 1e3" not in texts[0]


def test_two_files_for_one_namespace_name_each_other(generate: Callable[..., Described]) -> None:
    with pytest.raises(
        DescriptionError, match=r"b\.yaml:1: namespace: team-z is described in .*a\.yaml already"
    ):
        generate(a=team(ORIGINATE), b=team(ORIGINATE))


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("{host: example.com, tls: passthrough}", "tls of example.com is passthrough here and originate in"),
        (ORIGINATE.replace("tls:", "port: 8443, tls:"), "port of example.com is 8443 here and 443 in"),
    ],
)
def test_teams_that_disagree_about_a_host_name_each_other(
    generate: Callable[..., Described], other: str, says: str
) -> None:
    with pytest.raises(DescriptionError, match=says):
        generate(a=team(ORIGINATE), b=team(other, namespace="team-b"))


def test_a_gateway_without_its_two_ports_is_refused(
    project: Path, generate: Callable[..., Described]
) -> None:
    service = project / "infra/mesh/egress/gateway/service.yaml"
    service.write_text(service.read_text().replace("name: tls-passthrough", "name: tls"))
    with pytest.raises(
        DescriptionError, match=r"service\.yaml:\d+: the Service needs a port tls-passthrough"
    ):
        generate(a=team(ORIGINATE))


GOOD_PATHS = [
    "/",
    "/a",
    "/a/",
    "/a/*",
    "/a*",
    "/*",
    "/orders/{*}",
    "/orders/{*}/items",
    "/{**}",
    "/a/{*}/{**}",
]


@pytest.mark.parametrize("pattern", GOOD_PATHS)
def test_a_sample_matches_its_pattern_and_a_near_miss_does_not(pattern: str) -> None:
    assert path_problem(pattern) == ""
    assert matches(pattern, sample(pattern))
    misses = near_misses(pattern, [pattern])
    assert not any(matches(pattern, path) for path in misses)
    assert bool(misses) is (pattern not in ("/*", "/{**}"))


@pytest.mark.parametrize("host", ["example.com", "a-b.example", "xn--bcher-kva.example", "1and1.example"])
def test_a_host_on_the_internet_is_taken(host: str) -> None:
    assert host_problem(host) == ""


_labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)
_hosts = st.lists(_labels, min_size=2, max_size=6).map(".".join)


@given(_hosts, _hosts)
def test_a_label_stands_for_one_host_alone(one: str, other: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", label_of(one))
    assert (label_of(one) == label_of(other)) is (one == other)
