"""TLS contexts, and the two ways in which keys and certificates reach a proxy.

A context never holds a key: it refers to secrets by Istio's names, `default` for the workload's certificate, `ROOTCA`
for the mesh's CA, `kubernetes://NAME` for a gateway's credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.read.gateway import GatewayTls
    from meshlab.istio.read.names import WorkloadRef

__all__ = [
    "SecretFiles",
    "SecretSocket",
    "Secrets",
    "gateway_context",
    "inbound_context",
]

_WORKLOAD, _ROOT, _CREDENTIAL = "default", "ROOTCA", "kubernetes://"
_SDS_CLUSTER = "sds-grpc"
# What Istio offers and accepts for TLS 1.2 (pilot/pkg/security/authn/utils/utils.go#SupportedCiphers).
_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)


class Secrets(Protocol):
    """How TLS material reaches the proxies."""

    def reference(self, name: str) -> Json:
        """The reference to a secret of that name."""

    def resources(
        self, ref: WorkloadRef, credentials: Iterable[str], client: Iterable[ClientResource] = ()
    ) -> Json:
        """What the references need in the bootstrap's static resources.

        Args:
            ref: The workload whose proxy it is.
            credentials: The names of the gateway credentials that it uses.
            client: What its TLS towards servers refers to.
        """


@dataclass(frozen=True)
class SecretFiles:
    """Material in files, which the bootstrap names.

    Attributes:
        workloads: Workload to a directory with `cert-chain.pem`, `key.pem` and `root-cert.pem`.
        credentials: (namespace, credentialName) to a directory with `tls.crt` and `tls.key`, and `ca.crt` where the
            proxy checks servers with it. Files of pods are there without a namespace, by their path; `system` stands
            for the CAs of the operating system.
    """

    workloads: Mapping[WorkloadRef, Path]
    credentials: Mapping[tuple[str, str], Path]

    def reference(self, name: str) -> Json:
        """A name alone refers to the bootstrap's own secrets."""
        return {"name": name}

    def resources(
        self, ref: WorkloadRef, credentials: Iterable[str], client: Iterable[ClientResource] = ()
    ) -> Json:
        """The static secrets: the workload's own, and the credentials."""
        own = self.workloads[ref]
        root = {"trustedCa": {"filename": str(own / "root-cert.pem")}}
        secrets = [
            _certificate(_WORKLOAD, own / "cert-chain.pem", own / "key.pem"),
            {"name": _ROOT, "validationContext": root},
        ]
        for name in credentials:
            directory = self.credentials[ref.namespace, name]
            secrets.append(_certificate(_CREDENTIAL + name, directory / "tls.crt", directory / "tls.key"))
        for resource in client:
            directory = self.credentials[ref.namespace if resource.is_secret else "", resource.credential]
            if resource.kind == "certificate":
                secrets.append(_certificate(resource.name, directory / "tls.crt", directory / "tls.key"))
            else:
                authority = {"trustedCa": {"filename": str(directory / "ca.crt")}}
                secrets.append({"name": resource.name, "validationContext": authority})
        return {"secrets": secrets}


@dataclass(frozen=True)
class SecretSocket:
    """Material over the SDS socket of Istio's agent, as in a pod; the bootstrap names no file.

    Attributes:
        path: The Unix socket.
    """

    path: str = "/var/run/secrets/workload-spiffe-uds/socket"

    def reference(self, name: str) -> Json:
        """A name, and the cluster to ask for it."""
        source = {
            "apiType": "GRPC",
            "transportApiVersion": "V3",
            "grpcServices": [{"envoyGrpc": {"clusterName": _SDS_CLUSTER}}],
        }
        config = {"apiConfigSource": source, "resourceApiVersion": "V3", "initialFetchTimeout": "0s"}
        return {"name": name, "sdsConfig": config}

    def resources(
        self, ref: WorkloadRef, credentials: Iterable[str], client: Iterable[ClientResource] = ()
    ) -> Json:
        """The cluster that leads to the socket."""
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


def inbound_context(secrets: Secrets, trust_domain: str) -> Json:
    """A sidecar's side of mTLS: a client of the own trust domain, or none."""
    common = _mutual(secrets, {"prefix": f"spiffe://{trust_domain}/"})
    common["alpnProtocols"] = ["h2", "http/1.1"]
    common["tlsParams"] = {
        "tlsMinimumProtocolVersion": "TLSv1_2",
        "tlsMaximumProtocolVersion": "TLSv1_3",
        "cipherSuites": list(_CIPHERS),
    }
    return _socket("Downstream", {"commonTlsContext": common, "requireClientCertificate": True})


def gateway_context(secrets: Secrets, tls: GatewayTls) -> Json:
    """A gateway's certificate, without asking for the client's (SIMPLE)."""
    parameters: Json = {
        "tlsMinimumProtocolVersion": tls.minimum,
        "cipherSuites": list(tls.ciphers or _CIPHERS),
    }
    if tls.maximum != "TLS_AUTO":
        parameters["tlsMaximumProtocolVersion"] = tls.maximum
    common = {
        "alpnProtocols": ["h2", "http/1.1"],
        "tlsParams": parameters,
        "tlsCertificateSdsSecretConfigs": [secrets.reference(_CREDENTIAL + tls.credential)],
    }
    return _socket("Downstream", {"commonTlsContext": common, "requireClientCertificate": False})


def _mutual(secrets: Secrets, *peer_uris: Json) -> Json:
    return {
        "tlsCertificateSdsSecretConfigs": [secrets.reference(_WORKLOAD)],
        "combinedValidationContext": {
            "defaultValidationContext": {
                "matchTypedSubjectAltNames": [{"sanType": "URI", "matcher": uri} for uri in peer_uris]
            },
            "validationContextSdsSecretConfig": secrets.reference(_ROOT),
        },
    }


def _socket(side: str, context: Json) -> Json:
    kind = f"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext"
    return {"name": "envoy.transport_sockets.tls", "typedConfig": {"@type": kind, **context}}


def _certificate(name: str, chain: Path, key: Path) -> Json:
    certificate = {"certificateChain": {"filename": str(chain)}, "privateKey": {"filename": str(key)}}
    return {"name": name, "tlsCertificate": certificate}
