"""ML222: a rule of a delegate that no rule of a root leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.model.delegates import exports, fits_root
from meshlab.lint.missed import Missed
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio.read.virtual_service import HttpRoute, VirtualService
    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    written = [each for each in facts.mesh.virtual_services if not each.gateway_api]
    for delegate in written:
        roots = list(_leading_to(delegate, written, facts)) if delegate.is_delegate else []
        if not roots:
            continue  # not a delegate, or reading the mesh reports what is missing
        for inner in delegate.http:
            if not any(fits_root(root, inner) for root in roots):
                yield RULE.at(
                    inner.where, "contradicts the match of each rule that delegates here, so Istio drops it."
                )


def _leading_to(
    delegate: VirtualService, written: Sequence[VirtualService], facts: Facts
) -> Iterator[HttpRoute]:
    """Yield the rules of roots that delegate to a VirtualService which they see."""
    seen_in = exports(delegate, facts.mesh.settings.virtual_service_export_to)
    for root in written:
        for route in root.http:
            named = route.delegate
            if named is None or (named.namespace, named.name) != (delegate.namespace, delegate.name):
                continue
            if seen_in & {"*", root.namespace}:
                yield route


RULE = Rule(
    code="ML222",
    name="delegate-never-matches",
    severity=Severity.WARNING,
    summary="a rule of a delegate that no rule of a root leads to",
    why=(
        "A delegate's match must be narrower than that of the rule which delegates. Istio drops the delegate's rule "
        "otherwise, without a word."
    ),
    fix="Begin its path with the prefix of the rule that delegates, or leave out the condition that contradicts.",
    source="istio/istio pilot/pkg/model/virtualservice.go: mergeHTTPRoutes, hasConflict",
    check=_check,
    missed=Missed(frozenset({"VirtualService"}), anywhere=True),
)
