"""Changes of a MeshConfig, which may stand in a file of its own and is no object of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import Change, Edit, removed, replaced
from meshlab.mutate.written import at, entries, mapping, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body, Path

__all__ = ["mesh_config"]

_NORMALIZATIONS = ("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
_DECIDES_NOTHING = (
    "accessLogFile",
    "accessLogFormat",
    "accessLogEncoding",
    "defaultProviders",
    "connectTimeout",
)
_ONLY_BREAKS = ("defaultConfig", "extensionProviders", "trustDomain", "trustDomainAliases", "rootNamespace")
_FOREIGN = "other.example"
_NO_STRANGER = "no client of the battery has an identity of a trust domain that the mesh does not name"


def mesh_config(body: Body) -> Iterator[Change]:
    """Yield the changes of a MeshConfig. What it says of logs decides no request."""
    spec = mapping(body, "spec")
    for name in spec:
        if name not in _DECIDES_NOTHING:
            yield removed(("spec", name), weakens=name not in _ONLY_BREAKS)
    place: Path = ("spec", "outboundTrafficPolicy", "mode")
    if text(body, *place) not in ("", "ALLOW_ANY"):
        yield replaced(place, "ALLOW_ANY", "ALLOW_ANY", weakens=True)
    if "pathNormalization" in spec:
        place = ("spec", "pathNormalization", "normalization")
        for other in _NORMALIZATIONS:
            if other != text(body, *place):
                yield replaced(place, other, other, weakens=True)
    if spec.get("enableAutoMtls") is not False:
        yield replaced(("spec", "enableAutoMtls"), False, "false", weakens=True)
    yield from _trust(body)
    for place, provider in entries(body, "spec", "extensionProviders"):
        if several(body, "spec", "extensionProviders"):
            yield removed(place, weakens=False)
        for kind in ("envoyExtAuthzHttp", "envoyExtAuthzGrpc"):
            if mapping(provider, kind) and at(provider, kind, "failOpen") is not True:
                yield replaced((*place, kind, "failOpen"), True, "set", weakens=True)


def _trust(body: Body) -> Iterator[Change]:
    place: Path = ("spec", "trustDomainAliases")
    for here, alias in texts_with_paths(body, *place):
        if several(body, *place):
            yield removed(here, f"{alias} removed", weakens=False)
    edit = Edit(place, [*values(body, *place), _FOREIGN])
    yield Change(place, f"{_FOREIGN} added", (edit,), weakens=True, unseen=_NO_STRANGER)
