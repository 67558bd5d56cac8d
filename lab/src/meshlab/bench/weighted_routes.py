"""Routes that choose between destinations by weight, and the same routes with one destination each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.istio.read.object_kinds import GATEWAY_API

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.manifest import Manifest

__all__ = ["each_destination"]

_KINDS = ("http", "tls", "tcp")


def each_destination(manifests: Sequence[Manifest]) -> list[tuple[Manifest, ...]]:
    """Return the manifests once for each destination that a route chooses by weight; none where no route does.

    Args:
        manifests: The objects of a mesh. They are not changed.
    """
    most = max((len(chosen) for manifest in manifests for chosen in _weighted(manifest)), default=0)
    return [tuple(_leading_to(manifest, number) for manifest in manifests) for number in range(most)]


def _weighted(manifest: Manifest) -> Iterator[list[Any]]:
    """Yield the destinations of each route of an object that chooses between several."""
    for _, destinations in _routes(manifest):
        if len(chosen := _chosen(manifest, destinations)) > 1:
            yield chosen


def _routes(manifest: Manifest) -> Iterator[tuple[tuple[str, int, str], list[Any]]]:
    """Yield the place of each list of destinations in `spec`, and the list."""
    spec = manifest.body.get("spec")
    if not isinstance(spec, dict):
        return
    in_gateway_api = manifest.group == GATEWAY_API
    if not in_gateway_api and manifest.kind != "VirtualService":
        return
    name = "backendRefs" if in_gateway_api else "route"
    for kind in ("rules",) if in_gateway_api else _KINDS:
        rules = spec.get(kind)
        for number, rule in enumerate(rules if isinstance(rules, list) else ()):
            found = rule.get(name) if isinstance(rule, dict) else None
            if isinstance(found, list) and all(isinstance(each, dict) for each in found):
                yield (kind, number, name), found


def _chosen(manifest: Manifest, destinations: list[Any]) -> list[Any]:
    """Return the destinations that get requests: without a weight none in Istio, and one part in the Gateway API."""
    usual = 1 if manifest.group == GATEWAY_API else 0
    return [each for each in destinations if each.get("weight", usual)]


def _leading_to(manifest: Manifest, number: int) -> Manifest:
    """Return an object whose routes lead to one of their destinations each."""
    body: dict[str, Any] = dict(manifest.body)
    for (kind, index, name), destinations in _routes(manifest):
        chosen = _chosen(manifest, destinations)
        if len(chosen) < 2:
            continue
        one = {**chosen[number % len(chosen)], "weight": 100}
        rules = list(body["spec"][kind])
        rules[index] = {**rules[index], name: [one]}
        body["spec"] = {**body["spec"], kind: rules}
    return manifest if body == manifest.body else replace(manifest, body=body)
