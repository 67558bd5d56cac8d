"""The mutation run itself: what it changes, and that it finds a condition that no case keeps."""

from __future__ import annotations

from pathlib import Path

from meshlab.manifest import to_manifest
from meshlab.mutate.mutants import mutants_of

from tests.infra.mutation.own import mutation_run

INFRA = Path(__file__).parents[2] / "infra"

POLICY = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {
        "selector": {"matchLabels": {"app": "a"}},
        "rules": [
            {
                "from": [{"source": {"principals": ["x"], "requestPrincipals": ["i/s"]}}],
                "to": [{"operation": {"methods": ["GET"], "paths": ["/a/{*}"], "notPaths": ["/a/b"]}}],
                "when": [{"key": "request.auth.claims[scope]", "values": ["read"]}],
            }
        ],
    },
}


def test_every_condition_of_a_policy_is_removed_and_made_wider() -> None:
    found = {(mutant.path, mutant.change) for mutant in mutants_of(to_manifest(POLICY, "p.yaml"))}
    rule = "spec.rules.0"
    assert found >= {
        ("the object", "removed"),
        (rule, "removed"),
        (f"{rule}.from", "removed"),
        (f"{rule}.from.0.source.principals", "removed"),
        (f"{rule}.from.0.source.principals", "any value"),
        (f"{rule}.from.0.source.principals.0", "x becomes x*"),
        (f"{rule}.from.0.source.requestPrincipals.0", "i/s becomes */s"),
        (f"{rule}.to.0.operation.methods", "POST added"),
        (f"{rule}.to.0.operation.paths.0", "/a/{*} becomes /a/{**}"),
        (f"{rule}.to.0.operation.notPaths", "removed"),
        (f"{rule}.when.0", "request.auth.claims[scope] removed"),
        (f"{rule}.when.0.values", "any value"),
        ("spec.selector", "every workload"),
        ("spec.selector.matchLabels.app", "selects nothing"),
    }
    assert all(mutant.body != POLICY for mutant in mutants_of(to_manifest(POLICY, "p.yaml")))


def test_an_object_that_decides_no_request_has_no_mutants() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}
    assert list(mutants_of(to_manifest(deployment, "d.yaml"))) == []


def test_a_condition_that_no_case_keeps_is_a_survivor_and_one_that_a_case_keeps_is_not(
    tmp_path: Path,
) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text("""
callers: {outside: {outside: istio-ingress/istio-internal-gateway}}
tokens: {caller: {issuer: "${JWT_ISSUER}", claims: {sub: "${JWT_SUBJECT}", scope: "${JWT_SCOPE}"}}}
defaults: {from: outside, token: caller}
cases:
  - name: the known caller reads a profile
    request: GET https://${GKE_GATEWAY_HOST}/profile/u-1
    expect: 200 user-profile/user-profile
  - name: POST
    request: POST https://${GKE_GATEWAY_HOST}/profile/u-1
    expect: 403 istio-ingress/istio-internal-gateway
""")
    with mutation_run(INFRA / "mesh/overlays/example", [cases], INFRA / "contract.env") as run:
        asked = [
            mutant
            for mutant in run.mutants()
            if mutant.name == "caller-enrichment"
            and mutant.path.endswith("methods")
            and mutant.change in ("POST added", "PUT added")
        ]
        assert [(result.mutant.change, result.caught_by) for result in run.run(asked)] == [
            ("POST added", "POST"),
            ("PUT added", ""),
        ]
        removed = next(mutant for mutant in run.mutants() if mutant.name == "caller-enrichment")
        assert [result.caught_by for result in run.run([removed])] == ["the known caller reads a profile"]
