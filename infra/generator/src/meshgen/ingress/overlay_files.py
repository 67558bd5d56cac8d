"""The component of an overlay that has callers of its own: what it changes, and the contract's values for all of it.

Each object that differs from the one of all overlays is replaced as a whole, so nothing of a caller is left that the
overlay describes in another way. An overlay has every object of all overlays, since callers and services must agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.generated import objects_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from meshgen.generated import GeneratedFile, Object

__all__ = ["is_changed", "overlay_component"]

_ADDED = "added.yaml"
_REPLACEMENTS = "replacements.yaml"

Key = tuple[str, str, str]


def overlay_component(
    overlay: Path,
    source: str,
    shared: Iterable[Object],
    own: Iterable[Object],
    replacements: Iterable[Mapping[str, Any]],
) -> Iterator[GeneratedFile]:
    """Yield the files of the component `generated` of an overlay.

    Args:
        overlay: The overlay's directory.
        source: The overlay's description, as a path from the project's top directory.
        shared: The generated objects of all overlays.
        own: The generated objects as this overlay has them.
        replacements: kustomize's replacements for the overlay's objects, in order.
    """
    directory = overlay / "generated"
    before, after = _by_key(shared), _by_key(own)
    added = [one for key, one in after.items() if key not in before]
    changed = {key: one for key, one in after.items() if key in before and before[key] != one}
    patches: list[dict[str, Any]] = []
    for key, one in changed.items():
        _, namespace, name = key
        file = f"{namespace}-{name}.yaml"
        patches.append({"path": file, "target": {"kind": one["kind"], **one["metadata"]}})
        spec = [{"op": "replace", "path": "/spec", "value": one["spec"]}]
        yield objects_file(directory / file, source, [spec])
    if added:
        yield objects_file(directory / _ADDED, source, added)
    yield objects_file(directory / _REPLACEMENTS, source, [list(replacements)])
    component: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "components": ["../../../contract/values"],
        **({"resources": [_ADDED]} if added else {}),
        "patches": patches,
        "replacements": [{"path": _REPLACEMENTS}],
    }
    yield objects_file(directory / "kustomization.yaml", source, [component])


def is_changed(
    namespace: str, labels: Mapping[str, str], shared: Iterable[Object], own: Iterable[Object]
) -> bool:
    """Return whether an overlay lets other callers, or other tokens of them, into one workload.

    Args:
        namespace: The workload's namespace.
        labels: What selects its pods.
        shared: The generated objects of all overlays.
        own: The generated objects as this overlay has them.
    """
    before, after = (
        {
            key: one
            for key, one in _by_key(objects).items()
            if one["kind"] == "AuthorizationPolicy"
            and key[1] == namespace
            and one["spec"]["selector"]["matchLabels"] == labels
        }
        for objects in (shared, own)
    )
    return before != after


def _by_key(objects: Iterable[Object]) -> dict[Key, Object]:
    return {_key(one): one for one in objects}


def _key(one: Object) -> Key:
    return one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]
