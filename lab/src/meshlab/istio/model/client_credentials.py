"""Certificates that proxies need as clients, and manifests do not hold: Secrets, and files of their pods.

Names are those of `pilot/pkg/security/model/authentication.go` and `pkg/security/security.go#SdsCertificateConfig`, so
that they can be asked for over SDS as in a cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.credentials import CA_SUFFIX, SECRET_SCHEME
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.destination_rule import ClientTls

__all__ = [
    "NO_CREDENTIAL",
    "SYSTEM_CA",
    "ClientResource",
    "ca_resource",
    "certificate_resource",
    "client_resources",
]

SYSTEM_CA = "system"
"""The CAs of the operating system: in the bench the one that signs for servers outside of the mesh."""

NO_CREDENTIAL = "invalid://"
"""A credential that is never there: what needs it gets no connection (`pilot/pkg/model/credentials/resource.go`)."""


@dataclass(frozen=True)
class ClientResource:
    """Something that a client's TLS refers to by name.

    Attributes:
        name: The name, as Istio gives it to Envoy.
        kind: A certificate with its key, or the CA of servers.
        credential: What holds it: the name of a Secret, the path of a file, or `system`.
        is_secret: Whether it is a Secret of the proxy's namespace.
    """

    name: str
    kind: Literal["certificate", "ca"]
    credential: str
    is_secret: bool


def certificate_resource(tls: ClientTls) -> ClientResource:
    """Return the certificate that a client shows (MUTUAL)."""
    if tls.credential_name:
        return _secret(tls.credential_name, "certificate")
    name = f"file-cert:{tls.client_certificate}~{tls.private_key}"
    return ClientResource(name, "certificate", tls.client_certificate, is_secret=False)


def ca_resource(tls: ClientTls) -> ClientResource:
    """Return the CA that a client checks servers with."""
    if tls.credential_name:
        return _secret(tls.credential_name, "ca")
    file = tls.ca_certificates or SYSTEM_CA
    return ClientResource(f"file-root:{file}", "ca", file, is_secret=False)


def client_resources(tls: ClientTls | None) -> list[ClientResource]:
    """Return all that a setting refers to, without the mesh's own material."""
    if tls is None or tls.mode not in ("SIMPLE", "MUTUAL") or tls.credential_name == NO_CREDENTIAL:
        return []
    found = [certificate_resource(tls)] if tls.mode == "MUTUAL" else []
    return found if tls.insecure_skip_verify else [*found, ca_resource(tls)]


def _secret(name: str, kind: Literal["certificate", "ca"]) -> ClientResource:
    resource = name if "://" in name else SECRET_SCHEME + name
    bare = resource.partition("://")[2].rpartition("/")[2]
    return ClientResource(resource + (CA_SUFFIX if kind == "ca" else ""), kind, bare, is_secret=True)
