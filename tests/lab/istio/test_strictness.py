"""Whatever the compiler does not know it refuses, wherever it stands."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.read_fields import complete_examples
from meshlab.istio import load_mesh
from meshlab.istio.model.load import KnownReads
from meshlab.istio.read.object_kinds import READ
from meshlab.istio.read.pods import TEMPLATES
from meshlab.istio.read.recording import pattern_of, recorded_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.read.recording import KnownMapping, Recording

    from tests.lab.istio.conftest import SmallMesh


def _recorded() -> Recording:
    with recorded_fields() as recording:
        load_mesh(complete_examples())
    return recording


EXAMPLES = complete_examples()
RECORDED = _recorded()
KNOWN = KnownReads(EXAMPLES)
"""What becomes of the examples as they are, so that only the changed one is read again."""

NOT_STRICT = {*TEMPLATES, ("", "Namespace"), ("", "ServiceAccount")}
"""Kinds of which only what concerns the mesh is read; Kubernetes checks the rest."""

NOT_ENTERED = {"pilot", "envoyFileAccessLog"}
"""Fields below the `spec` of an IstioOperator of which only names are read; what stands around `spec` is not read."""


def mappings(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from mappings(item, (*path, key))


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path


def at(body: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any YAML
    for part in path:
        body = body[part]
    return body


def known(number: int, path: tuple[str | int, ...]) -> KnownMapping | None:
    """What the reader of an example knows of the mapping at a path; `None` where it does not visit it."""
    manifest = EXAMPLES[number]
    visited = RECORDED.mappings[manifest.group, manifest.kind]
    return visited.get(pattern_of(path, visited))


def is_passed_over(number: int, path: tuple[str | int, ...]) -> bool:
    above = [(known(number, path[:depth]), path[depth]) for depth in range(len(path))]
    return any(found is not None and name in found.passed_over for found, name in above)


STRICT = [number for number, found in enumerate(EXAMPLES) if (found.group, found.kind) not in NOT_STRICT]
MAPPINGS = [
    (number, path)
    for number in STRICT
    for path in mappings(EXAMPLES[number].body)
    if not is_passed_over(number, path)
    and not (EXAMPLES[number].kind == "IstioOperator" and (path[:1] != ("spec",) or set(path) & NOT_ENTERED))
]
STRICT_MAPPINGS = [
    (number, path) for number, path in MAPPINGS if (found := known(number, path)) and not found.free
]
LEAVES = [
    (number, path)
    for number in STRICT
    for path in leaves(EXAMPLES[number].body)
    if path[0] == "spec"
    and EXAMPLES[number].kind != "IstioOperator"
    and path[-1] != "targetPort"
    and path[-2:] not in [("percentage", "value"), ("mirrorPercentage", "value")]
    and not is_passed_over(number, path)
]


def label(value: object) -> str | None:
    return ".".join(map(str, value)) if isinstance(value, tuple) else None


def problems_with(number: int, body: dict[str, Any]) -> str:
    """The refusals of the examples where one of them is changed."""
    changed = list(EXAMPLES)
    changed[number] = replace(changed[number], body=body)
    refusals = load_mesh(changed, known=KNOWN).refusals
    return "\n".join(str(problem) for refusal in refusals for problem in refusal.problems)


def test_the_complete_examples_are_accepted() -> None:
    load_mesh(EXAMPLES).require_complete()


def test_every_kind_that_is_read_has_a_complete_example() -> None:
    shown = {(found.group, found.kind) for found in EXAMPLES}

    assert sorted(READ - set(TEMPLATES) - shown) == []
    assert shown & set(TEMPLATES)


def test_every_mapping_of_the_examples_is_visited_by_a_reader() -> None:
    unvisited = [label(path) for number, path in MAPPINGS if known(number, path) is None]

    assert unvisited == []


def test_every_field_that_is_known_is_read_or_passed_over_with_a_reason() -> None:
    unread = [
        f"{kind[1]} {'.'.join(path)}: {name}"
        for kind, visited in RECORDED.mappings.items()
        for path, found in visited.items()
        if path not in ((), ("metadata",)) and not found.free
        for name in found.known
        if name not in found.read
    ]

    assert unread == []


@pytest.mark.parametrize(("number", "path"), STRICT_MAPPINGS, ids=label)
def test_an_unknown_field_is_refused_by_its_path(number: int, path: tuple[str | int, ...]) -> None:
    body = copy.deepcopy(dict(EXAMPLES[number].body))
    at(body, path)["surprise"] = "x"

    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*path, "surprise"))
    assert f" {dotted.removeprefix('.')}:" in problems_with(number, body)


@pytest.mark.parametrize(("number", "path"), LEAVES, ids=label)
def test_a_value_of_another_type_is_refused_by_its_path(number: int, path: tuple[str | int, ...]) -> None:
    body = copy.deepcopy(dict(EXAMPLES[number].body))
    at(body, path[:-1])[path[-1]] = 1.5

    assert "expected" in problems_with(number, body)


@pytest.mark.parametrize(
    ("api_version", "kind", "says"),
    [
        ("networking.istio.io/v1", "ProxyConfig", "write networking.istio.io/v1beta1."),
        ("networking.istio.io/v1alpha3", "EnvoyFilter", "EnvoyFilter is not supported"),
        ("extensions.istio.io/v1alpha1", "WasmPlugin", "runs no plugins"),
        ("gateway.networking.k8s.io/v1alpha2", "BackendLBPolicy", "it is not compiled"),
        ("networking.istio.io/v2", "Gateway", "write networking.istio.io/v1."),
        ("networking.istio.io/v1", "Surprise", "it is not compiled"),
    ],
)
def test_a_kind_that_may_decide_a_request_and_is_not_compiled_is_refused(
    small: SmallMesh, api_version: str, kind: str, says: str
) -> None:
    text = f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: x, namespace: shop}}, spec: {{}}}}"

    assert says in small.refusal(text)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("networking.k8s.io/v1", "Gateway"),
        ("kubeflow.org/v1", "Notebook"),
    ],
)
def test_what_never_touches_a_request_is_passed_over(small: SmallMesh, api_version: str, kind: str) -> None:
    text = (
        f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: x, namespace: shop}}, anything: {{}}}}"
    )

    mesh = small.mesh(text)

    assert replace(mesh, passed_over=()) == small.mesh()
    assert [manifest.kind for manifest in mesh.passed_over] == [kind]


def test_the_same_object_twice_is_refused_with_both_places(small: SmallMesh) -> None:
    text = small.base("Service", "cart").replace("cart", "twice")

    other = small.changed(text, "spec.ports.0.port", 81)

    assert "test.yaml:1 has the same object" in small.refusal(text, other)
    # The same object word for word, as when a file is named twice, says nothing new.
    assert small.mesh(text, text) == small.mesh(text)


def test_a_policy_without_a_namespace_is_refused(small: SmallMesh) -> None:
    text = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: x}, spec: {}}"

    assert "metadata.namespace: missing" in small.refusal(text)


@pytest.mark.parametrize(
    ("api_version", "name"),
    [
        ("networking.istio.io/v1beta1", "VirtualService"),
        ("networking.istio.io/v1alpha3", "VirtualService"),
        ("networking.istio.io/v1alpha3", "Gateway"),
    ],
)
def test_an_old_version_is_read_alike_and_noted(small: SmallMesh, api_version: str, name: str) -> None:
    current = small.base(name, "cart" if name == "VirtualService" else "door")
    mesh = small.mesh(small.changed(current, "apiVersion", api_version))

    assert mesh.refusals == ()
    (note,) = mesh.notes
    assert "is an old version; write v1" in str(note)


def test_all_that_is_wrong_is_shown_at_once(small: SmallMesh) -> None:
    gateway = small.changed(small.base("Gateway", "door"), "spec.surprise", 1)
    gateway = small.changed(gateway, "spec.servers.0.surprise", 1)
    route = small.changed(small.base("VirtualService", "cart"), "spec.surprise", 1)

    lines = small.refusal(gateway, route).splitlines()
    assert len([line for line in lines if "this field is not known" in line]) == 3


def test_a_field_that_stands_twice_is_refused(small: SmallMesh) -> None:
    text = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: x, namespace: shop}
spec:
  mtls: {mode: STRICT}
  mtls: {mode: DISABLE}
"""
    assert small.refusal(text).startswith(
        "test.yaml:7: PeerAuthentication shop/x: spec.mtls: stands here twice"
    )


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_a_label_or_annotation_that_istio_acts_on_is_refused(small: SmallMesh, place: str) -> None:
    text = small.changed(
        small.base("VirtualService", "cart"), f"metadata.{place}", {"istio.io/use-waypoint": "canary"}
    )

    assert f"metadata.{place}.istio.io/use-waypoint: what this changes is not known" in small.refusal(text)


def test_a_policy_for_a_workload_without_a_proxy_is_refused(small: SmallMesh) -> None:
    policy = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: x, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}}
"""
    bare = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"

    assert "selects shop/cart, which has no proxy" in small.refusal(policy, bare)


def test_a_refusal_names_file_document_object_and_field(small: SmallMesh) -> None:
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n---\n"
        """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: LOOSE}}
"""
    )

    assert small.refusal(text).startswith(
        "test.yaml:9: PeerAuthentication shop/default: spec.mtls.mode: 'LOOSE'"
    )
