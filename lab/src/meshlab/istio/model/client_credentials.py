"""Certificates that proxies need as clients, and manifests do not hold: Secrets, and files of their pods.

Names are those of `pilot/pkg/security/model/authentication.go` and `pkg/security/security.go#SdsCertificateConfig`, so
that they can be asked for over SDS as in a cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.credentials import TlsResource

if TYPE_CHECKING:
    from meshlab.istio.read.destination_rule import ClientTls

__all__ = ["SYSTEM_CA", "ca_resource", "certificate_resource", "client_resources"]

SYSTEM_CA = "system"
"""The CAs of the operating system: in the bench the one that signs for servers outside of the mesh."""

_SECRET = "kubernetes://"  # noqa: S105 - a scheme
_CA = "-cacert"


def certificate_resource(tls: ClientTls) -> TlsResource:
    """Return the certificate that a client shows (MUTUAL)."""
    if tls.credential_name:
        return _secret(tls.credential_name, "certificate")
    name = f"file-cert:{tls.client_certificate}~{tls.private_key}"
    return TlsResource(name, "certificate", "", tls.client_certificate)


def ca_resource(tls: ClientTls) -> TlsResource:
    """Return the CA that a client checks servers with."""
    if tls.credential_name:
        return _secret(tls.credential_name, "ca")
    file = tls.ca_certificates or SYSTEM_CA
    return TlsResource(f"file-root:{file}", "ca", "", file)


def client_resources(tls: ClientTls | None) -> list[TlsResource]:
    """Return all that a setting refers to, without the mesh's own material."""
    if tls is None or tls.mode not in ("SIMPLE", "MUTUAL"):
        return []
    found = [certificate_resource(tls)] if tls.mode == "MUTUAL" else []
    return found if tls.insecure_skip_verify else [*found, ca_resource(tls)]


def _secret(name: str, kind: Literal["certificate", "ca"]) -> TlsResource:
    resource = name if "://" in name else _SECRET + name
    namespace, _, bare = resource.partition("://")[2].rpartition("/")
    return TlsResource(resource + (_CA if kind == "ca" else ""), kind, namespace, bare)
