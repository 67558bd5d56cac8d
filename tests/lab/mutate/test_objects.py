"""Objects that mutants change: one manifest at a time, and the MeshConfig in each of its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.protocol import Sources
from meshlab.istio import load_mesh
from meshlab.manifest import ManifestError
from meshlab.mutate.changed_objects import MESH_CONFIG, Objects, read_objects

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.istio import MeshSettings

NAMESPACE = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n"
PLAIN = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"
OPERATOR = """\
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: i, namespace: istio-system}
spec: {meshConfig: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}}
"""
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy: {mode: REGISTRY_ONLY}
    trustDomain: "1.5"
"""


def objects(tmp_path: Path, manifests: str, config: str = "") -> Objects:
    file = tmp_path / "m.yaml"
    file.write_text(manifests)
    settings = tmp_path / "mesh-config.yaml"
    if config:
        settings.write_text(config)
    return read_objects(Sources((str(file),), mesh_config=settings if config else None))


def settings_of(found: Objects) -> MeshSettings:
    return load_mesh(found.manifests, found.settings()).settings


@pytest.mark.parametrize("text", [OPERATOR, CONFIG_MAP])
def test_a_mesh_config_among_the_manifests_is_changed_where_it_stands(tmp_path: Path, text: str) -> None:
    found = objects(tmp_path, f"{NAMESPACE}---\n{text}")
    assert settings_of(found).outbound_traffic_policy == "REGISTRY_ONLY"
    changes = [mutant for mutant in found.mutants() if mutant.change == "ALLOW_ANY"]
    assert [mutant.kind for mutant in changes] == [MESH_CONFIG]
    changed = settings_of(found.changed(changes[0]))
    assert changed.outbound_traffic_policy == "ALLOW_ANY"
    assert changed.trust_domain == settings_of(found).trust_domain
    assert settings_of(found).outbound_traffic_policy == "REGISTRY_ONLY"


@pytest.mark.parametrize("text", [PLAIN, OPERATOR, CONFIG_MAP])
def test_a_mesh_config_of_its_own_file_is_changed(tmp_path: Path, text: str) -> None:
    found = objects(tmp_path, NAMESPACE, text)
    (mutant,) = (each for each in found.mutants() if each.change == "ALLOW_ANY")
    assert settings_of(found.changed(mutant)).outbound_traffic_policy == "ALLOW_ANY"


def test_the_line_of_a_setting_is_known(tmp_path: Path) -> None:
    found = objects(tmp_path, NAMESPACE, f"# first\n{PLAIN}")
    (mutant,) = (each for each in found.mutants() if each.change == "ALLOW_ANY")
    assert mutant.line == 2
    assert mutant.manifest.source.endswith("mesh-config.yaml")


def test_a_mesh_config_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected one mapping"):
        objects(tmp_path, NAMESPACE, "[]")


def test_one_object_is_changed_or_gone_and_the_others_stay(tmp_path: Path) -> None:
    policy = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
"""
    found = objects(tmp_path, NAMESPACE + policy.replace("NAME", "one") + policy.replace("NAME", "two"))
    mutants = {(mutant.name, mutant.path, mutant.change): mutant for mutant in found.mutants()}
    gone = found.changed(mutants["one", "the object", "removed"])
    assert [manifest.name for manifest in gone.manifests] == ["shop", "two"]
    wider = found.changed(mutants["two", "spec.rules.0.to.0.operation.methods", "PUT added"])
    assert [manifest is same for manifest, same in zip(wider.manifests, found.manifests, strict=True)] == [
        True,
        True,
        False,
    ]


def test_a_rule_with_nothing_but_outlier_detection_stays_one_that_istio_takes(tmp_path: Path) -> None:
    rule = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d, namespace: shop}
spec:
  host: h
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 1}
"""
    found = objects(tmp_path, rule)
    assert load_mesh(found.manifests, found.settings(), inject_unknown_namespaces=True).refusals == ()
