"""A mesh of real Envoys that cases are sent to."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for_all
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from meshlab.bench.applications import Applications
from meshlab.bench.case import FromOutside
from meshlab.bench.evidence.follow import LineFollower
from meshlab.bench.evidence.line import EvidenceLine, parse_line
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.planning.planner import Planner
from meshlab.bench.planning.reach import TouchedProxies, cluster_endpoints
from meshlab.bench.proxies import Proxies
from meshlab.bench.verdicts.addresses import AddressIndex
from meshlab.bench.verdicts.judge import distrust_of_entry, judge
from meshlab.bench.verdicts.trace import Tracer, evidence_key, record_key
from meshlab.bench.verdicts.verdict import Outcome
from meshlab.errors import LabError
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from meshlab.bench.authorities import Authorities
    from meshlab.bench.case import AppSpec, Authorizer, Case
    from meshlab.bench.issuers import Issuers
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.planning.planner import Sending
    from meshlab.bench.verdicts.addresses import Place
    from meshlab.bench.verdicts.verdict import Verdict
    from meshlab.processes.envoy import Envoy
    from meshlab.processes.supervisor import Supervisor

__all__ = ["RunningMesh"]

_CASE_TIMEOUT_S = 10.0


class RunningMesh:
    """The proxies and applications of a mesh. Use it as a context manager.

    Only the proxies that cases can touch are started. The supervisor ends them.

    Args:
        supervisor: Starts and ends everything; its directory holds keys and logs.
        mesh: The compiled mesh.
        authorities: The certificate authorities of the run.
        issuers: The token issuers of the run.
        apps: What answers in place of applications; the echo does for all others.
        authorizers: Scripts of external authorizers.
        case_timeout_s: How long one request may take, in seconds.
        condition_probes: Whether proxies record rules and conditions of policies one by one, for explanations.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        mesh: MeshUnderTest,
        authorities: Authorities,
        issuers: Issuers,
        *,
        apps: Sequence[AppSpec] = (),
        authorizers: Sequence[Authorizer] = (),
        case_timeout_s: float = _CASE_TIMEOUT_S,
        condition_probes: bool = False,
    ) -> None:
        self._mesh = mesh
        self._authorities = authorities
        self._issuers = issuers
        self._case_timeout_s = case_timeout_s
        self._condition_probes = condition_probes
        self._pools: dict[int, ThreadPoolExecutor] = {}
        record = supervisor.directory / "echo.record"
        self._applications = Applications(supervisor, authorities, apps, authorizers, record)
        self._evidence = LineFollower(_parse_evidence, _evidence_keys)
        self._records = LineFollower(_parse_record, _record_keys)
        self._records.follow("echo", record)
        self._proxies = Proxies(supervisor, mesh, self._evidence, condition_probes=condition_probes)
        self._prepare()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> frozenset[WorkloadRef]:
        """The workloads whose proxies run."""
        return self._proxies.running

    def proxy(self, ref: WorkloadRef) -> Envoy:
        """Return the proxy of a workload.

        Raises:
            LookupError: It does not run.
        """
        return self._proxies.proxy(ref)

    @property
    def refused(self) -> Mapping[WorkloadRef, str]:
        """The workloads whose proxies refused their configuration, each with what was said."""
        return self._proxies.refused

    def start(self, cases: Iterable[Case], also: Iterable[WorkloadRef] = ()) -> None:
        """Start the applications and the proxies that the cases can touch, and wait until all serve.

        May be called again with other cases. A proxy that refuses its configuration is no error: the cases that meet it
        are not judged.

        Args:
            cases: The cases that will be run.
            also: Workloads whose proxies shall run, whether these cases touch them or not.

        Raises:
            LabError: An application did not get ready, or one is named that the mesh does not have.
        """
        cases = list(cases)
        self._applications.start(self._mesh)
        self._tracer = Tracer(
            self._places,
            self._evidence,
            self._records,
            self._applications.recording,
            self._mesh,
            condition_probes=self._condition_probes,
        )
        self._proxies.accepting = frozenset(
            case.sender.gateway
            for case in cases
            if isinstance(case.sender, FromOutside) and case.sender.address is not None
        )
        self._proxies.update(self._mesh, self._touched(cases) | frozenset(also))
        self._applications.wait_ready()

    def update(self, mesh: MeshUnderTest, cases: Iterable[Case], also: Iterable[WorkloadRef] = ()) -> None:
        """Follow a changed mesh, and wait until no connection is left that knows the old one.

        Proxies take new listeners and clusters as they run; one whose other configuration changed starts anew.

        Args:
            mesh: The mesh as it is now. Addresses of what did not change must be the same.
            cases: The cases that will be run.
            also: Workloads whose proxies shall run, whether these cases touch them or not.

        Raises:
            LabError: An application did not get ready.
        """
        self._mesh = mesh
        # Connections between proxies outlive a change; only what belongs to single requests is over.
        self._evidence.drop(lambda line: line.scope == "http")
        self._records.drop(lambda record: bool(record["mark"]))
        self._prepare()
        self.start(cases, also)

    def run(
        self, cases: Iterable[Case], *, jobs: int = 8, stop_after_failure: bool = False
    ) -> Iterator[Outcome]:
        """Run cases in parallel and yield their outcomes in the order of the cases.

        Args:
            cases: The cases; `start` was called with all of them.
            jobs: How many run at a time.
            stop_after_failure: End with the first outcome that is `failed` or `error`.
        """
        futures = [self._threads(jobs).submit(self.run_case, case) for case in cases]
        try:
            for future in futures:
                outcome = future.result()
                yield outcome
                if stop_after_failure and outcome.state in ("failed", "error"):
                    break
        finally:
            for future in futures:
                future.cancel()
            wait_for_all(futures)

    def run_case(self, case: Case) -> Outcome:
        """Run one case; whatever is wrong with it is in the outcome."""
        began = time.monotonic()
        try:
            outcome = judge(
                case,
                *self._ask(case),
                mesh=self._mesh,
                places=self._places,
                failure=self._proxies.failure,
                ended=self._ended,
            )
        except (LabError, LookupError, ValueError) as error:
            # A listener that could not be compiled is missing, so the case finds nothing to connect to.
            if reasons := distrust_of_entry(case, self._mesh):
                outcome = Outcome(case, "not judged", reasons=reasons)
            else:
                outcome = Outcome(case, "error", reasons=(str(error),))
        return replace(outcome, duration_s=time.monotonic() - began)

    def close(self) -> None:
        """Close the files that it reads; the supervisor ends the processes."""
        for pool in self._pools.values():
            pool.shutdown()
        self._evidence.close()
        self._records.close()

    def _threads(self, jobs: int) -> ThreadPoolExecutor:
        """Return the threads for so many cases at a time. They stay: a run of mutants sends cases a thousand times."""
        if jobs not in self._pools:
            self._pools[jobs] = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="case")
        return self._pools[jobs]

    def _ask(self, case: Case) -> tuple[Place | None, Verdict]:
        # The way of a request is foreseen from the configuration. Should that miss a proxy, start it and ask again.
        # A proxy that another case started in the meantime was not there for this one.
        while True:
            running = self.running
            entry, verdict = self._ask_once(case)
            missed = self._behind(verdict) - running
            if not missed:
                return entry, verdict
            self._proxies.start(missed)

    def _ask_once(self, case: Case) -> tuple[Place | None, Verdict]:
        sending = self._planner.plan(case, uuid.uuid4().hex)
        entry = str(sending.connector.address)
        reply = sending.send(self._case_timeout_s)
        verdict = self._tracer.trace(reply, entry, sending.mark)
        return self._places.at(entry), _with_host_of(case, sending, verdict)

    def _behind(self, verdict: Verdict) -> frozenset[WorkloadRef]:
        """Return the proxies behind the chosen clusters that can run: a retry may hide a failed attempt at one."""
        addresses = {
            address
            for hop in verdict.hops
            for address in cluster_endpoints(self._mesh.bootstraps[hop.workload], hop.line.cluster)
        }
        passed_on = (
            self._mesh.relayed(hop.line.upstream_client)
            for hop in verdict.hops
            if hop.line.upstream == self._mesh.relay
        )
        addresses |= {found[0] for found in passed_on if found}
        places = [self._places.at(address) for address in addresses]
        found = {place.workload for place in places if place and place.kind == "proxy" and place.workload}
        return frozenset(ref for ref in found if not self._proxies.failure(ref))

    def _ended(self, place: Place) -> str:
        """Return why nothing answers at a place although it was started; empty where it runs."""
        if place.kind != "proxy":
            return self._applications.ended(place)
        return self._proxies.ended(place.workload) if place.workload else ""

    def _touched(self, cases: Iterable[Case]) -> frozenset[WorkloadRef]:
        touched = TouchedProxies(self._mesh, self._places)
        for case in cases:
            # What is wrong with a case is said when it runs.
            with contextlib.suppress(LabError, LookupError, ValueError):
                touched.follow(case)
        return frozenset(touched.found)

    def _prepare(self) -> None:
        self._places = AddressIndex(self._mesh.addresses)
        self._planner = Planner(self._mesh, self._authorities, self._issuers)


def _with_host_of(case: Case, sending: Sending, verdict: Verdict) -> Verdict:
    """Name an external host as the case does where the evidence holds only the address that the client's DNS gave."""
    header = sending.connector.proxy_header
    if verdict.app is None or verdict.app not in ("", header.destination_ip if header else ""):
        return verdict
    return replace(verdict, app=destination_of(case.request).host)


def _parse_evidence(label: str, text: str) -> EvidenceLine:
    return parse_line(WorkloadRef.parse(label), text)


def _evidence_keys(line: EvidenceLine) -> tuple[str, ...]:
    return (evidence_key(line.proxy, line.client, line.server),)


def _parse_record(label: str, text: str) -> dict[str, Any]:
    del label
    record: dict[str, Any] = json.loads(text)
    return record


def _record_keys(record: dict[str, Any]) -> tuple[str, ...]:
    return (record_key(record["port"], record["peer"]),)
