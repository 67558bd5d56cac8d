"""Loading never raises: a value of any type at any place is read or refused."""

from __future__ import annotations

import copy
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.read_fields import complete_examples
from meshlab.istio import Placement, SecretSocket, compile_proxy, load_mesh
from meshlab.manifest import Manifest, ManifestError, to_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = complete_examples()
# Besides what every example holds: places that few objects write.
MORE: tuple[dict[str, Any], ...] = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}}},
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "it", "namespace": "shop"},
        "data": {"a": "b"},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "it", "namespace": "shop", "annotations": {"a": "b"}},
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "it"}, "annotations": {"a": "b"}},
                "spec": {
                    "containers": [
                        {
                            "name": "istio-proxy",
                            "args": ["proxy", "router"],
                            "env": [{"name": "ISTIO_META_UNPRIVILEGED_POD", "value": "true"}],
                        },
                        {"name": "it", "ports": [{"containerPort": 80, "name": "http"}]},
                    ],
                },
            }
        },
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "it", "namespace": "shop", "labels": {"kubernetes.io/service-name": "it"}},
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "it",
            "namespace": "shop",
            "annotations": {"kubernetes.io/ingress.class": "istio"},
        },
        "spec": {"ingressClassName": "istio"},
    },
)
HOSTILE: tuple[Any, ...] = (None, {}, "x\x00", -(2**70), [[["x"]]], float("inf"), {"x": {"y": 1}})
BODIES = [*(manifest.body for manifest in EXAMPLES), *MORE]


def places(value: object, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*way, key)
        yield from places(item, (*way, key))


def changed(body: Any, way: tuple[str | int, ...], value: object) -> Any:  # noqa: ANN401 - a document
    document = copy.copy(body)
    document[way[0]] = changed(body[way[0]], way[1:], value) if way[1:] else value
    return document


def load(document: object) -> None:
    try:
        manifest: Manifest = to_manifest(document, "mesh.yaml")
    except ManifestError:
        return
    mesh = load_mesh([manifest], inject_unknown_namespaces=True)
    ports = count(20_000)
    placement = Placement.plan(mesh, lambda: next(ports))
    for workload in mesh.workloads:
        if workload.injected:
            compile_proxy(mesh, workload.ref, placement, SecretSocket())
    assert all(
        map(str, (*mesh.notes, *(problem for refusal in mesh.refusals for problem in refusal.problems)))
    )


@pytest.mark.parametrize("body", BODIES, ids=[f"{body['kind']}-{index}" for index, body in enumerate(BODIES)])
def test_a_value_of_any_type_is_read_or_refused(body: dict[str, Any]) -> None:
    for way in places(body):
        for value in HOSTILE:
            load(changed(body, way, value))
