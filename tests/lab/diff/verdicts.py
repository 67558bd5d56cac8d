"""Outcomes made by hand, for what a comparison makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import Case, CasePlace, FromOutside, FromWorkload, HttpRequest
from meshlab.bench.client.reply import Reply
from meshlab.bench.evidence.line import EvidenceLine
from meshlab.bench.verdicts.hop import Hop
from meshlab.bench.verdicts.verdict import Outcome, ReceivedByApp, Verdict
from meshlab.diff.effect import Effect, effect_of
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from meshlab.bench.case import TokenSpec
    from meshlab.bench.mesh_addresses import Direction

__all__ = ["CART", "DOOR", "allowed", "case", "effect", "hop", "outcome", "refused"]

DOOR, CART = WorkloadRef("edge", "door"), WorkloadRef("shop", "cart")
CALLER = "spiffe://cluster.local/ns/edge/sa/door"


def case(*tokens: TokenSpec, name: str = "a case", inside: bool = False) -> Case:
    """Return a case at the gateway, or of a workload."""
    sender = FromWorkload(WorkloadRef("shop", "caller")) if inside else FromOutside(DOOR)
    return Case(name, sender, HttpRequest("http://cart.example/"), None, CasePlace("cases.yaml", 1), tokens)


def hop(
    workload: WorkloadRef = CART,
    direction: Direction = "inbound",
    *,
    peer: str = "",
    details: str = "via_upstream",
    status: int = 200,
    cluster: str = "",
    listener: str = "",
) -> Hop:
    """Return one proxy on the way."""
    line = EvidenceLine(
        workload, "http", peer=peer, details=details, status=status, cluster=cluster, listener=listener
    )
    return Hop(workload, direction, 8080, line)


def allowed(
    app: str = "shop/cart",
    *,
    peer: str = CALLER,
    target: str = "/",
    received: tuple[tuple[str, str], ...] = (),
    returned: tuple[tuple[str, str], ...] = (),
    status: int = 200,
) -> Verdict:
    """Return an answer of an application behind the gateway and a sidecar."""
    got = ReceivedByApp("GET", target, "cart.example", received, "")
    hops = (hop(DOOR, "gateway"), hop(WorkloadRef.parse(app), peer=peer))
    return Verdict(Reply("127.0.0.1:1", status, returned), hops, app=app, received=got)


def refused(
    status: int | None = 403,
    by: WorkloadRef = CART,
    *,
    details: str = "rbac_access_denied_matched_policy[none]",
    reason: str = "no ALLOW policy matched",
    body: bytes = b"RBAC: access denied",
    returned: tuple[tuple[str, str], ...] = (),
) -> Verdict:
    """Return a refusal by a proxy."""
    hops = [hop(DOOR, "gateway", details=details if by == DOOR else "via_upstream", status=status or 0)]
    if by != DOOR:
        hops.append(hop(by, peer=CALLER, details=details, status=status or 0))
    reply = Reply("127.0.0.1:1", status, returned, body if status else b"")
    return Verdict(reply, tuple(hops), proxy=by, reason=reason)


def outcome(verdict: Verdict, *tokens: TokenSpec) -> Outcome:
    """Return the outcome of a case without an expectation."""
    return Outcome(case(*tokens), "seen", verdict)


def effect(verdict: Verdict, *tokens: TokenSpec) -> Effect:
    """Return what became of a case with that verdict."""
    return effect_of(outcome(verdict, *tokens))
