"""Every kustomization of `infra/`, and those among them that are applied to a cluster."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from meshlab.kustomize import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.manifest import Manifest

__all__ = ["ALONE", "APPLIED", "KUSTOMIZATIONS", "LIMITS", "ROOT", "STEPS", "built", "parts", "with_limits"]

ROOT = Path(__file__).parents[3]
MESH = ROOT / "infra/mesh"

KUSTOMIZATIONS = sorted(path.parent for path in (ROOT / "infra").rglob("kustomization.yaml"))
"""All of them, components and steps of a policy test's story included."""


def _kustomization(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((directory / "kustomization.yaml").read_text())
    return found


ALONE = [path for path in KUSTOMIZATIONS if _kustomization(path)["kind"] == "Kustomization"]
"""What can be built by itself; a component needs a kustomization around it."""

APPLIED = [
    *sorted(path for path in ALONE if path.parent.name == "overlays"),
    MESH / "access",
    *sorted(path for path in ALONE if path.parent.parts[-2:] == ("access", "bindings")),
    *sorted(path for path in ALONE if path.parent.name == "network-policies"),
]
"""What is applied to a cluster: overlays, and what an overlay may add by the directory's name."""

STEPS = [path for path in ALONE if path.is_relative_to(ROOT / "infra/policy-tests")]
"""The steps of stories, each a mesh of its own; no cluster gets them, and a cluster would take them."""

LIMITS = MESH / "ingress/limits"
"""The component that no overlay of the project has."""


def with_limits(directory: Path) -> Path:
    """Write an overlay with the optional limits into an empty directory and return it."""
    overlay = os.path.relpath(MESH / "overlays/example", directory)
    component = os.path.relpath(LIMITS, directory)
    value = {"kind": "Kustomization", "resources": [overlay], "components": [component]}
    (directory / "kustomization.yaml").write_text(yaml.safe_dump(value))
    return directory


@cache
def built(directory: Path) -> tuple[Manifest, ...]:
    """Return the objects of a kustomization, as the lab reads them."""
    return tuple(build(directory))


def parts(directory: Path) -> Iterator[Path]:
    """Return the directories that a kustomization takes in, itself among them."""
    yield directory
    found = _kustomization(directory)
    for name in (*found.get("resources", ()), *found.get("components", ())):
        part = (directory / name).resolve()
        if part.is_dir():
            yield from parts(part)
