"""BackendTLSPolicies as DestinationRules: TLS towards a service, for gateways and sidecars alike.

Follows `pilot/pkg/config/kube/gateway/backend_policies.go`. Of policies for one backend the oldest counts, then the
first by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.client_credentials import NO_CREDENTIAL
from meshlab.istio.model.gateway_api.backends import SERVICE, SERVICE_ENTRY
from meshlab.istio.model.gateway_api.listeners import GENERATED
from meshlab.istio.model.gateway_api.objects import note
from meshlab.istio.read.destination_rule import ClientTls, DestinationRule, TrafficPolicy
from meshlab.istio.read.gateway_api.references import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio.model.gateway_api.objects import GatewayApi
    from meshlab.istio.read.gateway_api.backend_tls_policy import BackendTarget, BackendTlsPolicy
    from meshlab.manifest import Problem

__all__ = ["tls_rules"]

_CONFIG_MAP = Kind("", "ConfigMap")
_CA_KEYS = ("cacert", "ca.crt")
_WITHOUT_CA = "gateways send nothing to the backend, and sidecars send plaintext."


def tls_rules(api: GatewayApi, notes: list[Problem]) -> list[DestinationRule]:
    """Return the BackendTLSPolicies as DestinationRules.

    Args:
        api: All objects.
        notes: Receives what is wrong with a policy.
    """
    by_target: dict[tuple[str, str, str, str], list[tuple[BackendTlsPolicy, BackendTarget]]] = {}
    for policy in sorted(api.tls_policies, key=lambda each: (each.created, each.namespace, each.name)):
        if policy.ignored:
            notes.append(note(policy.where, "an annotation makes Istio ignore it."))
            continue
        for target in policy.targets:
            for host in _hosts(target, policy, api, notes):
                key = (target.ref.kind.name, policy.namespace, target.ref.name, host)
                by_target.setdefault(key, []).append((policy, target))
    return [_rule(key, found, api, notes) for key, found in by_target.items()]


def _hosts(
    target: BackendTarget, policy: BackendTlsPolicy, api: GatewayApi, notes: list[Problem]
) -> tuple[str, ...]:
    """Return the hosts of a target, none where it is not there."""
    ports = _ports(target, policy.namespace, api)
    where = target.ref.where
    if ports is None:
        notes.append(note(where, f"there is no {target.ref}; the policy has no effect there."))
        return ()
    if target.section and target.section not in ports[1]:
        problem = f"{target.ref} has no port of that name; the policy has no effect there."
        notes.append(note(where.key("sectionName"), problem))
        return ()
    return ports[0]


def _ports(
    target: BackendTarget, namespace: str, api: GatewayApi
) -> tuple[tuple[str, ...], Mapping[str, int]] | None:
    """Return the hosts of a target, and its ports by name; `None` where it is not there."""
    key = (namespace, target.ref.name)
    if target.ref.kind == SERVICE:
        for service in api.services:
            if (service.namespace, service.name) == key:
                return (service.hostname,), {port.name: port.number for port in service.ports}
    elif target.ref.kind == SERVICE_ENTRY:
        for entry in api.service_entries:
            if (entry.namespace, entry.name) == key:
                return entry.hosts, {port.name: port.number for port in entry.ports}
    return None


def _rule(
    key: tuple[str, str, str, str],
    found: list[tuple[BackendTlsPolicy, BackendTarget]],
    api: GatewayApi,
    notes: list[Problem],
) -> DestinationRule:
    kind, namespace, name, host = key
    tls: ClientTls | None = None
    ports: dict[int, TrafficPolicy] = {}
    for policy, target in found:
        numbers = _ports(target, namespace, api)
        number = numbers[1][target.section] if numbers and target.section else None
        taken = tls is not None if number is None else number in ports
        if taken:
            where = target.ref.where
            notes.append(
                note(where, f"an older BackendTLSPolicy is for {target.ref}; this one has no effect.")
            )
        elif number is None:
            tls = _client_tls(policy, api, notes)
        else:
            ports[number] = TrafficPolicy(tls=_client_tls(policy, api, notes))
    where = found[0][0].where
    generated = name if kind == SERVICE.name else f"{name}~{host.replace('.', '-')}"
    return DestinationRule(
        namespace=namespace,
        name=f"{generated}~{GENERATED}",
        host=host,
        policy=TrafficPolicy(tls=tls, ports=ports),
        subsets=(),
        selector=None,
        export_to=(),
        # istiod gives the rule no time of its own, so it is older than every other.
        created="",
        where=where,
    )


def _client_tls(policy: BackendTlsPolicy, api: GatewayApi, notes: list[Problem]) -> ClientTls:
    if not policy.names:
        # pilot/pkg/networking/core/cluster_tls.go#setAutoSniAndAutoSanValidation leaves it to subjectAltNames.
        problem = (
            "Istio asks for this name and does not compare the certificate with it; add subjectAltNames."
        )
        notes.append(note(policy.where.key("validation", "hostname"), problem))
    return ClientTls(
        mode="SIMPLE",
        credential_name=next(_authority(policy, api, notes), ""),
        client_certificate="",
        private_key="",
        ca_certificates="",
        subject_alt_names=policy.names,
        sni=policy.hostname,
        insecure_skip_verify=False,
        where=policy.where,
    )


def _authority(policy: BackendTlsPolicy, api: GatewayApi, notes: list[Problem]) -> Iterator[str]:
    """Yield the credential of the CA; nothing where the operating system's CAs count."""
    where = policy.where.key("validation")
    if policy.well_known not in ("", "System"):
        problem = f"Istio knows System alone, and takes {policy.well_known!r} for it."
        notes.append(note(where.key("wellKnownCACertificates"), problem))
    if not policy.authorities:
        return
    unused = "Istio takes the first CA alone, and ignores this one."
    notes += [note(ref.where, unused) for ref in policy.authorities[1:]]
    ref = policy.authorities[0]
    if ref.kind != _CONFIG_MAP:
        notes.append(note(ref.where, f"{ref.kind} is no ConfigMap; {_WITHOUT_CA}"))
        yield NO_CREDENTIAL
        return
    keys = api.config_maps.get((policy.namespace, ref.name))
    if keys is None:
        notes.append(note(ref.where, f"{ref} is not in the manifests; one that holds the CA is assumed."))
    if keys is not None and not keys.intersection(_CA_KEYS):
        notes.append(note(ref.where, f"{ref} has no ca.crt; {_WITHOUT_CA}"))
        yield NO_CREDENTIAL
        return
    yield f"configmap://{policy.namespace}/{ref.name}"
