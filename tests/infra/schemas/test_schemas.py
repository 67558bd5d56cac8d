"""What a cluster says of every object of infra/mesh: Kubernetes' strict schemas, and Istio's with their CEL rules."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from tests.infra.schemas.custom_resources import CustomResources, read_definitions
from tests.infra.schemas.environments import (
    ALONE,
    APPLIED,
    KUSTOMIZATIONS,
    LIMITS,
    ROOT,
    STEPS,
    built,
    parts,
    with_limits,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.manifest import Manifest

KUBERNETES_VERSION = "1.33"
MESH = ROOT / "infra/mesh"

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None,
    reason="kubectl is not on PATH; it would have shown that it builds what the lab reads",
)
CRDS = Path(os.environ.get("ISTIO_CRDS") or "missing")
needs_crds = pytest.mark.skipif(
    not CRDS.is_file(),
    reason="ISTIO_CRDS names no file with Istio's CustomResourceDefinitions; it would have shown that a cluster "
    "accepts every Istio object of infra/mesh, CEL rules included",
)


def _name(directory: Path) -> str:
    return directory.relative_to(ROOT / "infra").as_posix()


@pytest.fixture(params=[*APPLIED, *STEPS, LIMITS], ids=_name)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Manifest, ...]:
    """The objects of what is applied to a cluster, and of steps of a story; the limits as part of an overlay."""
    return built(with_limits(tmp_path) if request.param == LIMITS else request.param)


def _is_istios(manifest: Manifest) -> bool:
    return manifest.group.endswith("istio.io")


_REACHED = {part for directory in APPLIED for part in parts(directory)} | {LIMITS}
"""What is built as a part of something that is looked at here."""


def test_every_step_of_the_egress_story_and_its_layers_is_looked_at_here() -> None:
    stories = {path.parent for path in (ROOT / "infra/policy-tests").rglob("kustomization.yaml")}
    assert len(stories) >= 15
    assert stories == set(STEPS)


def test_every_kustomization_of_the_mesh_is_part_of_what_is_looked_at_here() -> None:
    assert [_name(path) for path in KUSTOMIZATIONS if path not in _REACHED and MESH in path.parents] == []
    assert {"mesh/overlays/example", "mesh/overlays/plain-http", "mesh/egress/overlays/example"} <= set(
        map(_name, APPLIED)
    )
    assert {"mesh/lambda-bridge/overlays/gke", "mesh/lambda-bridge/overlays/eks"} <= set(map(_name, APPLIED))


# --- kubectl ---


def _by_name(bodies: list[Any]) -> list[Any]:
    return sorted(
        bodies,
        key=lambda body: (body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]),
    )


def _kubectl_builds_the_same(directory: Path) -> None:
    run = subprocess.run(["kubectl", "kustomize", str(directory)], capture_output=True, text=True, check=True)
    ours = [json.loads(json.dumps(found.body)) for found in built(directory)]
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    assert _by_name(list(yaml.load_all(run.stdout, loader))) == _by_name(ours)


@needs_kubectl
@pytest.mark.parametrize(
    "directory", [*APPLIED, *(path for path in ALONE if path not in _REACHED)], ids=_name
)
def test_kubectl_builds_what_the_lab_reads(directory: Path) -> None:
    _kubectl_builds_the_same(directory)


@needs_kubectl
def test_kubectl_builds_what_the_lab_reads_with_the_optional_limits(tmp_path: Path) -> None:
    _kubectl_builds_the_same(with_limits(tmp_path))


# --- core objects ---


@cache
def _kubernetes_says(body: str) -> str:
    try:
        kubernetes_validate.validate(json.loads(body), KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return ""


def test_kubernetes_accepts_every_core_object(objects: tuple[Manifest, ...]) -> None:
    core = [found for found in objects if not _is_istios(found)]
    assert core
    for found in core:
        assert (str(found), _kubernetes_says(json.dumps(found.body))) == (str(found), "")


@pytest.mark.parametrize("kind", ["Deployment", "Service", "NetworkPolicy", "HorizontalPodAutoscaler"])
def test_kubernetes_refuses_a_field_that_is_misspelt(kind: str) -> None:
    manifest = next(found for found in built(MESH / "lambda-bridge/overlays/gke") if found.kind == kind)
    body = json.loads(json.dumps(manifest.body))
    assert _kubernetes_says(json.dumps(body)) == ""
    body["spec"]["replica"] = 2
    assert "replica" in _kubernetes_says(json.dumps(body))


# --- Istio's objects ---


@cache
def _istio() -> CustomResources:
    return CustomResources(read_definitions(CRDS))


def test_every_istio_object_is_of_the_newest_version(objects: tuple[Manifest, ...]) -> None:
    versions = {(found.kind == "EnvoyFilter", found.version) for found in objects if _is_istios(found)}
    assert versions <= {(False, "v1"), (True, "v1alpha3")}  # an EnvoyFilter has no other


@needs_crds
def test_istio_accepts_every_istio_object(objects: tuple[Manifest, ...]) -> None:
    refused = {str(found): _istio().problems(found.body) for found in objects if _is_istios(found)}
    assert {name: problems for name, problems in refused.items() if problems} == {}


ISTIO_KINDS = [
    "AuthorizationPolicy", "DestinationRule", "Gateway", "PeerAuthentication", "RequestAuthentication", "ServiceEntry",
    "Sidecar", "Telemetry", "VirtualService",
]  # fmt: skip


@cache
def _istio_objects() -> dict[str, Any]:
    """Return one object of each of Istio's kinds that the overlays have, by its kind."""
    found = [manifest for directory in APPLIED for manifest in built(directory) if _is_istios(manifest)]
    return {
        manifest.kind: json.loads(json.dumps(manifest.body)) for manifest in found if manifest.body["spec"]
    }


def test_the_kinds_that_are_tried_below_are_those_of_the_overlays() -> None:
    assert sorted(_istio_objects()) == ISTIO_KINDS


@needs_crds
@pytest.mark.parametrize("kind", ISTIO_KINDS)
def test_a_field_that_is_misspelt_is_refused(kind: str) -> None:
    good = _istio_objects()[kind]
    assert _istio().problems(good) == []
    for field in good["spec"]:
        bad = copy.deepcopy(good)
        bad["spec"][f"{field}s"] = bad["spec"].pop(field)
        assert any(f"{field}s" in problem for problem in _istio().problems(bad)), field


@needs_crds
@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("AuthorizationPolicy", {"rules": [{"from": [{"source": {"namespace": ["a"]}}]}]}, "namespace"),
        ("AuthorizationPolicy", {"action": "Allow"}, "Allow"),
        ("AuthorizationPolicy", {"rules": [{"from": [{"source": {"principals": "a"}}]}]}, "principals"),
        ("AuthorizationPolicy", {"rules": [{"when": [{"values": ["a"]}]}]}, "'key' is a required property"),
        ("AuthorizationPolicy", {"selector": {"matchLabels": {"app": "*"}}}, "spec.selector.matchLabels"),
        (
            "AuthorizationPolicy",
            {"selector": {"matchLabels": {"app": "a"}}, "targetRefs": [{"kind": "Service", "name": "a"}]},
            "spec: ",
        ),
        ("RequestAuthentication", {"jwtRules": [{"issuer": "a", "jwksUri": "ftp://a"}]}, "jwksUri: "),
        ("PeerAuthentication", {"portLevelMtls": {"80": {"mode": "STRICT"}}}, "spec: portLevelMtls"),
        ("PeerAuthentication", {"mtls": {"mode": "STRIKT"}}, "STRIKT"),
        ("ServiceEntry", {"hosts": ["*"]}, "spec.hosts.0: "),
        ("ServiceEntry", {"hosts": ["a.b"], "endpoints": [{"address": "1.2.3.4"}]}, "spec: "),
        ("ServiceEntry", {"hosts": ["a.b"], "ports": [{"name": "a", "number": 0}]}, "spec.ports.0.number: "),
        ("DestinationRule", {"host": "a", "trafficPolicy": {"tunnel": {"targetHost": "a"}}}, "targetPort"),
        (
            "DestinationRule",
            {"host": "a", "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "0s"}}}},
            "1ms",
        ),
        ("VirtualService", {"hosts": ["a"], "http": [{"timeout": "soon"}]}, "spec.http.0.timeout: "),
        ("VirtualService", {"http": [{"route": [{"destination": {"host": "a", "port": 80}}]}]}, "port"),
        ("Gateway", {"servers": [{"hosts": ["a"]}]}, "'port' is a required property"),
        ("Sidecar", {"outboundTrafficPolicy": {"mode": "REGISTRY"}}, "spec.outboundTrafficPolicy.mode: "),
        ("Telemetry", {"accessLogging": [{"provider": [{"name": "envoy"}]}]}, "provider"),
    ],
)  # fmt: skip
def test_istio_refuses_what_its_definitions_refuse(kind: str, spec: Mapping[str, Any], says: str) -> None:
    body = {**_istio_objects()[kind], "spec": spec}
    assert any(says in problem for problem in _istio().problems(body)), _istio().problems(body)


@needs_crds
def test_a_version_or_a_kind_that_istio_does_not_serve_is_refused() -> None:
    body = _istio_objects()["Gateway"]
    for change in ({"apiVersion": "networking.istio.io/v2"}, {"kind": "Gatway"}):
        assert _istio().problems({**body, **change})
    nowhere = {**body, "metadata": {"name": "a"}}
    assert _istio().problems(nowhere) == ["metadata.namespace: needed"]
