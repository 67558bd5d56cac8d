"""The contract component of the Lambda bridge: a kustomize replacement for each `${KEY}` in its manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from meshgen.contract import replacements, targets
from meshgen.generated import GeneratedFile, objects_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["lambda_bridge_files"]

_BRIDGE = "infra/mesh/lambda-bridge"
_KUSTOMIZATIONS = frozenset({"Kustomization", "Component"})
_NOTE = """Writes the values of bridge.env into the manifests of both sides. An overlay lists it last.
The file lies here because kustomize reads no file outside its own directory."""


def lambda_bridge_files(root: Path) -> list[GeneratedFile]:
    """Return the generated files of the Lambda bridge.

    Args:
        root: The project's top directory.

    Raises:
        PlaceError: A reference stands where kustomize cannot replace it.
    """
    bridge = root / _BRIDGE
    if not bridge.is_dir():
        return []
    files = sorted(path for side in ("gke", "eks") for path in (bridge / side).rglob("*.yaml"))
    objects = [
        document
        for path in files
        for document in yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    ]
    component: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "configMapGenerator": [
            {
                "name": "bridge",
                "envs": ["bridge.env"],
                "options": {
                    "disableNameSuffixHash": True,
                    # A source for the replacements, never applied.
                    "annotations": {"config.kubernetes.io/local-config": "true"},
                },
            }
        ],
        "replacements": replacements(
            targets(found for found in objects if found["kind"] not in _KUSTOMIZATIONS), "bridge"
        ),
    }
    source = f"{_BRIDGE}/gke and {_BRIDGE}/eks"
    return [objects_file(bridge / "contract/kustomization.yaml", source, [component], _NOTE)]
