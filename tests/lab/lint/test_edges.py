"""What rules must not find, and what they find beside the manifests next to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.inputs import read_inputs
from meshlab.istio import load_mesh
from meshlab.lint.matches import covers
from meshlab.lint.rules import BY_CODE, examples
from meshlab.lint.run import lint
from meshlab.lint.source_texts import text_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def good(code: str) -> str:
    """Return the text of the manifest without the mistake of a rule."""
    pair = examples(BY_CODE[code])
    assert pair is not None
    return pair[1].read_text()


def found(tmp_path: Path, text: str) -> set[str]:
    """Return the codes of what is found in a text."""
    (tmp_path / "mesh.yaml").write_text(text)
    inputs = read_inputs([str(tmp_path)])
    mesh = load_mesh(inputs.manifests, inject_unknown_namespaces=True)
    return {finding.rule.code for finding in lint(inputs, mesh, text_of).counted}


def changed(code: str, old: str, new: str) -> str:
    text = good(code)
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("code", "old", "new", "expected"),
    [
        # A Gateway may name the pod's own port, to which its Service leads.
        ("ML102", "port: {number: 80, name: http", "port: {number: 8080, name: http", set()),
        # Labels of nodes are not in manifests.
        ("ML402", "labels: {version: v1}}]", "labels: {topology.kubernetes.io/zone: a}}]", set()),
        ("ML402", "labels: {version: v1}}]", 'labels: {topology.kubernetes.io/zone: ""}}]', {"ML402"}),
        # A Service that is not read is no Service that is missing.
        ("ML203", "targetPort: 8080}]}", "targetPort: 8080, unknown: x}]}", {"ML000"}),
        # So are a workload, a delegate, the settings of the mesh, a policy and an authentication.
        ("ML302", "labels: {app: cart}}", "labels: {app: cart, sidecar.istio.io/unknown: x}}", {"ML000"}),
        ("ML205", "  http:\n    - route: [", "  http:\n    - unknown: x\n      route: [", {"ML000"}),
        ("ML301", "extensionProviders:", "unknown: x\n    extensionProviders:", {"ML000"}),
        ("ML305", "    - issuer: ", "    - unknown: x\n      issuer: ", {"ML000"}),
        ("ML304", "  rules:\n    - ", "  rules:\n    - unknown: x\n      ", {"ML000"}),
        # Another namespace than that of the route, which the service is not exported to.
        (
            "ML203",
            "shop}\nspec: {selector",
            "shop, annotations: {networking.istio.io/exportTo: bank}}\nspec: {selector",
            {"ML203"},
        ),
        # A rule that the gateway's own namespace sees alone is for no sidecar.
        ("ML403", "  exportTo: [.]\n  trafficPolicy", "  exportTo: [edge]\n  trafficPolicy", set()),
        ("ML403", "  exportTo: [.]\n  trafficPolicy", "  exportTo: [edge, shop]\n  trafficPolicy", {"ML403"}),
        # Clients of a gateway that checks their certificates may be of another mesh.
        ("ML311", "cluster.local/ns/shop/sa/list", "other.mesh/ns/shop/sa/list", {"ML311"}),
        # A default deny for one direction is enough where no policy is about the other.
        ("ML606", "  policyTypes: [Ingress, Egress]\n", "  policyTypes: [Ingress]\n", set()),
        ("ML606", "  policyTypes: [Ingress, Egress]\n", "  policyTypes: [Egress]\n", {"ML606"}),
        # A protocol may stand in appProtocol.
        ("ML506", "{name: http, port", "{name: web, appProtocol: http, port", set()),
        # The protocol of a port decides, and not its number.
        ("ML513", "{name: http, port: 81", "{name: http-inside, port: 81", set()),
        ("ML409", "protocol: TCP", "protocol: TLS", set()),
        # A port of the gateway's proxy that no Gateway opens.
        ("ML214", "{host: cart, port: {number: 8080}}", "{host: cart, port: {number: 81}}", set()),
    ],
)
def test_a_change_is_found_or_not(tmp_path: Path, code: str, old: str, new: str, expected: set[str]) -> None:
    assert found(tmp_path, changed(code, old, new)) == expected


def test_an_object_that_is_not_read_explains_nothing_in_another_namespace_or_with_other_labels(
    tmp_path: Path,
) -> None:
    pod = """---
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: NAMESPACE, labels: {app: LABEL, sidecar.istio.io/unknown: x}}
spec: {containers: [{name: x, image: x}]}
"""
    selects_nothing = changed(
        "ML302", "matchLabels: {app: cart}}\n  rules", "matchLabels: {app: x}}\n  rules"
    )

    def codes(namespace: str, label: str) -> set[str]:
        return found(tmp_path, selects_nothing + pod.replace("NAMESPACE", namespace).replace("LABEL", label))

    assert codes("shop", "x") == {"ML000"}
    assert codes("bank", "x") == {"ML000", "ML302"}
    assert codes("shop", "y") == {"ML000", "ML302"}


def test_a_second_file_with_an_object_explains_nothing(tmp_path: Path) -> None:
    text = changed("ML302", "matchLabels: {app: cart}}\n  rules", "matchLabels: {app: x}}\n  rules")
    (tmp_path / "other.yaml").write_text(text.replace("image: cart", "image: other"))

    assert {"ML000", "ML302"} <= found(tmp_path, text)


def test_principals_of_another_mesh_are_right_at_a_gateway_that_takes_client_certificates(
    tmp_path: Path,
) -> None:
    policy = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: clients, namespace: edge}
spec:
  selector: {matchLabels: {istio: edge}}
  rules: [{from: [{source: {principals: [other.mesh/ns/bank/sa/client]}}]}]
"""
    assert found(tmp_path, good("ML108") + policy) == set()
    plain = (
        good("ML108")
        .replace("mode: MUTUAL", "mode: SIMPLE")
        .replace(", subjectAltNames: [client.example.com]", "")
    )
    assert found(tmp_path, plain + policy) == {"ML311"}


def test_one_namespace_with_walls_does_not_say_that_all_should_have_them(tmp_path: Path) -> None:
    bank = (
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: bank, labels: {istio-injection: enabled}}\n"
    )
    assert found(tmp_path, good("ML606") + bank) == set()
    assert found(tmp_path, good("ML610") + bank.replace("bank", "till")) == {"ML610"}


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a"}}, True),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/ab"}, "method": {"exact": "GET"}}, True),
        ({"uri": {"prefix": "/ab"}}, {"uri": {"prefix": "/a"}}, False),
        ({"uri": {"prefix": "/a"}, "method": {"exact": "GET"}}, {"uri": {"prefix": "/ab"}}, False),
        ({"uri": {"prefix": "/a"}, "ignoreUriCase": True}, {"uri": {"prefix": "/ab"}}, False),
        ({"uri": {"prefix": "/"}}, {"uri": {"exact": "/"}}, True),
        ({"uri": {"prefix": "/"}}, {"uri": {"regex": "/a|/b"}}, True),
        ({"uri": {"prefix": "/"}}, {"method": {"exact": "GET"}}, False),
        ({"uri": {"prefix": "/a"}}, {"uri": {"regex": "/a.*"}}, False),
        ({"uri": {"prefix": "/a"}}, {"uri": {"exact": "/a/b"}}, True),
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/a"}, "method": {"exact": "GET"}}, True),
        ({"headers": {"a": {"exact": "1"}}}, {"headers": {"a": {"exact": "1"}, "b": {}}}, True),
        ({"headers": {"a": {"exact": "1"}, "b": {}}}, {"headers": {"a": {"exact": "1"}}}, False),
        ({"headers": {"a": {"exact": "1"}}}, {"headers": {"a": {"exact": "2"}}}, False),
        ({"port": 80}, {"port": 80}, True),
        ({"port": 80}, {"port": 81}, False),
        ({}, {"port": 81}, False),
        ({"uri": None}, {"uri": {"prefix": "/"}}, False),
    ],
)
def test_a_match_covers_another(earlier: dict[str, Any], later: dict[str, Any], *, expected: bool) -> None:
    assert covers(earlier, later) is expected
