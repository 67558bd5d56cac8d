"""ServiceEntries of one namespace that describe one host differently, and that nothing puts in order.

The oldest counts (`pilot/pkg/model/push_context.go#SortServicesByCreationTime`). Where both are equally old, as they
are in files, Istio orders services by name and namespace. Services of ServiceEntries are named by their host, so these
are equal as well, and each start of istiod chooses anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.trust import Refusal, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.service_entry import ServiceEntry

__all__ = ["tied_entries"]


def tied_entries(mesh: Mesh) -> Iterator[Refusal]:
    """Yield a refusal for each ServiceEntry that differs from an earlier one in more than its servers."""
    seen: dict[tuple[str, str, str], list[ServiceEntry]] = {}
    for entry in mesh.service_entries:
        for host in entry.hosts:
            others = seen.setdefault((entry.namespace, host, entry.created), [])
            other = next((each for each in others if _differ(each, entry)), None)
            others.append(entry)
            if other is None:
                continue
            problem = (
                f"{other.where.manifest} describes {host} differently, and Istio may take either of them; make one "
                "ServiceEntry of both, or write their creationTimestamp."
            )
            manifests = (other.where.manifest, entry.where.manifest)
            scopes = [scope for each in manifests for scope in scope_of(each, mesh.root_namespace)]
            yield Refusal((entry.where.manifest.problem(("spec", "hosts"), problem),), tuple(scopes))
            break


def _differ(one: ServiceEntry, other: ServiceEntry) -> bool:
    """Return whether it matters which of two comes first. Their servers are pooled, and other ports are added."""
    ports = {port.number: (port.name, port.protocol, port.target) for port in one.ports}
    others = {port.number: (port.name, port.protocol, port.target) for port in other.ports}
    return _settings(one) != _settings(other) or any(
        ports[number] != others[number] for number in ports.keys() & others.keys()
    )


def _settings(entry: ServiceEntry) -> tuple[object, ...]:
    return (
        entry.resolution,
        entry.external,
        entry.selector is None,
        frozenset(entry.export_to),
        frozenset(entry.addresses),
        frozenset(entry.subject_alt_names),
    )
