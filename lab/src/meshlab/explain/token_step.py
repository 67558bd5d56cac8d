"""The step of tokens: which rule of which RequestAuthentication verified one, or which part of it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.explain.explanation import Step
from meshlab.explain.manifest_places import place_of, safe
from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from meshlab.explain.explanation import Place, State
    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.read.request_authentication import JwtRule, RequestAuthentication

    Found = tuple[RequestAuthentication, int, JwtRule]

__all__ = ["failed_part", "rule_where", "token_step"]

_PARTS = (
    ("Jwt is expired", "expiry (exp)"),
    ("Jwt not yet valid", "begin (nbf)"),
    ("Audiences in Jwt are not allowed", "audience (aud)"),
    ("Jwt issuer is not configured", "issuer (iss)"),
    ("Jwt verification fails", "signature"),
    ("Jwks doesn't have key to match kid or alg from Jwt", "signing key (kid, alg)"),
    ("Jwt header [alg]", "algorithm (alg)"),
    ("Jwt is not in the form", "form"),
    ("Jwt header", "form"),
    ("Jwt payload", "form"),
    ("Jwt signature", "signature"),
)
"""Beginnings of what Envoy's JWT library says (jwt_verify_lib, status.cc), and the part of the token concerned."""


def failed_part(words: str) -> str:
    """Return the part of a token that Envoy's words are about; empty for words that are not known."""
    return next((part for beginning, part in _PARTS if words.startswith(beginning)), "")


def rule_where(found: Found) -> Where:
    """Return where a rule on tokens stands."""
    policy, index, _ = found
    return Where(policy.attachment.where.manifest, ("spec", "jwtRules", index))


def token_step(context: HopContext, state: State) -> Step | None:
    """Explain what became of the tokens; `None` where the proxy looks at none."""
    if context.manager is None or not context.jwt_rules:
        return None
    places = tuple(place_of(rule_where(found)) for found in context.jwt_rules)
    if state == "not reached":
        return Step("token", state, "tokens were not verified", places)
    if state == "refused":
        return _refused(context, places)
    issuer = context.line.claims.get("iss")
    if issuer is None:
        sent = " It was sent where no rule looks for it." if _was_sent(context) else ""
        text = f"no token to verify; that alone is no refusal.{sent}"
        return Step("token", state, text, places)
    by = [found for found in context.jwt_rules if found[2].issuer in ("", issuer)]
    verified = tuple(place_of(rule_where(found)) for found in by) or places
    subject, audience = context.line.claims.get("sub"), context.line.claims.get("aud")
    shown = [f"subject {safe(subject)}" if subject is not None else "no subject"]
    shown += [f"audience {safe(audience)}"] if audience is not None else []
    text = f"the token of {safe(issuer)} is valid: {', '.join(shown)}"
    forwarded = any(found[2].forward_original_token for found in by)
    details = () if forwarded else ("the proxy does not pass the token on (forwardOriginalToken is not set)",)
    return Step("token", state, text, verified, details)


def _refused(context: HopContext, places: tuple[Place, ...]) -> Step:
    words = context.hop.jwt_failure
    part = failed_part(words)
    rules = _concerned(context, part)
    details = [f"the token: {_claimed(context)}"] if _claimed(context) else []
    if part.startswith("audience"):
        for _, _, rule in rules:
            details.append(f"audiences of the rule: {', '.join(rule.audiences) or 'any'}")
    if part.startswith("issuer"):
        issuers = dict.fromkeys(rule.issuer for _, _, rule in context.jwt_rules)
        details.append(f"issuers of the rules: {', '.join(issuers)}")
    chosen = tuple(place_of(rule_where(found)) for found in rules) or places
    text = f"the token was refused for its {part}" if part else "the token was refused"
    return Step("token", "refused", text, chosen, tuple(details), words)


def _concerned(context: HopContext, part: str) -> list[Found]:
    """Return the rules whose check failed: those of the issuer that the case's tokens name."""
    if part.startswith(("issuer", "form")):
        return []
    named = {token.claims.get("iss", token.issuer) for token in context.case.tokens if token.literal is None}
    found = [found for found in context.jwt_rules if found[2].issuer in named]
    return found or (context.jwt_rules if len(context.jwt_rules) == 1 else [])


def _claimed(context: HopContext) -> str:
    """Return what the case says of its tokens. Envoy shows no claims of one that it refused."""
    shown = []
    for token in context.case.tokens:
        if token.literal is not None:
            shown.append("a text of the case in place of a token")
            continue
        issuer = token.issuer or "the only issuer"
        claims = [f"{name} {safe(token.claims[name])}" for name in ("sub", "aud") if name in token.claims]
        flaw = f", made with the flaw {token.flaw!r}" if token.flaw else ""
        shown.append(f"of {safe(issuer)}{', ' if claims else ''}{', '.join(claims)}{flaw}")
    return "; ".join(shown)


def _was_sent(context: HopContext) -> bool:
    return context.index == 0 and bool(context.case.tokens)
