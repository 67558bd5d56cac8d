"""Proposals: changes that could let a refused request past the step that refused it. `changes` tries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.explain.caller_proposals import valid_token
from meshlab.explain.connection_proposals import accepted_connection
from meshlab.explain.explained_outcome import stop_of
from meshlab.explain.policy_proposals import not_to_be_denied, to_be_allowed
from meshlab.explain.policy_step import results_at
from meshlab.explain.route_proposals import known_host, matching_route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.hop_context import HopContext
    from meshlab.explain.proposal import Proposal

__all__ = ["proposals"]


def proposals(context: HopContext) -> Iterator[Proposal]:
    """Yield what could let a request past the hop that refused it, the smallest change first.

    Args:
        context: The hop.
    """
    match stop_of(context.hop):
        case "policies":
            decided = context.hop.policy
            results = results_at(context)
            if decided is None:
                return
            if decided.rule is None:
                yield from to_be_allowed(context, results)
            else:
                yield from not_to_be_denied(context, results, decided.name, decided.rule)
        case "token":
            yield from valid_token(context)
        case "filter chain" | "TLS":
            yield from accepted_connection(context)
        case "route":
            unknown = context.hop.direction == "outbound" and _is_unknown(context)
            yield from known_host(context) if unknown else matching_route(context)


def _is_unknown(context: HopContext) -> bool:
    """Return whether a sidecar lets only known hosts through, and does not know this one."""
    return context.line.cluster == "BlackHoleCluster" or context.line.route == "block_all"
