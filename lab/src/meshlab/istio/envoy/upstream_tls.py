"""TLS towards servers: what a cluster's connections show, and what they expect.

Follows `pilot/pkg/networking/core/cluster_tls.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.client_credentials import NO_CREDENTIAL, ca_resource, certificate_resource
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.tls import Secrets
    from meshlab.istio.read.destination_rule import ClientTls

__all__ = ["ClusterTls", "istio_mutual", "originate"]

_WORKLOAD, _MESH_CA = "default", "ROOTCA"
# What Istio offers for requests; see `application_protocols` for connections that are not looked into.
_ALPN = {"http": ("istio-http/1.1", "istio", "http/1.1"), "http2": ("istio-h2", "istio", "h2")}
# Istio names no kind of subject alternative name. Envoy then looks into all of these.
_NAME_KINDS = ("URI", "DNS", "EMAIL", "IP_ADDRESS")


@dataclass(frozen=True)
class ClusterTls:
    """TLS of a cluster.

    Attributes:
        socket: The transport socket; `None` for plaintext.
        auto_sni: Whether the server name is the host of each request.
        auto_san_validation: Whether the server's certificate must be good for it.
    """

    socket: Json | None
    auto_sni: bool = False
    auto_san_validation: bool = False


def istio_mutual(secrets: Secrets, identities: Sequence[str], sni: str, *, is_http2: bool) -> ClusterTls:
    """Return mutual TLS with the workload's own certificate (ISTIO_MUTUAL, or chosen by Istio).

    Args:
        secrets: How certificates reach the proxy.
        identities: Names of which the server's certificate must have one; empty for any of the mesh's CA.
        sni: The server name.
        is_http2: Whether the cluster speaks HTTP/2.
    """
    common = {
        "tlsCertificateSdsSecretConfigs": [secrets.reference(_WORKLOAD)],
        "combinedValidationContext": _validation(secrets, _MESH_CA, identities),
    }
    return ClusterTls(_socket(common, sni, _ALPN["http2" if is_http2 else "http"]))


def originate(
    secrets: Secrets, tls: ClientTls, subject_alt_names: Sequence[str], *, is_http2: bool
) -> ClusterTls:
    """Return TLS as a DestinationRule writes it (SIMPLE and MUTUAL).

    Args:
        secrets: How certificates reach the proxy.
        tls: The setting.
        subject_alt_names: The names of the ServiceEntry, which count where the setting has none.
        is_http2: Whether the cluster speaks HTTP/2.
    """
    names = tls.subject_alt_names or tuple(subject_alt_names)
    common: Json = {}
    if tls.mode == "MUTUAL":
        certificate = certificate_resource(tls)
        common["tlsCertificateSdsSecretConfigs"] = [secrets.reference(certificate.name)]
    if tls.credential_name == NO_CREDENTIAL:
        # Istio's proxy waits for a CA that never comes. Here the server is asked for a name that none can have.
        common["combinedValidationContext"] = _validation(secrets, _MESH_CA, (NO_CREDENTIAL,))
    elif not tls.insecure_skip_verify:
        common["combinedValidationContext"] = _validation(secrets, ca_resource(tls).name, names)
    auto_sni = not tls.sni
    return ClusterTls(
        socket=_socket(common, tls.sni, ("h2",) if is_http2 else ()),
        auto_sni=auto_sni,
        # Names of the ServiceEntry do not count here: both checks are made then.
        auto_san_validation=auto_sni and not tls.subject_alt_names and not tls.insecure_skip_verify,
    )


def _validation(secrets: Secrets, authority: str, names: Sequence[str]) -> Json:
    checks: Json = {"matchTypedSubjectAltNames": _names(names)} if names else {}
    return {
        "defaultValidationContext": checks,
        "validationContextSdsSecretConfig": secrets.reference(authority),
    }


def _socket(common: Json, sni: str, alpn: Sequence[str]) -> Json:
    context: Json = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "commonTlsContext": {
            **common,
            "tlsParams": {"tlsMinimumProtocolVersion": "TLSv1_2", "tlsMaximumProtocolVersion": "TLSv1_3"},
            **({"alpnProtocols": list(alpn)} if alpn else {}),
        },
        **({"sni": sni} if sni else {}),
    }
    return {"name": "envoy.transport_sockets.tls", "typedConfig": context}


def _names(names: Sequence[str]) -> list[Json]:
    return [{"sanType": kind, "matcher": {"exact": name}} for name in names for kind in _kinds(name)]


def _kinds(name: str) -> tuple[str, ...]:
    return ("URI",) if name.startswith("spiffe://") else _NAME_KINDS
