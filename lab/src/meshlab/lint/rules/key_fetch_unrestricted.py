"""ML314: an istiod that fetches keys from any address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.object_kinds import SECURITY
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import pod_templates, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    fetched = any(
        text(rule, "jwksUri")
        for each in facts.of_kind("RequestAuthentication", SECURITY)
        for rule in listed(mapping(each.body, "spec"), "jwtRules")
    )
    if not fetched:
        return
    for pod in pod_templates(facts.manifests):
        if pod.labels.get("app") != "istiod" or pod.manifest.kind != "Deployment":
            continue
        for where, container in pod.containers:
            if container.get("name") == "discovery" and not any(
                text(entry, "name") == _VARIABLE and (text(entry, "value") or mapping(entry, "valueFrom"))
                for entry in listed(container, "env")
            ):
                yield RULE.at(where, f"{_VARIABLE} is not set, and a RequestAuthentication has a jwksUri.")


_VARIABLE = "BLOCKED_CIDRS_IN_JWKS_URIS"


RULE = Rule(
    code="ML314",
    name="key-fetch-unrestricted",
    severity=Severity.WARNING,
    summary="an istiod that fetches keys from any address",
    why=(
        "istiod fetches each jwksUri. An author of a RequestAuthentication can make it ask addresses of "
        "the cluster or of a metadata server."
    ),
    fix="Set BLOCKED_CIDRS_IN_JWKS_URIS in istiod's environment.",
    source="istio/istio pkg/config/analysis: JwksUriFetchUnrestricted",
    check=_check,
)
