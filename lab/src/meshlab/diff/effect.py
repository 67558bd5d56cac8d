"""Effect of a request: what became of it, without what may differ between two runs of one mesh."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.battery.answering_host import answering_host
from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload
from meshlab.diff.change import Change, Kind, change_of
from meshlab.diff.own_values import Headers, of_every_run, without_own_values
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.verdicts.verdict import Outcome, Verdict
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Arrival", "Change", "Effect", "Kind", "Peer", "change_of", "effect_of", "not_there"]


_SHORTEST_SECRET = 8
_REASON = "www-authenticate"
"""What a proxy says about a token that it refuses (RFC 6750, section 3)."""


@dataclass(frozen=True)
class Peer:
    """One connection between the parts of a mesh, as its receiver saw it.

    Attributes:
        receiver: The workload that took the connection.
        identity: The names in the client's certificate, such as a SPIFFE id; empty without mTLS.
    """

    receiver: str
    identity: str


@dataclass(frozen=True)
class Arrival:
    """A request as it reached the application.

    Attributes:
        method: The method; empty over TCP.
        path: The path with its query.
        host: The Host.
        headers: The headers that are the same in every run, sorted by name.
        sni: The server name asked for with TLS; `none` without TLS.
    """

    method: str = ""
    path: str = ""
    host: str = ""
    headers: Headers = ()
    sni: str = "none"


@dataclass(frozen=True)
class Effect:
    """What became of a request. Two effects are equal where no client and no application can see a difference.

    Attributes:
        allowed: Whether an application or an external host answered.
        answerer: The workload or external host that answered; of a refusal the workload whose proxy refused; empty
            where that is not known.
        status: The HTTP status; `None` without one.
        mtls: The connections that the request met, in their order, without the first proxy of its sender.
        received: What reached the application; `None` where nothing did or it keeps no record.
        returned: The response's headers that are the same in every run, sorted by name.
        body: What a proxy answered by itself, where a route says so.
        absent: Why the request cannot be sent at all, such as `there is no workload shop/cart`; empty where it can.
        unknown: Why it is not known what became of it; empty where it is.
        failed: Whether it is unknown because the bench or a proxy failed, and not because a proxy is untrusted.
        policy: The AuthorizationPolicy that denied it, `none` where no ALLOW rule matched, or empty.
        reason: Why it was refused, in words.
        way: The workloads whose proxies it met, in order; the first is its sender, or what it was sent to.
        lines: What each proxy that it met logged about it: the listener, filter chain and route that took it.
    """

    allowed: bool = False
    answerer: str = ""
    status: int | None = None
    mtls: tuple[Peer, ...] = ()
    received: Arrival | None = None
    returned: Headers = ()
    body: str = ""
    absent: str = ""
    unknown: tuple[str, ...] = field(default=(), compare=False)
    failed: bool = field(default=False, compare=False)
    policy: str = field(default="", compare=False)
    reason: str = field(default="", compare=False)
    way: tuple[WorkloadRef, ...] = field(default=(), compare=False)
    lines: tuple[EvidenceLine, ...] = field(default=(), compare=False)

    @property
    def ending(self) -> str:
        """How it ended in one word: the status, `answered`, `refused` or `not there`."""
        if self.absent:
            return "not there"
        if self.status is not None:
            return str(self.status)
        return "answered" if self.allowed else "refused"

    @property
    def summary(self) -> str:
        """The effect in a few words, such as `403 by the proxy of shop/cart: no ALLOW policy matched`."""
        if self.unknown:
            return f"{'failed' if self.failed else 'not judged'}: {self.unknown[0]}"
        if self.absent:
            return f"not there: {self.absent}"
        kind = "the application of" if self.allowed and "/" in self.answerer else ""
        kind = "the proxy of" if self.answerer and not self.allowed else kind
        by = " ".join(part for part in ("by", kind, self.answerer) if part) if self.answerer else ""
        why = self.reason if not self.allowed else ""
        return f"{self.ending}{f' {by}' if by else ''}{f': {why}' if why else ''}"


def effect_of(outcome: Outcome) -> Effect:
    """Return what became of a request.

    Args:
        outcome: The outcome of its case. The case's own expectation does not matter.
    """
    verdict, case = outcome.verdict, outcome.case
    way = _way(outcome)
    if outcome.state in ("not judged", "error"):
        if verdict is None and outcome.state == "error":
            # Nothing was sent: the mesh does not have what the case names.
            return Effect(absent="; ".join(outcome.reasons) or "it cannot be sent", way=way)
        return Effect(
            unknown=outcome.reasons or ("no reason was given",), failed=outcome.state == "error", way=way
        )
    if verdict is None:
        return Effect(unknown=("nothing was sent",), failed=True, way=way)
    secrets = _secrets(case)
    allowed = verdict.app is not None and verdict.reply.answered
    decisive = verdict.decisive
    policy = decisive.policy if decisive else None
    answers_itself = decisive is not None and decisive.line.details == "direct_response"
    return Effect(
        allowed=allowed,
        answerer=answering_host(verdict.app or "", case) if allowed else str(verdict.proxy or ""),
        status=verdict.reply.status,
        mtls=tuple(_peers(verdict, allowed=allowed)),
        received=_arrival(verdict, secrets) if allowed else None,
        returned=_returned(verdict, secrets, allowed=allowed),
        body=without_own_values(verdict.reply.text, secrets) if answers_itself else "",
        policy=policy.name if policy else "",
        reason=verdict.reason or verdict.reply.failure,
        way=way,
        lines=tuple(hop.line for hop in verdict.hops),
    )


def not_there(why: str) -> Effect:
    """Return the effect of a request that a mesh lacks the sender or the target for.

    Args:
        why: What is missing, such as `there is no workload shop/cart`.
    """
    return Effect(absent=why)


def _peers(verdict: Verdict, *, allowed: bool) -> Iterator[Peer]:
    """Yield the connections between parts of the mesh, the one to an application without a proxy included."""
    receiver = ""
    for hop in verdict.hops:
        if hop.direction != "outbound":
            receiver = str(hop.workload)
            yield Peer(receiver, hop.line.peer)
    app = verdict.app or ""
    if allowed and "/" in app and receiver != app:
        yield Peer(app, "")


def _arrival(verdict: Verdict, secrets: Sequence[str]) -> Arrival | None:
    got = verdict.received
    if got is None:
        return None
    return Arrival(
        got.method,
        without_own_values(got.target, secrets),
        got.host,
        of_every_run(got.headers, secrets),
        got.sni,
    )


def _returned(verdict: Verdict, secrets: Sequence[str], *, allowed: bool) -> Headers:
    """Return the response's headers, of a refusal without the one that follows from the reason."""
    found = of_every_run(verdict.reply.headers, secrets)
    return found if allowed else tuple(header for header in found if header[0] != _REASON)


def _secrets(case: Case) -> list[str]:
    """Return the texts of a case that stand for tokens; a short one would be found in other words."""
    return [spec.literal for spec in case.tokens if spec.literal and len(spec.literal) >= _SHORTEST_SECRET]


def _way(outcome: Outcome) -> tuple[WorkloadRef, ...]:
    sender = outcome.case.sender
    match sender:
        case FromOutside(gateway=entry):
            pass
        case FromWorkload(workload=entry):
            pass
        case FromBypass(to=entry) | FromForeignMesh(to=entry):
            pass
    hops = outcome.verdict.hops if outcome.verdict else ()
    return tuple(dict.fromkeys((entry, *(hop.workload for hop in hops))))
