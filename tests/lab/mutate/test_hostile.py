"""Hostile manifests: operators pass over what has another shape than Istio's, and never raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshlab.manifest import Manifest, parse_manifests
from meshlab.mutate.mutants import mutants_of
from meshlab.mutate.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator

SPECS = {
    "AuthorizationPolicy": """{action: DENY, selector: {matchLabels: {a: b}}, targetRefs: [{name: x}],
      rules: [{from: [{source: {principals: [x], notNamespaces: [y]}}], to: [{operation: {paths: [/*], ports: ["1"]}}],
      when: [{key: source.ip, values: [10.0.0.1]}]}]}""",
    "RequestAuthentication": "{jwtRules: [{issuer: i, audiences: [a], fromHeaders: [{name: n}], fromParams: [p]}]}",
    "PeerAuthentication": """{selector: {matchLabels: {a: b}}, mtls: {mode: STRICT},
      portLevelMtls: {80: {mode: STRICT}}}""",
    "Gateway": """{selector: {a: b}, servers: [{port: {number: 1, protocol: HTTPS}, hosts: [a/b.c.d],
      tls: {mode: MUTUAL, credentialName: c, subjectAltNames: [s]}}],
      listeners: [{hostname: a.b.c, allowedRoutes: {namespaces: {from: Same}},
      tls: {certificateRefs: [{name: n}]}}]}""",
    "VirtualService": """{hosts: [a.b.c], gateways: [g], exportTo: [.], http: [{match: [{uri: {regex: "[^/;]+"},
      headers: {x: {exact: y}}, queryParams: {q: {exact: y}}}], route: [{destination: {host: h, subset: s}}],
      headers: {request: {remove: [x], set: {a: b}}}, fault: {abort: {}}, timeout: 1s}],
      tls: [{match: [{sniHosts: [a]}]}]}""",
    "DestinationRule": """{host: h, exportTo: [.], workloadSelector: {matchLabels: {a: b}},
      trafficPolicy: {tls: {mode: MUTUAL, sni: s, subjectAltNames: [x]}, portLevelSettings: [{tls: {mode: SIMPLE}}]},
      subsets: [{labels: {a: b}}]}""",
    "ServiceEntry": """{hosts: [a.b.c], exportTo: [.], addresses: [1.1.1.1], endpoints: [{address: x}],
      location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: n, protocol: TLS}],
      subjectAltNames: [s]}""",
    "Sidecar": """{workloadSelector: {labels: {a: b}}, outboundTrafficPolicy: {mode: REGISTRY_ONLY},
      egress: [{hosts: [./x]}], ingress: [{port: {number: 1}}]}""",
    "MeshConfig": """{outboundTrafficPolicy: {mode: REGISTRY_ONLY}, pathNormalization: {normalization: BASE},
      trustDomainAliases: [a], extensionProviders: [{name: x, envoyExtAuthzGrpc: {service: s}}]}""",
    "HTTPRoute": """{hostnames: [a.b.c], parentRefs: [{sectionName: s}], rules: [{matches: [{path: {type: Exact},
      headers: [{name: n}]}], filters: [{}], backendRefs: [{}]}]}""",
    "ReferenceGrant": "{from: [{}], to: [{name: n}]}",
    "BackendTLSPolicy": "{targetRefs: [{}], validation: {hostname: h, subjectAltNames: [{}]}}",
}  # fmt: skip
ODD: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    "x\x1b[31m",
    [],
    [None],
    [[]],
    {},
    {"a": None},
    [{"b": [1]}],
    "*",
    "{*}",
]


def manifest(group: str, kind: str, spec: Any) -> Manifest:  # noqa: ANN401 - any value of YAML
    version = f"{group}/v1" if group else "v1"
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "n", "namespace": "s"}, "spec": spec}
    return Manifest(version, kind, "n", "s", body, "m.yaml")


def spec_of(kind: str) -> Any:  # noqa: ANN401 - any value of YAML
    spec = SPECS.get(kind, SPECS["HTTPRoute"])
    (found,) = parse_manifests(f"{{apiVersion: v1, kind: x, metadata: {{name: n}}, spec: {spec}}}", "m.yaml")
    return found.body["spec"]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[str | int, ...], odd: Any) -> Any:  # noqa: ANN401 - any value of YAML
    if not path:
        return odd
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, key: put(value[key], rest, odd)}
    return [put(inner, rest, odd) if index == key else inner for index, inner in enumerate(value)]


@pytest.mark.parametrize(("group", "kind"), sorted(OPERATORS))
def test_every_field_may_hold_anything(group: str, kind: str) -> None:
    spec = spec_of(kind)
    for path in places(spec):
        for odd in ODD:
            found = manifest(group, kind, put(spec, path, odd))
            for mutant in mutants_of(found):
                assert mutant.body is None or mutant.body["kind"] == kind
                assert str(mutant)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(where=st.sampled_from(sorted(OPERATORS)), body=values)
def test_an_object_may_hold_anything(where: tuple[str, str], body: object) -> None:
    for mutant in mutants_of(manifest(*where, body)):
        assert mutant.body is None or mutant.body["kind"] == where[1]


def test_an_anchor_is_changed_in_one_of_its_places_alone() -> None:
    text = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: s}
spec:
  rules:
  - &rule {to: [{operation: {methods: [GET]}}]}
  - *rule
"""
    (found,) = parse_manifests(text, "m.yaml")
    (mutant,) = (
        each
        for each in mutants_of(found)
        if (each.path, each.change) == ("spec.rules.1.to.0.operation.methods", "PUT added")
    )
    assert mutant.body is not None
    methods = [rule["to"][0]["operation"]["methods"] for rule in mutant.body["spec"]["rules"]]
    assert methods == [["GET"], ["GET", "PUT"]]


def test_a_list_of_thousands_of_values_is_not_copied_for_each() -> None:
    paths = [f"/{number}" for number in range(20_000)]
    rules = [{"to": [{"operation": {"paths": paths}}]}]
    found = list(mutants_of(manifest("security.istio.io", "AuthorizationPolicy", {"rules": rules})))
    edits = [edit for mutant in found for edit in mutant.made.edits or ()]
    assert len(edits) > 3 * len(paths)
    assert sum(isinstance(edit.value, list) for edit in edits) == 1  # any value
    assert all(mutant.body for mutant in found[-3:])
