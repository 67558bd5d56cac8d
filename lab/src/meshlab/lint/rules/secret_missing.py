"""ML107: a credential that no Secret has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.lint.facts import gateway_credentials, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    held = {(each.namespace, name) for each in facts.manifests for name in _made_by(each)}
    names = {name for _, name in held}
    namespaces = {each.namespace for each in facts.of_kind("Secret")}
    for where, namespace, name in gateway_credentials(facts):
        # Secrets are seldom kept beside manifests: one that is missing means something only where others are there.
        if (namespace, name) not in held and (name in names or namespace in namespaces):
            place = ", ".join(sorted(found for found, other in held if other == name))
            hint = f"; {place} has one" if place else ""
            yield RULE.at(where, f"there is no Secret {namespace}/{name}{hint}.")


def _made_by(manifest: Manifest) -> Iterator[str]:
    """Yield the Secrets that an object is, or makes."""
    spec = mapping(manifest.body, "spec")
    match manifest.kind:
        case "Secret" | "SealedSecret":
            yield manifest.name
        case "Certificate":
            yield text(spec, "secretName")
        case "ExternalSecret":
            yield text(mapping(spec, "target"), "name") or manifest.name


RULE = Rule(
    code="ML107",
    name="secret-missing",
    severity=Severity.WARNING,
    summary="a credential that no Secret of the manifests has",
    why="A gateway reads Secrets of its own namespace alone. Without the Secret it does not open the server.",
    fix="Put the Secret into the namespace of the gateway's pods, or correct the name.",
    source="istio/istio pkg/config/analysis: IST0101 for credentials",
    check=_check,
)
