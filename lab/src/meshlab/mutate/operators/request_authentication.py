"""Changes of a RequestAuthentication: every issuer, audience and place of a token, and what it hangs at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import ANOTHER, gone, removed, replaced
from meshlab.mutate.operators.policy_attachment import attachment
from meshlab.mutate.written import entries, several, text, texts_with_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["request_authentication"]

_PLACES = ("fromHeaders", "fromParams", "fromCookies")


def request_authentication(body: Body) -> Iterator[Change]:
    """Yield the changes of a RequestAuthentication."""
    yield gone()
    yield from attachment(body, narrower_weakens=True, wider_weakens=False)
    for place, rule in entries(body, "spec", "jwtRules"):
        yield removed(place, weakens=not several(body, "spec", "jwtRules"))
        yield from _rule(body, place, rule)


def _rule(body: Body, here: Path, rule: Mapping[str, Any]) -> Iterator[Change]:
    if issuer := text(rule, "issuer"):
        yield replaced((*here, "issuer"), f"{issuer}.{ANOTHER}", "another issuer", weakens=False)
    if rule.get("audiences"):
        yield removed((*here, "audiences"), weakens=True)
    for place, audience in texts_with_paths(body, *here, "audiences"):
        if several(body, *here, "audiences"):
            yield removed(place, f"{audience} removed", weakens=False)
        yield replaced(place, f"{audience}.{ANOTHER}", f"{audience} becomes another", weakens=False)
    forward = rule.get("forwardOriginalToken", False)
    if isinstance(forward, bool):
        # The application gets the caller's token, or the next proxy gets none.
        yield replaced(
            (*here, "forwardOriginalToken"),
            not forward,
            f"becomes {str(not forward).lower()}",
            weakens=not forward,
        )
    yield from _token_places(body, here, rule)
    for name in ("outputPayloadToHeader", "outputClaimToHeaders"):
        if name in rule:
            yield removed((*here, name), weakens=False)


def _token_places(body: Body, here: Path, rule: Mapping[str, Any]) -> Iterator[Change]:
    if not any(name in rule for name in _PLACES):
        return
    for name in _PLACES:
        if name in rule:
            # Where a rule names no place, the query is one, too.
            yield removed((*here, name), weakens=not any(other in rule for other in _PLACES if other != name))
        elif name != "fromHeaders":
            yield replaced((*here, name), ["access_token"], "access_token", weakens=True)
        if several(body, *here, name):
            for place, _ in entries(body, *here, name):
                yield removed(place, weakens=False)
            for place, parameter in texts_with_paths(body, *here, name):
                yield removed(place, f"{parameter} removed", weakens=False)
