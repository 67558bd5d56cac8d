"""PeerAuthentication: whether a sidecar's port takes mTLS, plaintext or both.

Follows `pilot/pkg/security/authn/policy_applier.go#ComposePeerAuthentication`. Gateways ignore it: only the TLS
settings of a Gateway's server count there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.fields import spec_of
from meshlab.istio.selection import Attachment, read_attachment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshlab.istio.fields import Fields
    from meshlab.manifest import Manifest

__all__ = ["Mode", "PeerAuthentication", "mtls_mode", "read_peer_authentication"]

Mode = Literal["STRICT", "PERMISSIVE", "DISABLE"]
_MODES = ("UNSET", "STRICT", "PERMISSIVE", "DISABLE")


@dataclass(frozen=True)
class PeerAuthentication:
    """A PeerAuthentication as read; `None` stands for UNSET, which inherits."""

    attachment: Attachment
    mode: Mode | None
    port_modes: Mapping[int, Mode | None]


def read_peer_authentication(manifest: Manifest) -> PeerAuthentication:
    """Read and check a PeerAuthentication.

    Raises:
        ManifestError: An unknown field or mode, or modes for ports without a selector.
    """
    spec = spec_of(manifest, ("selector", "mtls", "portLevelMtls"))
    attachment = read_attachment(spec)
    written = spec.string_keys("portLevelMtls")
    ports = spec.mapping("portLevelMtls", written)
    if written and not attachment.selector:
        raise ports.where.error("needs a selector; Istio ignores port settings for a whole namespace.")
    for port in written:
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ports.where.key(port).error("expected the pod's own port number (a Service's targetPort).")
    return PeerAuthentication(
        attachment=attachment,
        mode=_mode(spec.mapping("mtls", ("mode",))),
        port_modes={int(port): _mode(ports.mapping(port, ("mode",))) for port in written},
    )


def mtls_mode(
    policies: Iterable[PeerAuthentication], *, namespace: str, root_namespace: str, port: int
) -> Mode:
    """The mode of one port of a workload.

    Args:
        policies: What reaches the workload, in Istio's order.
        namespace: The workload's.
        root_namespace: The mesh's.
        port: The pod's port (the targetPort).
    """
    mode: Mode = "PERMISSIVE"
    ordered = list(policies)
    mesh_wide = _first(ordered, root_namespace, selected=False)
    namespace_wide = _first(ordered, namespace, selected=False)
    # Istio ignores policies with a selector in the root namespace.
    workload = _first(ordered, namespace, selected=True) if namespace != root_namespace else None
    for policy in (mesh_wide, namespace_wide, workload):
        if policy and policy.mode:
            mode = policy.mode
    if workload and (port_mode := workload.port_modes.get(port)):
        return port_mode
    return mode


def _first(
    policies: Iterable[PeerAuthentication], namespace: str, *, selected: bool
) -> PeerAuthentication | None:
    for policy in policies:
        if policy.attachment.namespace == namespace and bool(policy.attachment.selector) == selected:
            return policy
    return None


def _mode(mtls: Fields) -> Mode | None:
    mode = mtls.choice("mode", _MODES, "UNSET")
    return None if mode == "UNSET" else cast("Mode", mode)
