"""Types of an explanation: a tree from the request through its proxies down to single conditions."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from meshlab.quick_dataclass import dataclass

__all__ = [
    "ChangePart",
    "ConditionExplanation",
    "Decision",
    "Explanation",
    "HopExplanation",
    "Place",
    "PolicyExplanation",
    "RuleExplanation",
    "State",
    "Step",
    "SuggestedChange",
    "Widening",
]

State = Literal["passed", "refused", "not reached"]


@dataclass(frozen=True)
class Place:
    """Where something stands in the manifests.

    Attributes:
        file: The file.
        line: The line, from 1; 0 where it is not known.
        subject: The object, as `Kind namespace/name`.
        path: The field, such as `spec.rules[0]`; empty for the whole object.
    """

    file: str
    line: int
    subject: str
    path: str = ""

    @property
    def position(self) -> str:
        """`FILE:LINE`."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        """Return `Kind namespace/name field (FILE:LINE)`."""
        return f"{' '.join(filter(None, (self.subject, self.path)))} ({self.position})"


@dataclass(frozen=True)
class ConditionExplanation:
    """One condition of a rule.

    Attributes:
        place: Where it stands.
        attribute: What it is about, such as `principals` or `request.auth.claims[role]`.
        negated: Whether the values are those that must not be.
        wants: The values as written.
        saw: The value that the proxy saw, in words where there is none.
        holds: Envoy's verdict; `None` where the request did not get there.
    """

    place: Place
    attribute: str
    negated: bool
    wants: tuple[str, ...]
    saw: str
    holds: bool | None


@dataclass(frozen=True)
class RuleExplanation:
    """One rule of a policy.

    Attributes:
        place: Where it stands.
        index: Its index, from 0.
        matched: Envoy's verdict; `None` where the request did not get there.
        note: What else is to be known, such as that istiod drops the rule; empty for nothing.
        failing: Of the alternatives that come closest, the conditions that do not hold, in the order of evaluation.
        conditions: Every condition once.
    """

    place: Place
    index: int
    matched: bool | None
    note: str = ""
    failing: tuple[ConditionExplanation, ...] = ()
    conditions: tuple[ConditionExplanation, ...] = ()


@dataclass(frozen=True)
class PolicyExplanation:
    """An AuthorizationPolicy at a proxy.

    Attributes:
        place: The object.
        name: `NAMESPACE/NAME`.
        action: `CUSTOM`, `AUDIT`, `DENY` or `ALLOW`.
        dry_run: Whether it decides nothing.
        matched: Whether a rule matched; `None` where the request did not get there.
        text: What it did, in words.
        rules: Its rules in order.
    """

    place: Place
    name: str
    action: str
    dry_run: bool
    matched: bool | None
    text: str
    rules: tuple[RuleExplanation, ...]


@dataclass(frozen=True)
class Step:
    """One step within a proxy.

    Attributes:
        name: `listener`, `filter chain`, `TLS`, `request` (where it could not be read), `token`, `policies`, `route`,
            `destination`, `upstream TLS` or `answer`.
        state: Whether the request passed it, ended at it, or did not get there.
        text: What happened, in words.
        places: Where what decides stands in the manifests.
        details: Further sentences, such as the alternatives that did not match.
        evidence: Envoy's own words.
        policies: For `policies`, each policy in the order of evaluation.
    """

    name: str
    state: State
    text: str
    places: tuple[Place, ...] = ()
    details: tuple[str, ...] = ()
    evidence: str = ""
    policies: tuple[PolicyExplanation, ...] = ()


@dataclass(frozen=True)
class HopExplanation:
    """One proxy on the way.

    Attributes:
        workload: The workload whose proxy it is, as `NAMESPACE/NAME`.
        direction: `gateway`, `outbound` or `inbound`.
        port: As in `bench.verdicts.hop.Hop`.
        steps: Its steps in order.
    """

    workload: str
    direction: str
    port: int
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step | None:
        """Return the step of that name."""
        return next((step for step in self.steps if step.name == name), None)


@dataclass(frozen=True)
class Decision:
    """The end of the request.

    Attributes:
        allowed: Whether an application or an external host answered.
        status: The HTTP status; `None` without an HTTP response.
        by: Who answered or ended it, such as `the application of shop/cart`.
        proxy: `NAMESPACE/NAME` of the proxy that refused it; empty where none did.
        step: The step at which it ended; empty where it passed all.
        policy: `NAMESPACE/NAME` of the AuthorizationPolicy that refused it, `none` where no ALLOW policy matched; empty
            where no policy refused it.
        rule: The index of its rule.
        text: All of it in words.
    """

    allowed: bool
    status: int | None
    by: str
    proxy: str
    step: str
    policy: str
    rule: int | None
    text: str


@dataclass(frozen=True)
class Widening:
    """A request beside the explained one that a change would let in.

    Attributes:
        caller: Who sends it.
        target: The workload or host that it is for.
        request: What is sent.
        text: What the change does to it.
    """

    caller: str
    target: str
    request: str
    text: str


@dataclass(frozen=True)
class ChangePart:
    """One part of a change.

    Attributes:
        kind: `manifest`: an edit of a manifest. `caller`: something else that the caller has to send.
        text: What to change, in words.
        place: Where, for an edit.
        value: The YAML to add or to write there; empty where the words say it.
    """

    kind: Literal["manifest", "caller"]
    text: str
    place: Place | None = None
    value: str = ""


@dataclass(frozen=True)
class SuggestedChange:
    """A change that lets a refused request in; it was made in memory, and the request was sent again.

    Attributes:
        parts: What has to be changed, all of it.
        verified: Whether the request got in with it.
        next_obstacle: Where it ends with the change; empty where it gets in.
        widens: What else it would let in.
        widening_note: Why that is not known, or what of it is not covered; empty where there is nothing to say.
    """

    parts: tuple[ChangePart, ...]
    verified: bool = False
    next_obstacle: str = ""
    widens: tuple[Widening, ...] = ()
    widening_note: str = ""


@dataclass(frozen=True)
class Explanation:
    """The explanation of one request.

    Attributes:
        name: The name of its case.
        case: Where the case stands, as `FILE:LINE`.
        sender: Who sends it.
        request: What is sent, in one line.
        decision: The end of it.
        hops: The proxies that it met, in order.
        doubts: Why the verdict is not Istio's, or why there is none; empty where it can be trusted.
        changes: What would let it in, the smallest first; empty where it got in.
    """

    name: str
    case: str
    sender: str
    request: str
    decision: Decision | None
    hops: tuple[HopExplanation, ...] = ()
    doubts: tuple[str, ...] = field(default=())
    changes: tuple[SuggestedChange, ...] = ()
