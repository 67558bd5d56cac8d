"""HTTP filters for the policies of a workload, in the order in which Istio runs them.

Ports in policies are the pod's own. Here every port of every pod listens elsewhere, so the placement translates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy import rbac
from meshlab.istio.envoy.access_log import access_log
from meshlab.istio.envoy.clusters.authorizers import authorizer_cluster_names
from meshlab.istio.envoy.jwt_authn import jwt_filter

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.connection_manager import Side
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload

__all__ = ["access_loggers", "connection_filters", "policy_filters"]


def policy_filters(mesh: Mesh, workload: Workload, placement: Placement) -> list[Json]:
    """Return the HTTP filters: external authorization, token verification, then what is audited, denied and allowed."""
    authentication = jwt_filter(
        mesh.attached_to(workload, mesh.request_authentications),
        keys=mesh.issuer_keys,
        clear_route_cache=workload.is_gateway,
    )
    authorization = rbac.http_filters(
        mesh.attached_to(workload, mesh.authorization_policies),
        _context(mesh, workload, placement),
    )
    return [
        *authorization.before_jwt,
        *([authentication] if authentication else []),
        *authorization.after_jwt,
    ]


def connection_filters(mesh: Mesh, workload: Workload, placement: Placement) -> list[Json]:
    """Return the network filters for connections that are passed on without a look at requests."""
    policies = mesh.attached_to(workload, mesh.authorization_policies)
    return rbac.tcp_filters(policies, _context(mesh, workload, placement))


def access_loggers(mesh: Mesh, workload: Workload, side: Side) -> list[Json]:
    """Return the access loggers of a kind of listener."""
    return access_log(
        mesh.attached_to(workload, mesh.telemetries),
        workload,
        "SERVER" if side == "inbound" else "CLIENT",
        mesh.settings,
    )


def _context(mesh: Mesh, workload: Workload, placement: Placement) -> rbac.RuleContext:
    def listener_port(target: int) -> int | None:
        address = placement.proxies.get((workload.ref, target))
        return address.port if address else None

    addresses = rbac.PeerAddresses(placement.sources, mesh.stated_addresses.get(workload.ref, ""))
    return rbac.RuleContext(mesh.settings, listener_port, authorizer_cluster_names(placement), addresses)
