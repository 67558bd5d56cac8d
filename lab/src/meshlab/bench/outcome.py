"""What became of a case: the engine makes it, the reports and `meshlab init` read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from meshlab.bench.case import Case
    from meshlab.istio.read.names import WorkloadRef

__all__ = ["Hop", "Observed", "Outcome", "Status"]

Status = Literal["passed", "failed", "not_judged", "error"]
"""`not_judged`: a proxy on the way is untrusted. `error`: the bench could not send the request or read the logs."""


@dataclass(frozen=True)
class Hop:
    """One proxy that the request passed or ended at. Texts are empty where Envoy's access log has nothing.

    Attributes:
        proxy: The proxy's workload.
        side: `gateway`, or which side of a sidecar.
        listener: The name of the listener.
        route: The name of the route.
        cluster: The name of the cluster.
        status: The HTTP status that the proxy returned downstream; `None` for TCP.
        details: Envoy's response code details, or its connection termination details.
        policy: `NAMESPACE/NAME` of the AuthorizationPolicy that decided; `none` where no ALLOW rule matched.
        rule: The index of the rule in that policy, from 0.
        upstream: The address that the proxy sent the request to.
        peer: The identity in the client's certificate.
    """

    proxy: WorkloadRef
    side: Literal["gateway", "outbound", "inbound"]
    listener: str = ""
    route: str = ""
    cluster: str = ""
    status: int | None = None
    details: str = ""
    policy: str = ""
    rule: int | None = None
    upstream: str = ""
    peer: str = ""


@dataclass(frozen=True)
class Observed:
    """What happened, in the words of `Expectation`, so that the two can be compared and written down alike.

    Attributes:
        status: The HTTP status; `None` where no HTTP response came.
        refused: The connection ended without an answer of any application.
        answered: For bare TCP and TLS: an application answered.
        app: The workload (or the external host) whose application gave the answer.
        proxy: The workload whose proxy gave the answer or ended the connection.
        subset: The version label or subset of the workload that answered.
        policy: `NAMESPACE/NAME` of the AuthorizationPolicy that refused it; `none` where no ALLOW rule matched.
        rule: The index of the rule in that policy, from 0.
        text: The body, or the reason of a refused connection.
    """

    status: int | None = None
    refused: bool = False
    answered: bool = False
    app: str | None = None
    proxy: WorkloadRef | None = None
    subset: str | None = None
    policy: str | None = None
    rule: int | None = None
    text: str = ""

    @property
    def answered_by(self) -> str:
        """`app NAME`, `proxy NAMESPACE/NAME`, or empty where it is not known."""
        if self.app is not None:
            return f"app {self.app}"
        return f"proxy {self.proxy}" if self.proxy is not None else ""


@dataclass(frozen=True)
class Outcome:
    """The verdict on one case.

    Attributes:
        case: The case.
        status: The verdict. A case without an expectation has `passed` when it could be sent and judged.
        mismatches: For `failed`: what differs from the expectation, one plain sentence each.
        reasons: For `not_judged`: why, one sentence for each untrusted proxy. For `error`: what the bench could not do.
        observed: What happened; `None` where nothing was sent.
        hops: The proxies on the way, in order.
        duration_s: Seconds from sending to the verdict.
    """

    case: Case
    status: Status
    mismatches: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    observed: Observed | None = None
    hops: tuple[Hop, ...] = ()
    duration_s: float = 0.0

    @property
    def name(self) -> str:
        """The name of the case."""
        return self.case.name

    @property
    def answered_by(self) -> str:
        """Who answered, as in `Observed.answered_by`."""
        return self.observed.answered_by if self.observed else ""
