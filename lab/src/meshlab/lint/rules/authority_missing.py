"""ML408: TLS to a service of the cluster without a CA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.istio.read.hosts import full_name
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for rule in of_networking(facts.manifests, "DestinationRule"):
        spec = mapping(rule.body, "spec")
        if not full_name(text(spec, "host"), rule.namespace).endswith(_CLUSTER):
            continue
        for where, tls in _settings(rule):
            mode = text(tls, "mode")
            by_secret = text(tls, "credentialName") and "workloadSelector" in spec
            if mode in ("SIMPLE", "MUTUAL") and not text(tls, "caCertificates") and not by_secret:
                yield RULE.at(where, f"{mode} to {text(spec, 'host')} names no CA.")


def _settings(rule: Manifest) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    """Yield the TLS settings of a DestinationRule."""
    top = (("spec", "trafficPolicy"), mapping(rule.body, "spec", "trafficPolicy"))
    subsets = [
        (("spec", "subsets", index, "trafficPolicy"), mapping(subset, "trafficPolicy"))
        for index, subset in enumerate(listed(mapping(rule.body, "spec"), "subsets"))
    ]
    for keys, policy in (top, *subsets):
        yield Where(rule, (*keys, "tls")), mapping(policy, "tls")
        for index, port in enumerate(listed(policy, "portLevelSettings")):
            yield Where(rule, (*keys, "portLevelSettings", index, "tls")), mapping(port, "tls")


_CLUSTER = ".svc.cluster.local"


RULE = Rule(
    code="ML408",
    name="authority-missing",
    severity=Severity.WARNING,
    summary="TLS to a service of the cluster without a CA",
    why=(
        "Without caCertificates Istio trusts the public authorities. None of them issues certificates for "
        "names of a cluster, so the connection fails; and any of their customers may present one for "
        "another name."
    ),
    fix=(
        "Name the CA in caCertificates, or in the Secret of credentialName with a workloadSelector; for "
        "workloads of the mesh write ISTIO_MUTUAL."
    ),
    source="istio/istio pkg/config/analysis: IST0128 and IST0129",
    check=_check,
)
