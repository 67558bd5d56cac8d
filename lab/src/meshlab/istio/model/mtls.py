"""mTLS mode of a sidecar's port: mTLS, plaintext or both.

Follows `pilot/pkg/security/authn/policy_applier.go#ComposePeerAuthentication`. Gateways ignore it: only the TLS
settings of a Gateway's server count there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.attachment import attached
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.read.peer_authentication import Mode, PeerAuthentication

__all__ = ["PortMode", "mtls_mode", "namespace_mtls_mode", "port_mode"]


@dataclass(frozen=True)
class PortMode:
    """The mode of one port of a workload.

    Attributes:
        mode: The mode.
        policy: The policy that says so; `None` for Istio's default.
        of_port: Whether it says so for this port alone.
    """

    mode: Mode = "PERMISSIVE"
    policy: PeerAuthentication | None = None
    of_port: bool = False


def mtls_mode(
    policies: Iterable[PeerAuthentication], *, namespace: str, root_namespace: str, port: int
) -> Mode:
    """Return the mode of one port of a workload; the arguments are those of `port_mode`."""
    return port_mode(policies, namespace=namespace, root_namespace=root_namespace, port=port).mode


def port_mode(
    policies: Iterable[PeerAuthentication], *, namespace: str, root_namespace: str, port: int
) -> PortMode:
    """Return the mode of one port of a workload, and the policy that sets it.

    Args:
        policies: What reaches the workload, in Istio's order.
        namespace: The workload's.
        root_namespace: The mesh's.
        port: The pod's port (the targetPort).
    """
    found = PortMode()
    ordered = list(policies)
    mesh_wide = _first(ordered, root_namespace, selected=False)
    namespace_wide = _first(ordered, namespace, selected=False)
    # Istio ignores policies with a selector in the root namespace.
    workload = _first(ordered, namespace, selected=True) if namespace != root_namespace else None
    for policy in (mesh_wide, namespace_wide, workload):
        if policy and policy.mode:
            found = PortMode(policy.mode, policy)
    if workload and (own := workload.port_modes.get(port)):
        return PortMode(own, workload, of_port=True)
    return found


def namespace_mtls_mode(
    policies: Iterable[PeerAuthentication], *, namespace: str, root_namespace: str
) -> Mode:
    """Return the mode of a namespace, by which clients choose where the workloads do not matter.

    Args:
        policies: All PeerAuthentications.
        namespace: The namespace of the servers.
        root_namespace: The mesh's.
    """
    reached = attached(policies, namespace, {}, root_namespace)
    return mtls_mode(reached, namespace=namespace, root_namespace=root_namespace, port=0)


def _first(
    policies: Iterable[PeerAuthentication], namespace: str, *, selected: bool
) -> PeerAuthentication | None:
    for policy in policies:
        if policy.attachment.namespace == namespace and bool(policy.attachment.selector) == selected:
            return policy
    return None
