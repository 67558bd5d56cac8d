"""Clients that are treated alike: they know the same services and routes, and no policy takes only some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.policy_clauses import peer_atoms
from meshlab.battery.request_values import Peer
from meshlab.bench.authorities import MESH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from meshlab.battery.clauses import Atom
    from meshlab.istio import Mesh, Workload, WorkloadRef

__all__ = ["ClientClasses"]


class ClientClasses:
    """The clients of some meshes, in classes; any one of a class may ask for all of it.

    Args:
        meshes: The meshes.
        clients: The workloads that send, none of them a gateway.
    """

    def __init__(self, meshes: Sequence[Mesh], clients: Sequence[Workload]) -> None:
        self._clients = clients
        self._views = [_View(mesh) for mesh in meshes]
        self._sights = {client.ref: tuple(view.sight(client) for view in self._views) for client in clients}

    def sight(self, client: Workload) -> tuple[object, ...]:
        """Return what a client knows in each mesh, whatever it asks for."""
        return self._sights[client.ref]

    def of(self, servers: Collection[WorkloadRef] | None) -> list[list[Workload]]:
        """Return the classes for what leads to some servers.

        Args:
            servers: The workloads behind it; `None` where a route may lead anywhere.
        """
        atoms = [view.atoms(servers) for view in self._views]
        found: dict[tuple[object, ...], list[Workload]] = {}
        for client in self._clients:
            taken = tuple(view.taken(client, asked) for view, asked in zip(self._views, atoms, strict=True))
            found.setdefault((self._sights[client.ref], taken), []).append(client)
        return list(found.values())


class _View:
    """What one mesh shows to its clients, and what its policies take them for."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._there = {workload.ref for workload in mesh.workloads}
        self._taken: dict[tuple[Atom, WorkloadRef], bool] = {}
        domains = (mesh.settings.trust_domain, *mesh.settings.trust_domain_aliases)
        asked = {
            (policy.attachment.namespace, policy.attachment.name): list(peer_atoms(policy, domains))
            for policy in mesh.authorization_policies
        }
        self._of_workload: dict[WorkloadRef, list[Atom]] = {}
        for workload in mesh.workloads:
            attached = mesh.attached_to(workload, mesh.authorization_policies)
            self._of_workload[workload.ref] = [
                atom
                for policy in attached
                for atom in asked[policy.attachment.namespace, policy.attachment.name]
            ]
        self._gateways = [workload.ref for workload in mesh.workloads if workload.is_gateway]
        # Objects of its own namespace may count for a client alone.
        self._own = {
            *(each.namespace for each in mesh.destination_rules),
            *(each.namespace for each in mesh.virtual_services),
            *(each.namespace for each in mesh.service_entries),
            *(each.namespace for each in mesh.sidecars),
            *_source_namespaces(mesh),
        }

    def atoms(self, servers: Collection[WorkloadRef] | None) -> tuple[Atom, ...]:
        """Return the conditions on peers at some servers, and at the gateways that may stand before them."""
        places = self._of_workload if servers is None else (*servers, *self._gateways)
        return tuple(dict.fromkeys(atom for ref in places for atom in self._of_workload.get(ref, ())))

    def sight(self, client: Workload) -> tuple[object, ...]:
        """Return what a client knows, whatever it asks for."""
        mesh = self._mesh
        namespace = client.ref.namespace
        if not client.injected:
            return "no proxy", namespace, mesh.stated_addresses.get(client.ref)
        scope = mesh.visibility.scope_of(client)
        return (
            client.ref in self._there,
            namespace if namespace in self._own else "",
            hash(tuple(map(id, scope.services))),
            hash(tuple(tuple(map(id, egress.virtual_services)) for egress in scope.egress)),
            scope.outbound,
            tuple(client.labels.get(name) for name in sorted(scope.label_keys)),
            mesh.stated_addresses.get(client.ref),
        )

    def taken(self, client: Workload, atoms: Sequence[Atom]) -> tuple[bool, ...]:
        """Return which conditions a client's identity meets."""
        peer = Peer("mtls", client.identity(self._mesh.trust_domain), MESH)
        found = []
        for atom in atoms:
            key = atom, client.ref
            if key not in self._taken:
                self._taken[key] = atom.holds(peer)
            found.append(self._taken[key])
        return tuple(found)


def _source_namespaces(mesh: Mesh) -> Iterator[str]:
    """Yield the namespaces that matches of routes ask for."""
    for service in mesh.virtual_services:
        found = [match.source_namespace for route in service.http for match in route.matches]
        found += [match.source_namespace for route in service.tls for match in route.matches]
        found += [match.source_namespace for route in service.tcp for match in route.matches]
        yield from filter(None, found)
