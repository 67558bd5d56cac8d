"""Changes of a MeshConfig, which stands in a file of its own and is no object of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import with_value, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.mutate.edits import Body, Changes, Path

__all__ = ["MESH_CONFIG", "as_object", "mesh_config_changes"]

MESH_CONFIG = "MeshConfig"
_NORMALIZATIONS = ("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
_LOGS = ("accessLogFile", "accessLogFormat", "accessLogEncoding")


def as_object(settings: Mapping[str, Any]) -> Body:
    """Return a MeshConfig in the shape of an object, so that it is changed like one."""
    metadata = {"name": "mesh", "namespace": "istio-system"}
    return {"kind": MESH_CONFIG, "metadata": metadata, "spec": dict(settings)}


def mesh_config_changes(body: Body) -> Changes:
    """Yield the changes of a MeshConfig. What it says of logs decides no request."""
    spec = body["spec"]
    for name in spec:
        if name not in _LOGS:
            yield ("spec", name), "removed", without(body, ("spec", name))
    if "outboundTrafficPolicy" in spec:
        place: Path = ("spec", "outboundTrafficPolicy", "mode")
        yield place, "ALLOW_ANY", with_value(body, place, "ALLOW_ANY")
    if "pathNormalization" in spec:
        place = ("spec", "pathNormalization", "normalization")
        for other in _NORMALIZATIONS:
            if other != spec["pathNormalization"]["normalization"]:
                yield place, other, with_value(body, place, other)
    aliases = [*spec.get("trustDomainAliases", ()), "other.example"]
    yield (
        ("spec", "trustDomainAliases"),
        "other.example added",
        with_value(body, ("spec", "trustDomainAliases"), aliases),
    )
