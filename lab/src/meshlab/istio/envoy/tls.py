"""TLS towards servers, and the two ways in which keys and certificates reach a proxy.

A context never holds a key: it refers to secrets by Istio's names, `default` for the workload's certificate, `ROOTCA`
for the mesh's CA, `kubernetes://NAME` for a gateway's credential (`model.credentials`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from meshlab.istio.model.credentials import MESH_CA, WORKLOAD
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.model.credentials import TlsResource
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = [
    "SecretFiles",
    "SecretSocket",
    "Secrets",
]

_SDS_CLUSTER = "sds-grpc"


class Secrets(Protocol):
    """How TLS material reaches the proxies."""

    def reference(self, name: str) -> Json:
        """Return the reference to a secret of that name."""

    def resources(
        self, ref: WorkloadRef, used: Iterable[TlsResource], client: Iterable[ClientResource] = ()
    ) -> Json:
        """Return what the references need in the bootstrap's static resources.

        Args:
            ref: The workload whose proxy it is.
            used: What the TLS of its servers refers to, beside the mesh's own material.
            client: What its TLS towards servers refers to.
        """


@dataclass(frozen=True)
class SecretFiles:
    """Material in files, which the bootstrap names.

    Attributes:
        workloads: Workload to a directory with `cert-chain.pem`, `key.pem` and `root-cert.pem`.
        credentials: (namespace, name) of a `Credential` to a directory with `tls.crt` and `tls.key` where it has a
            certificate, and `ca.crt` where it has a CA. What clients take from files of pods is there without a
            namespace, by its path; `system` stands for the CAs of the operating system.
    """

    workloads: Mapping[WorkloadRef, Path]
    credentials: Mapping[tuple[str, str], Path]

    def reference(self, name: str) -> Json:
        """Return the name alone, which refers to a secret of the bootstrap."""
        return {"name": name}

    def resources(
        self, ref: WorkloadRef, used: Iterable[TlsResource], client: Iterable[ClientResource] = ()
    ) -> Json:
        """Return the static secrets: the workload's own, and what it uses beside."""
        own = self.workloads[ref]
        secrets = [
            _certificate(WORKLOAD, own / "cert-chain.pem", own / "key.pem"),
            _authority(MESH_CA, own / "root-cert.pem"),
        ]
        for resource in used:
            directory = self.credentials[resource.namespace or ref.namespace, resource.credential]
            if resource.kind == "certificate":
                secrets.append(_certificate(resource.name, directory / "tls.crt", directory / "tls.key"))
            else:
                secrets.append(_authority(resource.name, directory / "ca.crt"))
        for client_resource in client:
            directory = self.credentials[
                ref.namespace if client_resource.is_secret else "", client_resource.credential
            ]
            if client_resource.kind == "certificate":
                secrets.append(
                    _certificate(client_resource.name, directory / "tls.crt", directory / "tls.key")
                )
            else:
                secrets.append(_authority(client_resource.name, directory / "ca.crt"))
        return {"secrets": secrets}


@dataclass(frozen=True)
class SecretSocket:
    """Material over the SDS socket of Istio's agent, as in a pod; the bootstrap names no file.

    Attributes:
        path: The Unix socket.
    """

    path: str = "/var/run/secrets/workload-spiffe-uds/socket"

    def reference(self, name: str) -> Json:
        """Return the name, and the cluster to ask for the secret."""
        source = {
            "apiType": "GRPC",
            "transportApiVersion": "V3",
            "grpcServices": [{"envoyGrpc": {"clusterName": _SDS_CLUSTER}}],
        }
        config = {"apiConfigSource": source, "resourceApiVersion": "V3", "initialFetchTimeout": "0s"}
        return {"name": name, "sdsConfig": config}

    def resources(
        self, ref: WorkloadRef, used: Iterable[TlsResource], client: Iterable[ClientResource] = ()
    ) -> Json:
        """Return the cluster that leads to the socket."""
        endpoint = {"endpoint": {"address": {"pipe": {"path": self.path}}}}
        cluster = {
            "name": _SDS_CLUSTER,
            "type": "STATIC",
            "connectTimeout": "1s",
            "loadAssignment": {"clusterName": _SDS_CLUSTER, "endpoints": [{"lbEndpoints": [endpoint]}]},
            "typedExtensionProtocolOptions": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicitHttpConfig": {"http2ProtocolOptions": {}},
                }
            },
        }
        return {"clusters": [cluster]}


def _mutual(secrets: Secrets, *peer_uris: Json) -> Json:
    return {
        "tlsCertificateSdsSecretConfigs": [secrets.reference(WORKLOAD)],
        "combinedValidationContext": {
            "defaultValidationContext": {
                "matchTypedSubjectAltNames": [{"sanType": "URI", "matcher": uri} for uri in peer_uris]
            },
            "validationContextSdsSecretConfig": secrets.reference(MESH_CA),
        },
    }


def _socket(side: str, context: Json) -> Json:
    kind = f"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext"
    return {"name": "envoy.transport_sockets.tls", "typedConfig": {"@type": kind, **context}}


def _certificate(name: str, chain: Path, key: Path) -> Json:
    certificate = {"certificateChain": {"filename": str(chain)}, "privateKey": {"filename": str(key)}}
    return {"name": name, "tlsCertificate": certificate}


def _authority(name: str, file: Path) -> Json:
    return {"name": name, "validationContext": {"trustedCa": {"filename": str(file)}}}
