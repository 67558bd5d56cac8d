"""Proposals: changes that could let a refused request past the step that refused it. `changes` tries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, HttpRequest
from meshlab.explain.build import stop_of
from meshlab.explain.caller_proposals import valid_token, with_identity
from meshlab.explain.connections import mode_of, mode_place
from meshlab.explain.edits import Edit
from meshlab.explain.missed_parts import missed_parts
from meshlab.explain.policies import results_at
from meshlab.explain.policy_proposals import not_to_be_denied, to_be_allowed, written_value
from meshlab.explain.proposal import Proposal
from meshlab.explain.routed import route_where, virtual_host_of
from meshlab.istio.read.fields import Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.context import HopContext

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
            yield from _mutual_tls(context)
        case "route":
            yield from _route(context)


def _mutual_tls(context: HopContext) -> Iterator[Proposal]:
    if context.hop.direction != "inbound":
        return
    sender = context.case.sender
    if found := with_identity(context):
        yield found
    mode = mode_of(context)
    if mode.mode == "STRICT" and not (isinstance(sender, FromBypass) and sender.mode == "mtls"):
        where = mode_place(mode, context.hop.port)
        if where:
            yield Proposal((Edit(where, "set", "PERMISSIVE", "so that plaintext is taken, too"),))


def _route(context: HopContext) -> Iterator[Proposal]:
    """Yield a further match of the route that comes closest, for exactly this path and method."""
    request = context.case.request
    if context.manager is None or not isinstance(request, HttpRequest):
        return
    host = virtual_host_of(context, context.line.authority)
    path = written_value(context, "paths", 0) or context.line.path.partition("?")[0]
    found: list[tuple[list[str], Where]] = []
    for route in host.get("routes", []) if host else []:
        where = route_where(context, host, route)
        if "route" in route and where and where.keys[-2:-1] == ("match",):
            missed = list(missed_parts(context, route))
            if missed and all(each.startswith(("path", "method")) for each in missed):
                found.append((missed, where))
    for missed, where in sorted(found, key=lambda each: len(each[0]))[:1]:
        match: dict[str, object] = {"uri": {"exact": path}}
        if any(each.startswith("method") for each in missed):
            match["method"] = {"exact": context.line.method}
        yield Proposal((Edit(Where(where.manifest, where.keys[:-1]), "append", match),))
