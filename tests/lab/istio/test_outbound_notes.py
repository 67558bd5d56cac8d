"""Notes on what DestinationRules and Sidecars say, and surely do not mean."""

from __future__ import annotations

from meshlab.bench.read_fields import coverage_rows
from meshlab.istio import load_mesh
from meshlab.manifest import parse_manifests

from tests.lab.istio.sidecar_walks import namespace, service, workload
from tests.lab.istio.test_visibility import entry, rule, sidecar

BASE = (
    namespace("shop"),
    workload("shop/cart", {"version": "v1"}),
    service("shop/cart", "http:80"),
    entry("a", "{hosts: [a.example], resolution: DNS, ports: [{number: 80, name: h, protocol: HTTP}]}"),
)


def notes(*texts: str) -> str:
    manifests = [manifest for text in (*BASE, *texts) for manifest in parse_manifests(text, "test.yaml")]
    mesh = load_mesh(manifests).require_complete()
    found = [str(note) for note in mesh.notes if "DestinationRule" in str(note) or "Sidecar" in str(note)]
    return "\n".join(found)


def test_a_rule_for_a_host_that_no_service_has() -> None:
    assert "there is no service card.shop.svc.cluster.local" in notes(rule("it", "{host: card}"))
    assert notes(rule("it", "{host: cart}")) == ""
    assert notes(rule("it", "{host: '*.svc.cluster.local'}")) == ""


def test_a_subset_that_no_server_is_in() -> None:
    spec = "{{host: cart, subsets: [{{name: it, labels: {{version: {}}}}}]}}"
    assert "no server of cart.shop.svc.cluster.local" in notes(rule("it", spec.format("v2")))
    assert notes(rule("it", spec.format("v1"))) == ""


def test_a_secret_that_counts_at_gateways_alone() -> None:
    spec = "{{host: a.example, trafficPolicy: {{tls: {{mode: SIMPLE, credentialName: it}}}}{}}}"
    assert "sidecars send plaintext" in notes(rule("it", spec.format("")))
    chosen = ", workloadSelector: {matchLabels: {app: cart}}"
    assert notes(rule("it", spec.format(chosen))) == ""


def test_tls_that_takes_any_server() -> None:
    spec = "{{host: a.example, trafficPolicy: {{tls: {{mode: SIMPLE, {}}}}}}}"
    assert "any server is taken" in notes(rule("it", spec.format("insecureSkipVerify: true")))
    assert "add subjectAltNames" in notes(rule("it", spec.format("sni: a.example")))
    assert notes(rule("it", spec.format("sni: a.example, subjectAltNames: [a.example]"))) == ""


def test_a_sidecar_that_imports_what_is_not_there() -> None:
    spec = "{{egress: [{{hosts: ['./{}']}}]}}"
    assert "nothing is imported" in notes(sidecar("it", spec.format("card.shop.svc.cluster.local")))
    assert notes(sidecar("it", spec.format("cart.shop.svc.cluster.local"))) == ""


def test_a_sidecar_that_selects_nothing() -> None:
    spec = "{{workloadSelector: {{labels: {{app: {}}}}}, egress: [{{hosts: ['*/*']}}]}}"
    assert "selects no workload" in notes(sidecar("it", spec.format("card")))
    assert notes(sidecar("it", spec.format("cart"))) == ""


def test_fields_that_are_passed_over_and_refused_are_in_the_table() -> None:
    rows = {(row.kind, row.field): row.disposition for row in coverage_rows()}
    kind = "DestinationRule (networking.istio.io)"
    assert rows[kind, "spec.trafficPolicy.outlierDetection.interval"] == "passed over"
    assert rows[kind, "spec.trafficPolicy.tunnel"] == "refused"
    assert rows[kind, ""] == "read"
