"""Facts that the meaning of a policy depends on beside its text."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.istio.envoy.rbac.peer_addresses import PeerAddresses
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.istio.read.mesh_config import MeshSettings

__all__ = ["RuleContext"]


@dataclass(frozen=True)
class RuleContext:
    """What the rules of every policy of a workload have in common.

    Attributes:
        settings: The mesh-wide settings: trust domains and external authorizers.
        listener_port: Where the proxy listens for a targetPort, `None` for a port that it does not serve.
        external_authorizers: Provider to the cluster of its service, for the services that exist. Istio denies what
            a provider without a service would decide.
        addresses: What is known about IP addresses.
    """

    settings: MeshSettings
    listener_port: Callable[[int], int | None]
    external_authorizers: Mapping[str, str] = field(default_factory=dict)
    addresses: PeerAddresses = field(default_factory=PeerAddresses)

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """The mesh's own trust domain, then its aliases."""
        return (self.settings.trust_domain, *self.settings.trust_domain_aliases)
