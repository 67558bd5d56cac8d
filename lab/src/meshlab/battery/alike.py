"""Clients that nothing tells apart: they know the same services and routes, and no policy takes one and not another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.policies import peer_atoms
from meshlab.battery.values import Peer
from meshlab.bench.authorities import MESH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.battery.clauses import Atom
    from meshlab.istio import Mesh, Workload

__all__ = ["client_classes"]


def client_classes(meshes: Sequence[Mesh], clients: Sequence[Workload]) -> list[list[Workload]]:
    """Return the clients in classes; any one of a class may ask for all of it.

    Args:
        meshes: The meshes.
        clients: The workloads that send, none of them a gateway.
    """
    views = [_View(mesh) for mesh in meshes]
    found: dict[tuple[object, ...], list[Workload]] = {}
    for client in clients:
        found.setdefault(tuple(view.key(client) for view in views), []).append(client)
    return list(found.values())


class _View:
    """What one mesh shows to its clients."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._there = {workload.ref for workload in mesh.workloads}
        domains = (mesh.settings.trust_domain, *mesh.settings.trust_domain_aliases)
        atoms = (atom for policy in mesh.authorization_policies for atom in peer_atoms(policy, domains))
        self._atoms: list[Atom] = list(dict.fromkeys(atoms))
        # Objects of its own namespace may count for a client alone.
        self._own = {
            *(each.namespace for each in mesh.destination_rules),
            *(each.namespace for each in mesh.virtual_services),
            *(each.namespace for each in mesh.service_entries),
            *(each.namespace for each in mesh.sidecars),
        }

    def key(self, client: Workload) -> tuple[object, ...]:
        """Return what two clients have in common that are treated alike."""
        mesh = self._mesh
        namespace = client.ref.namespace
        if not client.injected:
            return "no proxy", namespace, client.ref in mesh.stated_addresses
        scope = mesh.visibility.scope_of(client)
        peer = Peer("mtls", client.identity(mesh.trust_domain), MESH)
        return (
            client.ref in self._there,
            namespace if namespace in self._own else "",
            tuple(map(id, scope.services)),
            tuple(tuple(map(id, egress.virtual_services)) for egress in scope.egress),
            scope.outbound,
            tuple(client.labels.get(name) for name in sorted(scope.label_keys)),
            tuple(atom.holds(peer) for atom in self._atoms),
            mesh.stated_addresses.get(client.ref),
        )
