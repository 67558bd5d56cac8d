"""ML607: a way to gcr.io and none to pkg.dev."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    hosts = [(entry, host) for entry in facts.mesh.service_entries for host in entry.hosts]
    if any(_is_below(host, "pkg.dev") for _, host in hosts):
        return
    for entry, host in hosts:
        if _is_below(host, "gcr.io"):
            yield RULE.at(entry.where.key("hosts"), f"{host} is reached, and nothing of pkg.dev.")


def _is_below(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


RULE = Rule(
    code="ML607",
    name="registry-host-retired",
    severity=Severity.INFO,
    summary="a way to gcr.io and none to pkg.dev",
    why=("Images of Artifact Registry are served from pkg.dev; Container Registry's own host was shut down."),
    fix="Add pkg.dev to DNS zones and ServiceEntries.",
    source="Google Cloud: transition from Container Registry",
    check=_check,
)
