"""ReferenceGrant: which objects of other namespaces may refer to objects of its own namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.references import Kind
from meshlab.istio.read.gateway_api.schema_values import checked_spec, entries, required_name
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["ReferenceGrant", "read_reference_grant"]

_MOST = 16


@dataclass(frozen=True)
class ReferenceGrant:
    """A ReferenceGrant as read.

    Attributes:
        namespace: The namespace of what may be referred to.
        sources: Who may refer: kinds, each with a namespace.
        targets: What they may refer to: kinds, each with a name; an empty name stands for all.
    """

    namespace: str
    name: str
    sources: tuple[tuple[Kind, str], ...]
    targets: tuple[tuple[Kind, str], ...]

    def allows(self, source: Kind, source_namespace: str, target: Kind, target_name: str) -> bool:
        """Return whether a kind of a namespace may refer to an object in the grant's namespace."""
        return (source, source_namespace) in self.sources and any(
            kind == target and name in ("", target_name) for kind, name in self.targets
        )


def read_reference_grant(manifest: Manifest) -> ReferenceGrant:
    """Read a ReferenceGrant.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("from", "to"))
    sources = entries(spec, "from", ("group", "kind", "namespace"), most=_MOST)
    targets = entries(spec, "to", ("group", "kind", "name"), most=_MOST)
    for name, found in (("from", sources), ("to", targets)):
        if not found:
            raise spec.where.key(name).error("missing; a grant needs at least one entry.")
    return ReferenceGrant(
        namespace=manifest.namespace,
        name=manifest.name,
        sources=tuple((_kind(entry), required_name(entry, "namespace", pattern=True)) for entry in sources),
        targets=tuple((_kind(entry), entry.string("name")) for entry in targets),
    )


def _kind(entry: Fields) -> Kind:
    if "group" not in entry:
        raise entry.where.key("group").error('missing; write "" for the core of Kubernetes.')
    return Kind(entry.string("group"), entry.required("kind"))
