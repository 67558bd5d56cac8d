"""WorkloadEntry, and the endpoints of a ServiceEntry, which have the same fields.

Both stand for something that listens outside of the cluster's pods: a virtual machine, or an external server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import spec_of
from meshlab.istio.read.outbound_fields import ALIKE, refused_fields
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = [
    "ENDPOINT_FIELDS",
    "ENDPOINT_PASSED_OVER",
    "EntryEndpoint",
    "WorkloadEntry",
    "read_endpoint",
    "read_workload_entry",
]

ENDPOINT_FIELDS = ("address", "ports", "labels", "serviceAccount", "network")
ENDPOINT_PASSED_OVER = {
    "locality": ALIKE,
    "weight": ALIKE,
}

TLS_MODE = "security.istio.io/tlsMode"
"""The label by which an endpoint says whether a sidecar takes mutual TLS for it."""


@dataclass(frozen=True)
class EntryEndpoint:
    """An endpoint that is no pod of the cluster.

    Attributes:
        address: An IP address or a host name.
        ports: Names of the service's ports to the ports of this endpoint.
        labels: Its labels, by which subsets choose.
        service_account: Its service account; empty where it has no identity of the mesh.
    """

    address: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    service_account: str
    where: Where

    @property
    def takes_mtls(self) -> bool:
        """Whether clients of the mesh speak mutual TLS to it (`conversion.go#getTLSModeFromWorkloadEntry`)."""
        if TLS_MODE in self.labels:
            return self.labels[TLS_MODE] == "istio"
        return bool(self.service_account)


@dataclass(frozen=True)
class WorkloadEntry:
    """A WorkloadEntry as read."""

    namespace: str
    name: str
    endpoint: EntryEndpoint


def read_workload_entry(manifest: Manifest) -> WorkloadEntry:
    """Read a WorkloadEntry.

    Raises:
        ManifestError: An unknown field, or what Istio's validation refuses.
    """
    labels = (TLS_MODE, *_LABELS)
    spec = spec_of(
        manifest,
        ENDPOINT_FIELDS,
        annotations=_ANNOTATIONS,
        labels=labels,
        passed_over=ENDPOINT_PASSED_OVER,
    )
    endpoint = read_endpoint(spec)
    own = manifest.body["metadata"].get("labels") or {}
    merged = {**endpoint.labels, **{str(key): str(value) for key, value in own.items()}}
    return WorkloadEntry(
        manifest.namespace,
        manifest.name,
        EntryEndpoint(endpoint.address, endpoint.ports, merged, endpoint.service_account, spec.where),
    )


_LABELS = (
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "service.istio.io/workload-name",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
)
_ANNOTATIONS = ("istio.io/autoRegistrationGroup", "istio.io/connectedAt", "istio.io/workloadController")


_REFUSED = refused_fields("WorkloadEntry")


def read_endpoint(fields: Fields) -> EntryEndpoint:
    """Read the fields of an endpoint.

    Raises:
        ManifestError: No address, a port that is none, or a Unix socket.
    """
    address = fields.required("address")
    if address.startswith("unix://"):
        fields.where.key("address").report(_REFUSED["address"])
    if fields.string("network"):
        fields.where.key("network").report(_REFUSED["network"])
    names = fields.string_keys("ports")
    ports = fields.mapping("ports", names)
    return EntryEndpoint(
        address=address,
        ports={name: ports.port(name) for name in names},
        labels=fields.string_map("labels"),
        service_account=fields.string("serviceAccount"),
        where=fields.where,
    )
