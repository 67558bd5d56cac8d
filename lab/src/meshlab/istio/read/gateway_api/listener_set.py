"""ListenerSet: listeners that another object adds to a Gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.listener import Listener, read_listeners
from meshlab.istio.read.gateway_api.references import Kind, ObjectRef, read_object_ref
from meshlab.istio.read.gateway_api.schema_values import (
    GATEWAY_API,
    checked_spec,
    creation_time,
    metadata_map,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Where
    from meshlab.manifest import Manifest

__all__ = ["ListenerSet", "read_listener_set"]

_LABELS = ("networking.istio.io/gatewayPort", "topology.istio.io/network")


@dataclass(frozen=True)
class ListenerSet:
    """A ListenerSet as read.

    Attributes:
        parent: The Gateway that it adds listeners to.
        created: When it was created, as an export from a cluster says; listeners of older sets come first.
    """

    namespace: str
    name: str
    parent: ObjectRef
    listeners: tuple[Listener, ...]
    labels: Mapping[str, str]
    created: dt.datetime
    where: Where


def read_listener_set(manifest: Manifest) -> ListenerSet:
    """Read a ListenerSet.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("parentRef", "listeners"), labels=_LABELS)
    if spec.raw("parentRef") is None:
        raise spec.where.key("parentRef").error("missing; name a Gateway.")
    parent = spec.mapping("parentRef", ("group", "kind", "name", "namespace"))
    return ListenerSet(
        namespace=manifest.namespace,
        name=manifest.name,
        parent=read_object_ref(parent, manifest.namespace, Kind(GATEWAY_API, "Gateway")),
        listeners=read_listeners(spec, manifest.namespace),
        labels=metadata_map(manifest, "labels"),
        created=creation_time(manifest),
        where=spec.where,
    )
