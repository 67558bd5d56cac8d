"""Settings of the mesh that decide what becomes of outbound traffic, with Istio's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_SETTINGS", "DefaultSettings", "OutboundSettings"]


class OutboundSettings(Protocol):
    """What outbound configuration takes from a MeshConfig; the names are those of `read.mesh_config.MeshSettings`."""

    @property
    def trust_domain_aliases(self) -> Sequence[str]:
        """Trust domains whose identities are as good as those of the mesh's own."""

    @property
    def outbound_traffic_policy(self) -> Literal["ALLOW_ANY", "REGISTRY_ONLY"]:
        """What a sidecar does with a host that the mesh does not know."""

    @property
    def service_export_to(self) -> Sequence[str]:
        """The `exportTo` of Services and ServiceEntries without one."""

    @property
    def virtual_service_export_to(self) -> Sequence[str]:
        """The `exportTo` of VirtualServices without one."""

    @property
    def destination_rule_export_to(self) -> Sequence[str]:
        """The `exportTo` of DestinationRules without one."""

    @property
    def enable_auto_mtls(self) -> bool:
        """Whether clients choose mutual TLS where no DestinationRule says so."""

    @property
    def h2_upgrade_policy(self) -> Literal["DO_NOT_UPGRADE", "UPGRADE"]:
        """Whether clients speak HTTP/2 to services that know HTTP/1.1."""

    @property
    def connect_timeout_s(self) -> float:
        """How long a proxy waits for a connection, in seconds."""

    @property
    def protocol_detection_timeout_s(self) -> float:
        """How long a proxy waits for the first bytes of a connection, in seconds; 0 for ever."""


@dataclass(frozen=True)
class DefaultSettings:
    """The settings of a mesh without a MeshConfig (`pkg/config/mesh/mesh.go#DefaultMeshConfig`)."""

    trust_domain_aliases: tuple[str, ...] = ()
    outbound_traffic_policy: Literal["ALLOW_ANY", "REGISTRY_ONLY"] = "ALLOW_ANY"
    service_export_to: tuple[str, ...] = ("*",)
    virtual_service_export_to: tuple[str, ...] = ("*",)
    destination_rule_export_to: tuple[str, ...] = ("*",)
    enable_auto_mtls: bool = True
    h2_upgrade_policy: Literal["DO_NOT_UPGRADE", "UPGRADE"] = "DO_NOT_UPGRADE"
    connect_timeout_s: float = 10.0
    protocol_detection_timeout_s: float = 0.0


DEFAULT_SETTINGS = DefaultSettings()
