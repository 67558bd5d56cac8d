"""TLS that a proxy ends: which certificate it shows, and which clients it takes.

Follows `pilot/pkg/networking/core/listener.go#BuildListenerTLSContext`, `pilot/pkg/security/model/authentication.go`
and `pilot/pkg/security/authn/utils/utils.go#BuildInboundTLS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.credentials import (
    MESH_CA,
    WORKLOAD,
    certificate_resources,
    client_ca_resource,
)

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.read.gateway import Server
    from meshlab.istio.read.mesh_config import MeshSettings
    from meshlab.istio.read.server_tls import ServerTls

__all__ = ["gateway_context", "inbound_context"]

_HTTP_ALPN = ("h2", "http/1.1")
_TCP_ALPN = ("istio-peer-exchange", *_HTTP_ALPN)
# What Istio accepts for TLS 1.2 inside the mesh (pilot/pkg/security/authn/utils/utils.go#SupportedCiphers).
_MESH_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)
_VERSIONS = {"TLSV1_0": "TLSv1_0", "TLSV1_1": "TLSv1_1", "TLSV1_2": "TLSv1_2", "TLSV1_3": "TLSv1_3"}
# Istio names no kind of subject alternative name. Envoy then looks into all of these.
_NAME_KINDS = ("URI", "DNS", "EMAIL", "IP_ADDRESS")


def inbound_context(secrets: Secrets, settings: MeshSettings, protocol: Literal["http", "tcp"]) -> Json:
    """Return a sidecar's side of mutual TLS: a client of the mesh's trust domains, or none.

    Args:
        secrets: How the certificates reach the proxy.
        settings: The mesh-wide settings.
        protocol: What is spoken inside.
    """
    domains = dict.fromkeys((settings.trust_domain, *settings.trust_domain_aliases))
    names = [{"sanType": "URI", "matcher": {"prefix": f"spiffe://{domain}/"}} for domain in domains]
    common = {
        "alpnProtocols": list(_HTTP_ALPN if protocol == "http" else _TCP_ALPN),
        "tlsParams": {
            "tlsMinimumProtocolVersion": "TLSv1_3"
            if settings.mesh_mtls_min_version == "TLSV1_3"
            else "TLSv1_2",
            "tlsMaximumProtocolVersion": "TLSv1_3",
            "cipherSuites": list(_MESH_CIPHERS),
        },
        "tlsCertificateSdsSecretConfigs": [secrets.reference(WORKLOAD)],
        "combinedValidationContext": _validation(secrets, MESH_CA, {"matchTypedSubjectAltNames": names}),
    }
    return _socket(common, requires_certificate=True)


def gateway_context(secrets: Secrets, server: Server, tls: ServerTls) -> Json:
    """Return a gateway's side of TLS.

    Unlike a sidecar, a gateway with `ISTIO_MUTUAL` takes clients of every trust domain that the mesh's CA signs for.

    Args:
        secrets: How the certificates reach the proxy.
        server: The server of the Gateway.
        tls: Its TLS, which is ended here.
    """
    between_sidecars = tls.mode == "ISTIO_MUTUAL" and not server.is_https
    common: Json = {
        "alpnProtocols": list(_TCP_ALPN if between_sidecars else _HTTP_ALPN),
        "tlsCertificateSdsSecretConfigs": [
            secrets.reference(resource.name) for resource in certificate_resources(tls)
        ],
    }
    if authority := client_ca_resource(tls):
        common["combinedValidationContext"] = _validation(secrets, authority.name, _client_checks(tls))
    if tls.mode != "ISTIO_MUTUAL" and (parameters := _parameters(tls)):
        common["tlsParams"] = parameters
    return _socket(common, requires_certificate=tls.mode in ("MUTUAL", "ISTIO_MUTUAL"))


def _client_checks(tls: ServerTls) -> Json:
    names = [
        {"sanType": kind, "matcher": {"exact": name}}
        for name in tls.subject_alt_names
        for kind in _NAME_KINDS
    ]
    checks: Json = {"matchTypedSubjectAltNames": names} if names else {}
    if tls.credentials:  # Istio pins no certificates beside files
        pins = {
            "verifyCertificateSpki": list(tls.certificate_spkis),
            "verifyCertificateHash": list(tls.certificate_hashes),
        }
        checks |= {name: values for name, values in pins.items() if values}
    return checks | ({"trustChainVerification": "ACCEPT_UNTRUSTED"} if tls.skip_verify else {})


def _parameters(tls: ServerTls) -> Json:
    parameters = {
        "tlsMinimumProtocolVersion": _VERSIONS.get(tls.minimum),
        "tlsMaximumProtocolVersion": _VERSIONS.get(tls.maximum),
        "cipherSuites": list(tls.ciphers),
        "ecdhCurves": list(tls.curves),
    }
    return {name: value for name, value in parameters.items() if value}


def _validation(secrets: Secrets, authority: str, checks: Json) -> Json:
    return {
        "defaultValidationContext": checks,
        "validationContextSdsSecretConfig": secrets.reference(authority),
    }


def _socket(common: Json, *, requires_certificate: bool) -> Json:
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    context = {"@type": kind, "commonTlsContext": common, "requireClientCertificate": requires_certificate}
    return {"name": "envoy.transport_sockets.tls", "typedConfig": context}
