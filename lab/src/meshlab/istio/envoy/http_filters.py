"""The HTTP filters that the policies of a workload come to, in the order in which Istio runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy import rbac
from meshlab.istio.envoy.access_log import access_log
from meshlab.istio.envoy.jwt_authn import jwt_filter

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Placement
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.model.workload import Workload

__all__ = ["access_loggers", "policy_filters"]


def policy_filters(mesh: Mesh, workload: Workload, placement: Placement) -> list[Json]:
    """External authorization, token verification, then what is audited, denied and allowed.

    Ports in policies are the pod's own. Here every port of every pod listens elsewhere, so the placement translates.
    """

    def listener_port(target: int) -> int | None:
        address = placement.proxies.get((workload.ref, target))
        return address.port if address else None

    authentication = jwt_filter(
        mesh.attached_to(workload, mesh.request_authentications), clear_route_cache=workload.is_gateway
    )
    authorization = rbac.http_filters(
        mesh.attached_to(workload, mesh.authorization_policies),
        rbac.RuleContext(mesh.settings, listener_port),
    )
    return [
        *authorization.before_jwt,
        *([authentication] if authentication else []),
        *authorization.after_jwt,
    ]


def access_loggers(mesh: Mesh, workload: Workload) -> list[Json]:
    """The access loggers that Telemetry asks for."""
    return access_log(mesh.attached_to(workload, mesh.telemetries), root_namespace=mesh.root_namespace)
