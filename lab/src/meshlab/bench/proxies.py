"""The proxies of a run: real Envoys with the bench's access loggers."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from meshlab.bench.evidence.instrument import instrument
from meshlab.errors import LabError
from meshlab.processes.envoy import Envoy
from meshlab.processes.envoy_binary import envoy_binary
from meshlab.processes.recent import Recent
from meshlab.processes.supervisor import NoInotifyInstanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from meshlab.bench.evidence.follow import LineFollower
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.processes.supervisor import Supervisor

__all__ = ["Proxies"]

# No call is under way while a mesh changes, so nothing has to be served on.
_DRAIN_S = 0
# What became of a request is read right after it.
_FLUSH_MS = 10


class Proxies:
    """The proxies that run, by workload. `start` is safe to call from several threads.

    Args:
        supervisor: Starts and ends them.
        mesh: Their configurations.
        evidence: Reads what they log.
        condition_probes: Whether they record rules and conditions of policies one by one.

    Attributes:
        accepting: The workloads whose proxies take a PROXY header that shows a client's address.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        mesh: MeshUnderTest,
        evidence: LineFollower[EvidenceLine],
        *,
        condition_probes: bool = False,
    ) -> None:
        self.accepting: frozenset[WorkloadRef] = frozenset()
        self._supervisor = supervisor
        self._mesh = mesh
        self._evidence = evidence
        self._condition_probes = condition_probes
        self._running: dict[WorkloadRef, Envoy] = {}
        self._given: dict[WorkloadRef, tuple[Json, bool]] = {}
        self._instrumented: dict[tuple[WorkloadRef, bool], Recent[Json, Json]] = {}
        self._refused: dict[WorkloadRef, str] = {}
        self._lock = threading.RLock()

    @property
    def running(self) -> frozenset[WorkloadRef]:
        """The workloads whose proxies run."""
        with self._lock:
            return frozenset(self._running)

    def proxy(self, ref: WorkloadRef) -> Envoy:
        """Return the proxy of a workload.

        Raises:
            LookupError: It does not run.
        """
        with self._lock:
            if ref not in self._running:
                raise LookupError(f"the proxy of {ref} does not run")
            return self._running[ref]

    @property
    def refused(self) -> Mapping[WorkloadRef, str]:
        """The workloads whose proxies refused their configuration, each with what was said."""
        with self._lock:
            return dict(self._refused)

    def failure(self, ref: WorkloadRef) -> str:
        """Return why a workload's proxy cannot run; empty where it can."""
        if ref not in self._mesh.bootstraps:
            return f"the proxy of {ref} has no configuration"
        return self._refused.get(ref, "")

    def ended(self, ref: WorkloadRef) -> str:
        """Return why a proxy that was started does not run any more; empty where it runs or was not started."""
        proxy = self._running.get(ref)
        return proxy.ended if proxy else ""

    def start(self, refs: Iterable[WorkloadRef]) -> None:
        """Start proxies that do not run yet, and wait until they serve.

        One that Envoy refuses stays stopped; `failure` says why.

        Raises:
            NoInotifyInstanceError: The system has no room for a further proxy.
        """
        with self._lock:
            started = {}
            for ref in sorted(refs):
                if ref not in self._running and not self.failure(ref):
                    started[ref] = self._running[ref] = self._spawn(ref)
            for ref, proxy in started.items():
                self._wait(ref, proxy.wait_ready)

    def update(self, mesh: MeshUnderTest, wanted: Iterable[WorkloadRef]) -> None:
        """Follow a mesh, and wait until no connection is left that knows the one before.

        Proxies take new listeners and clusters as they run; one whose other configuration changed starts anew.

        Args:
            mesh: The mesh as it is now.
            wanted: The workloads whose proxies shall run beside those that do.
        """
        with self._lock:
            self._mesh = mesh
            self._refused.clear()
            for ref in self.running - frozenset(mesh.bootstraps):
                self._running.pop(ref).stop()
            wanted = frozenset(wanted) | self.running
            updated = {}
            for ref, proxy in list(self._running.items()):
                if self._given.get(ref) == self._wanted(ref) and not proxy.ended:
                    continue
                try:
                    proxy.update(self._configuration(ref))
                    updated[ref] = proxy
                except ValueError:
                    self._running.pop(ref).stop()
            self.start(wanted)
            for ref, proxy in updated.items():
                self._wait(ref, proxy.wait_updated)

    def _spawn(self, ref: WorkloadRef) -> Envoy:
        self._evidence.follow(str(ref), self._log(ref))
        proxy = Envoy(
            self._supervisor,
            _name(ref),
            self._configuration(ref),
            self._mesh.addresses.admin[ref],
            changing_clusters=True,
            drain_s=_DRAIN_S,
            flush_ms=_FLUSH_MS,
        )
        proxy.start()
        return proxy

    def _wait(self, ref: WorkloadRef, ready: Callable[[], None]) -> None:
        try:
            ready()
        except NoInotifyInstanceError:
            self._running.pop(ref).stop()
            self._given.pop(ref, None)
            raise
        except LabError as error:
            self._refused[ref] = f"the proxy of {ref} does not run: {error}"
            self._given.pop(ref, None)
            self._running.pop(ref).stop()

    def _wanted(self, ref: WorkloadRef) -> tuple[Json, bool]:
        """Return all that its configuration depends on."""
        return self._mesh.bootstraps[ref], ref in self.accepting

    def _configuration(self, ref: WorkloadRef) -> Json:
        bootstrap, accepting = self._given[ref] = self._wanted(ref)
        if (ref, accepting) not in self._instrumented:
            self._instrumented[ref, accepting] = Recent(
                partial(
                    instrument,
                    log_file=self._log(ref),
                    accept_client_addresses=accepting,
                    condition_probes=self._condition_probes,
                    envoy=envoy_binary().version,
                )
            )
        return self._instrumented[ref, accepting].of(bootstrap)

    def _log(self, ref: WorkloadRef) -> Path:
        return self._supervisor.directory / f"{_name(ref)}.evidence"


def _name(ref: WorkloadRef) -> str:
    return f"envoy-{ref.namespace}.{ref.name}"
