"""Explanation of an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload, client_address
from meshlab.bench.report.outcome_texts import place, request
from meshlab.explain.connection_steps import chain_step, client_tls_step, listener_step
from meshlab.explain.destination_steps import destination_step, upstream_tls_step
from meshlab.explain.explanation import Decision, Explanation, HopExplanation, Step
from meshlab.explain.hop_context import HopContext
from meshlab.explain.manifest_places import safe
from meshlab.explain.policy_step import policies_step
from meshlab.explain.route_step import route_step
from meshlab.explain.token_step import token_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.bench.verdicts.verdict import Outcome, Verdict
    from meshlab.explain.explanation import State
    from meshlab.istio import Mesh

__all__ = ["contexts", "explain", "stop_of"]

_ORDER = (
    "listener",
    "filter chain",
    "TLS",
    "request",
    "token",
    "policies",
    "route",
    "destination",
    "upstream TLS",
    "answer",
)


_ROUTES_DETAILS = ("route_not_found", "direct_response", "cluster_not_found")
_UNREADABLE = ("upgrade_failed", "path_normalization_failed", "missing_host_header", "low_version")
"""Details of requests that Envoy answers before it looks at tokens and policies, beside those that it cannot read."""


def explain(outcome: Outcome, mesh: Mesh | Sequence[Mesh], under_test: MeshUnderTest) -> Explanation:
    """Return the explanation of an outcome, without proposals of changes.

    Args:
        outcome: The outcome, of a bench with `condition_probes`.
        mesh: The mesh that it ran on, with the workloads that its case file declares; several where meshes are joined.
        under_test: The configurations that it ran on.
    """
    case, verdict = outcome.case, outcome.verdict
    return Explanation(
        name=safe(case.name),
        case=place(case),
        sender=_sender(case),
        request=safe(request(case)),
        decision=_decision(verdict) if verdict else None,
        hops=tuple(_hop(context) for context in contexts(outcome, mesh, under_test)),
        doubts=tuple(map(safe, outcome.reasons)) if outcome.state in ("not judged", "error") else (),
    )


def contexts(outcome: Outcome, mesh: Mesh | Sequence[Mesh], under_test: MeshUnderTest) -> list[HopContext]:
    """Return what each hop of an outcome is explained from: the mesh that has its proxy, and the configurations."""
    hops = outcome.verdict.hops if outcome.verdict else ()
    return [
        HopContext(outcome.case, hops, index, _mesh_of(hop, mesh), under_test)
        for index, hop in enumerate(hops)
    ]


def _mesh_of(hop: Hop, mesh: Mesh | Sequence[Mesh]) -> Mesh:
    """Return the mesh that has the proxy of a hop."""
    if not isinstance(mesh, Sequence):
        return mesh
    return next(each for each in mesh if any(workload.ref == hop.workload for workload in each.workloads))


def stop_of(hop: Hop) -> str:
    """Return the name of the step at which a hop's proxy ended the request; empty where it passed it on."""
    if hop.passed_on:
        return ""
    line = hop.line
    if line.details == "filter_chain_not_found":
        return "filter chain"
    if hop.policy is not None:
        return "policies"
    if hop.jwt_failure:
        return "token"
    if line.scope == "http":
        unread = not line.route_mark and line.details not in _ROUTES_DETAILS
        return "request" if unread or line.details in _UNREADABLE else _behind_the_filters(hop)
    if hop.client_tls_failure:
        return "TLS"
    return _behind_the_filters(hop)


def _behind_the_filters(hop: Hop) -> str:
    line = hop.line
    if line.upstream_failure and not line.upstream_failure.startswith(("delayed", "immediate")):
        return "upstream TLS"
    if line.upstream or {"UH", "NC", "UF", "UO", "UT"} & set(line.flags.split(",")):
        no_route = line.cluster == "BlackHoleCluster"
        return "route" if no_route else "destination"
    return "route"


def _hop(context: HopContext) -> HopExplanation:
    hop = context.hop
    stop = stop_of(hop)
    asks_first = stop == "policies" and hop.line.details == "ext_authz_denied"

    def state(name: str) -> State:
        if asks_first and name == "token":
            # Istio asks external authorizers before it verifies tokens.
            return "not reached"
        if not stop or _ORDER.index(name) < _ORDER.index(stop):
            return "passed"
        return "refused" if name == stop else "not reached"

    steps = [listener_step(context), chain_step(context)]
    if context.chain is not None:
        found = (
            client_tls_step(context, state("TLS")) if state("TLS") != "not reached" else None,
            _unreadable(context) if stop == "request" else None,
            token_step(context, state("token")),
            policies_step(context, state("policies")),
            route_step(context, state("route")),
            destination_step(context, state("destination")),
            upstream_tls_step(context, state("upstream TLS")),
        )
        steps += [step for step in found if step]
    steps.append(_answer(context, stop))
    return HopExplanation(str(hop.workload), hop.direction, hop.port, tuple(steps))


def _unreadable(context: HopContext) -> Step:
    text = f"the proxy does not take the request: {safe(context.hop.reason)}"
    return Step("request", "refused", text, (), (), context.line.details)


def _answer(context: HopContext, stop: str) -> Step:
    line, hop = context.line, context.hop
    status = f"{line.status}, " if line.status else ""
    if stop:
        return Step("answer", "refused", f"{status}by this proxy: {safe(hop.reason)}", (), (), line.details)
    return Step(
        "answer", "passed", f"{status}from {hop.upstream_name or 'the other end'}", (), (), line.details
    )


def _decision(verdict: Verdict) -> Decision:
    decisive = verdict.decisive if verdict.proxy else None
    policy = decisive.policy if decisive else None
    by = ""
    if verdict.app is not None:
        by = f"the application of {verdict.app}" if "/" in verdict.app else f"the host {verdict.app}"
    elif verdict.proxy is not None:
        by = f"the proxy of {verdict.proxy}"
    return Decision(
        allowed=verdict.reply.answered and verdict.app is not None,
        status=verdict.reply.status,
        by=by,
        proxy=str(verdict.proxy) if verdict.proxy else "",
        step=stop_of(decisive) if decisive else "",
        policy=policy.name if policy else "",
        rule=policy.rule if policy else None,
        text=safe(verdict.missing or verdict.summary),
    )


def _sender(case: Case) -> str:
    address = client_address(case.sender)
    at = [f"from {address}"] if address else []
    match case.sender:
        case FromOutside(gateway=gateway, certificate=certificate):
            parts = [f"a client outside the mesh, at {gateway}", *at]
            parts += [f"with a certificate of {certificate.authority}"] if certificate else []
        case FromWorkload(workload=workload):
            parts = [f"{workload}, through its sidecar"]
        case FromBypass(workload=sender, to=to, mode=mode):
            who = sender or "a client without an identity"
            parts = [f"{who}, past its sidecar straight to {to}, {mode}", *at]
        case FromForeignMesh(identity=identity, to=to):
            parts = [f"{identity} of another mesh, straight to {to}", *at]
    return ", ".join([*parts, *_tokens(case)])


def _tokens(case: Case) -> Iterator[str]:
    for token in case.tokens:
        if token.literal is not None:
            yield "with a text in place of a token"
            continue
        flaw = f" ({token.flaw})" if token.flaw else ""
        subject = f" for {safe(token.claims['sub'])}" if "sub" in token.claims else ""
        yield f"with a token of {safe(token.issuer or 'the only issuer')}{subject}{flaw}"
