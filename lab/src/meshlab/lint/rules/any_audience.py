"""ML306: tokens for any audience."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.rule import Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    for authentication in facts.mesh.request_authentications:
        rules = Where(authentication.attachment.where.manifest, ("spec", "jwtRules"))
        for index, rule in enumerate(authentication.rules):
            if not rule.audiences:
                place = rules.item(index)
                yield RULE.at(
                    place, f"tokens of {rule.issuer or 'any issuer'} are taken whatever their audience is."
                )


RULE = Rule(
    code="ML306",
    name="any-audience",
    severity=Severity.ERROR,
    summary="tokens for any audience",
    why="A token that the issuer made for another service is taken here as well, so each service that is given one can "
    "call this one with it.",
    fix="List this service's own audience in audiences.",
    source="Envoy's jwt_authn: without audiences the claim aud is not checked",
    check=_check,
)
