"""Certificates that proxies need as clients, and manifests do not hold: Secrets, and files of their pods.

Names are those of `pilot/pkg/security/model/authentication.go` and `pkg/security/security.go#SdsCertificateConfig`, so
that they can be asked for over SDS as in a cluster.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from meshlab.istio.model.credentials import Credential, TlsResource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.istio.model.destination_rules import MergedRule
    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.destination_rule import ClientTls, TrafficPolicy

__all__ = [
    "SYSTEM_CA",
    "ca_resource",
    "certificate_resource",
    "client_credentials",
    "client_resources",
    "client_tls",
]

SYSTEM_CA = "system"
"""The CAs of the operating system: in the bench the one that signs for servers outside of the mesh."""

_SECRET = "kubernetes://"  # noqa: S105 - a scheme
_CA = "-cacert"


def client_tls(rule: MergedRule | None, policy: TrafficPolicy, *, at_gateway: bool) -> ClientTls | None:
    """Return the TLS setting that a cluster follows; `None` where nothing is written.

    At a sidecar a credential counts only in a rule that chooses its workloads: without, there is no TLS at all.
    """
    tls = policy.tls
    if tls is None or at_gateway or tls.mode not in ("SIMPLE", "MUTUAL"):
        return tls
    by_selector = rule is not None and rule.selector is not None
    if tls.credential_name and not tls.credential_name.startswith("configmap://") and not by_selector:
        return replace(tls, mode="DISABLE")
    return tls


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


def client_credentials(mesh: Mesh) -> list[Credential]:
    """Return the material that proxies need as clients, for each namespace."""
    found: dict[tuple[str, str], Credential] = {}
    for workload in mesh.workloads:
        if not workload.injected:
            continue
        scope = mesh.visibility.scope_of(workload)
        rules = {id(rule): rule for each in scope.services if (rule := scope.rule_for(each, workload.labels))}
        for rule in rules.values():
            for policy in _policies(rule):
                for resource in client_resources(client_tls(rule, policy, at_gateway=workload.is_gateway)):
                    key = resource.namespace or workload.ref.namespace, resource.credential
                    shows = resource.kind == "certificate"
                    new = Credential(*key, hosts=(), certificate=shows, server_ca=not shows)
                    found[key] = found[key].joined(new) if key in found else new
    return list(found.values())


def _policies(rule: MergedRule) -> Iterator[TrafficPolicy]:
    for policy in (rule.policy, *(subset.policy for subset in rule.subsets)):
        if policy is not None:
            yield policy
            yield from policy.ports.values()


def _secret(name: str, kind: Literal["certificate", "ca"]) -> TlsResource:
    resource = name if "://" in name else _SECRET + name
    namespace, _, bare = resource.partition("://")[2].rpartition("/")
    return TlsResource(resource + (_CA if kind == "ca" else ""), kind, namespace, bare)
