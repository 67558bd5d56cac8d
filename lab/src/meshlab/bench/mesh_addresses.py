"""What the bench must know about a mesh to run cases against it: configurations, addresses and identities."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal, Protocol

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.placement import Address
    from meshlab.istio.model.address_conditions import AddressCondition
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Direction", "MeshAddresses", "MeshUnderTest"]

Direction = Literal["gateway", "outbound", "inbound"]


class MeshAddresses(Protocol):
    """Where everything of a mesh is: in the cluster that the manifests describe, and on this machine."""

    @property
    def outbound(self) -> Mapping[WorkloadRef, Address]:
        """Workload to the `virtualOutbound` listener of its sidecar, which expects a PROXY header."""

    @property
    def ports(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        """(workload, targetPort) to the sidecar's inbound listener or the gateway's listener."""

    @property
    def apps(self) -> Mapping[tuple[WorkloadRef, int], Address]:
        """(workload, targetPort) to the application itself; gateways have none."""

    @property
    def admin(self) -> Mapping[WorkloadRef, Address]:
        """Workload to the admin interface of its proxy."""

    @property
    def pod_ips(self) -> Mapping[WorkloadRef, str]:
        """Workload to its pod's IP address in the cluster."""

    @property
    def external(self) -> Mapping[tuple[str, int], Address]:
        """(external host, port) to a server of its own on this machine; other hosts share `internet`."""

    @property
    def authorizers(self) -> Mapping[str, Address]:
        """Name of an extension provider to the external authorizer on this machine."""

    @property
    def internet(self) -> Address:
        """The server that answers for every external host without an address of its own."""

    def resolve(self, host: str, port: int, namespace: str) -> tuple[str, int] | None:
        """Resolve a name as a client in that namespace does: a Service's VIP, a pod's IP or an external address.

        Returns:
            The cluster's IP address and port; `None` where the cluster's DNS does not know the name.
        """

    def without_proxy(self, ip: str, port: int) -> Address | None:
        """Return where a connection to an address ends for a client without a sidecar; `None` for nowhere."""

    def target_port(self, gateway: WorkloadRef, port: int) -> int | None:
        """Return the pod's port behind a port of a gateway's Service; `None` where one of them is not there."""


def _trust_everything(ref: WorkloadRef, direction: Direction, host: str, port: int) -> list[str]:
    del ref, direction, host, port
    return []


def _relay_nothing(client: str) -> tuple[str, str] | None:
    del client
    return None


def _ask_for_no_address(ref: WorkloadRef) -> Iterable[AddressCondition]:
    del ref
    return ()


@dataclass(frozen=True)
class MeshUnderTest:
    """A compiled mesh.

    Attributes:
        bootstraps: Workload to the configuration of its proxy. A workload whose proxy could not be compiled has none.
        addresses: Where everything is.
        identities: Workload to its SPIFFE id.
        versions: Workload to its version label.
        untrusted: Reasons why a proxy's decision about a host and port is not Istio's, empty where it is. Called with
            the workload, the direction, the host (a Host header, a server name or an IP address) and the port: the
            targetPort for `inbound`, the listener's port for `gateway`, the destination's port for `outbound`.
        relay: The address of the relay for connections to original destinations, as `HOST:PORT`; empty for none.
        relayed: Where the relay passed a connection on to: the client's address on it to the address behind the relay
            and the relay's own address on the way there.
        sources: A stated address to the loopback address that its owner connects from; others connect from 127.0.0.1.
        stated: Workload to the stated address of its pod.
        address_conditions: The conditions on addresses in the policies of a workload.
        machine_identities: Address of a virtual machine of the mesh to the SPIFFE id that it shows.
        wildcard_hosts: The wildcards under which ServiceEntries list hosts that one server answers for.
    """

    bootstraps: Mapping[WorkloadRef, Json]
    addresses: MeshAddresses
    identities: Mapping[WorkloadRef, str]
    versions: Mapping[WorkloadRef, str] = field(default_factory=dict)
    untrusted: Callable[[WorkloadRef, Direction, str, int], list[str]] = _trust_everything
    relay: str = ""
    relayed: Callable[[str], tuple[str, str] | None] = _relay_nothing
    sources: Mapping[str, str] = field(default_factory=dict)
    stated: Mapping[WorkloadRef, str] = field(default_factory=dict)
    address_conditions: Callable[[WorkloadRef], Iterable[AddressCondition]] = _ask_for_no_address
    machine_identities: Mapping[str, str] = field(default_factory=dict)
    wildcard_hosts: frozenset[str] = frozenset()

    def source_of(self, ref: WorkloadRef | None) -> str | None:
        """Return the loopback address that a workload connects from; `None` for any."""
        return self.sources.get(self.stated.get(ref, "")) if ref else None
