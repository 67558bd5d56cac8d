"""A bench without Envoys: outcomes by the names of cases, for tests of reports and of the command line."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from meshlab.bench.client.reply import Reply
from meshlab.bench.evidence.line import EvidenceLine
from meshlab.bench.protocol import MeshNames
from meshlab.bench.survey import Survey
from meshlab.bench.verdicts.compare_expected import compare
from meshlab.bench.verdicts.hop import Hop
from meshlab.bench.verdicts.verdict import Outcome, Verdict
from meshlab.istio import load_mesh
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from meshlab.bench.case import Case
    from meshlab.bench.protocol import Setup, Sources
    from meshlab.istio import Mesh

GATEWAY = WorkloadRef("istio-ingress", "gateway")
CART = WorkloadRef("shop", "cart")

NAMES = MeshNames(
    workloads=frozenset({"shop/cart", "orders/orders"}),
    gateways=frozenset({"istio-ingress/gateway"}),
    issuers=frozenset({"https://idp.example"}),
)


def answered(status: int, app: str = "orders/orders", body: bytes = b"") -> Verdict:
    """An application's answer that came through the gateway."""
    line = EvidenceLine(GATEWAY, "http", details="via_upstream", status=status, cluster="outbound|80||orders")
    hop = Hop(GATEWAY, "gateway", 8443, line, "application orders/orders")
    return Verdict(Reply("127.0.0.1:1", status, body=body), (hop,), app=app)


def refused(
    status: int | None, proxy: WorkloadRef = GATEWAY, body: bytes = b"RBAC: access denied"
) -> Verdict:
    """A refusal by a proxy; without a status it ends the connection."""
    line = EvidenceLine(
        proxy,
        "http" if status else "tcp",
        listener="0.0.0.0_8443",
        route="orders",
        details="rbac_access_denied_matched_policy[none]",
        status=status or 0,
    )
    hop = Hop(proxy, "gateway" if proxy == GATEWAY else "inbound", 8443, line)
    reply = Reply(
        "127.0.0.1:1", status, body=body if status else b"", failure="" if status else "it was reset"
    )
    return Verdict(reply, (hop,), proxy=proxy, reason="no ALLOW policy matched")


def outcome_of(case: Case, found: Verdict | str) -> Outcome:
    """The outcome of a case: a verdict is compared, a text is the reason for which it is not judged."""
    if isinstance(found, str):
        state: Any = "error" if found.startswith("error") else "not judged"
        return Outcome(case, state, reasons=(found,))
    mismatches = tuple(compare(case.expect, found)) if case.expect else ()
    if case.expect is None:
        return Outcome(case, "seen", found, duration_s=0.001)
    return Outcome(case, "failed" if mismatches else "passed", found, mismatches, duration_s=0.001)


@dataclass
class FakeMesh:
    """A mesh whose every case has a verdict by its name; the default is 200 by orders/orders."""

    verdicts: Mapping[str, Verdict | str] = field(default_factory=dict)
    names: MeshNames = NAMES
    mesh: Mesh = field(default_factory=lambda: load_mesh([]))
    notes: Sequence[str] = ()
    refusals: Sequence[str] = ()
    by_weight: Sequence[FakeMesh] = ()
    files: Sequence[Path] = ()
    proxies: Sequence[WorkloadRef] = (GATEWAY, CART)
    configs: Mapping[str, Any] = field(default_factory=dict)
    surveyed: Survey = field(default_factory=Survey)
    fails: BaseException | None = None
    started: list[tuple[Setup, list[str], int]] = field(default_factory=list)
    running: int = 0

    def render(self, proxy: WorkloadRef) -> Mapping[str, Any]:
        return dict(self.configs.get(str(proxy), {"proxy": str(proxy)}))

    def survey(self) -> Survey:
        return self.surveyed

    def chances(self, _outcome: Outcome) -> str:
        return ""

    @contextmanager
    def start(self, setup: Setup, cases: Sequence[Case], *, jobs: int) -> Iterator[FakeMesh]:
        if self.fails:
            raise self.fails
        self.started.append((setup, [case.name for case in cases], jobs))
        self.running += 1
        try:
            yield self
        finally:
            self.running -= 1

    def run(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        # In another order than asked, as an engine may.
        for case in reversed(cases):
            yield outcome_of(case, self.verdicts.get(case.name, answered(200)))


class FakeBench:
    """Loads the mesh that a test has put into `meshes`."""

    load_mesh: ClassVar[Callable[[Sources], FakeMesh]]
    loaded: ClassVar[list[Sources]] = []
    closed: ClassVar[int] = 0

    def __init__(self, *, condition_probes: bool = False) -> None:
        self.condition_probes = condition_probes

    def load(self, sources: Sources) -> FakeMesh:
        FakeBench.loaded.append(sources)
        return FakeBench.load_mesh(sources)

    def close(self) -> None:
        FakeBench.closed += 1
