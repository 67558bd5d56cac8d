"""Trace of one request from proxy to proxy by the evidence, until an application or a proxy answered it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from meshlab.bench.verdicts.addresses import external_host, subset_of
from meshlab.bench.verdicts.hop import Hop
from meshlab.bench.verdicts.request_lines import CLOCK_S, choose, own_connection, shared_connection
from meshlab.bench.verdicts.verdict import ReceivedByApp, Verdict
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.client.reply import Reply
    from meshlab.bench.evidence.follow import LineFollower
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.addresses import AddressIndex, Place
    from meshlab.bench.verdicts.request_lines import SelectLines
    from meshlab.istio.read.workload_ref import WorkloadRef


__all__ = ["Tracer", "evidence_key", "record_key"]

_TIMEOUT_S = 5.0
# By then a proxy has written what it knew when the answer came, even on a busy machine.
_WRITTEN_S = 1.0
_MAX_HOPS = 16

Record = dict[str, Any]


def evidence_key(proxy: WorkloadRef, client: str, server: str) -> str:
    """Return the key of a proxy's lines about connections between two addresses.

    Connections to two ports of a proxy may come from one address at the same time.
    """
    return f"{proxy} {client} {server}"


def record_key(port: int, peer: str) -> str:
    """Return the key of an application's records of one connection."""
    return f"{port} {peer}"


@dataclass(frozen=True)
class _Trail:
    """Where a request was found: the proxies, then perhaps an application's address."""

    hops: tuple[Hop, ...] = ()
    app: Place | None = None
    app_address: str = ""
    app_client: str = ""
    missing: str = ""


class Tracer:
    """Traces requests to the proxy or the application that answered. Safe to use from several threads.

    Args:
        places: What listens where.
        evidence: The proxies' lines, by `evidence_key`.
        records: The applications' records, by `record_key`.
        recording: Addresses of the applications that keep records.
        mesh: The mesh: version labels, and the relay for original destinations.
        condition_probes: Whether proxies record conditions of policies one by one.
    """

    def __init__(
        self,
        places: AddressIndex,
        evidence: LineFollower[EvidenceLine],
        records: LineFollower[Record],
        recording: frozenset[str],
        mesh: MeshUnderTest,
        *,
        condition_probes: bool = False,
    ) -> None:
        self._places = places
        self._evidence = evidence
        self._records = records
        self._recording = recording
        self._versions = mesh.versions
        self._relay, self._relayed = mesh.relay, mesh.relayed
        self._address_conditions = mesh.address_conditions
        self._condition_probes = condition_probes
        self._stated = {source: stated for stated, source in mesh.sources.items()}

    def trace(self, reply: Reply, entry: str, mark: str) -> Verdict:
        """Return the verdict on a request.

        Args:
            reply: What came back.
            entry: The address that the client connected to.
            mark: The request's mark; empty for bare TCP and TLS.
        """
        if not reply.client_address:
            return Verdict(reply, reason=reply.failure)
        trail = self._follow(reply, entry, mark)
        verdict = Verdict(reply, trail.hops, missing=trail.missing)
        if trail.missing:
            return verdict
        refusing = _refusing(trail.hops, answered=reply.answered)
        if refusing and not reply.answered and refusing.refused_by_upstream:
            place = self._places.at(refusing.line.upstream)
            workload = place.workload if place and place.kind == "proxy" else None
            return replace(verdict, proxy=workload or refusing.workload, reason=_reason(refusing, trail.hops))
        if refusing:
            return replace(verdict, proxy=refusing.workload, reason=_reason(refusing, trail.hops))
        if "did not trust" in reply.failure:
            return replace(verdict, reason=reply.failure)
        if trail.app:
            return self._by_app(verdict, trail, mark)
        if trail.hops and not reply.answered:
            return replace(verdict, proxy=trail.hops[-1].workload, reason=reply.failure)
        return verdict

    def _follow(self, reply: Reply, entry: str, mark: str) -> _Trail:
        hops: list[Hop] = []
        address, client = entry, reply.client_address
        began, over = reply.began, reply.ended
        for number in range(_MAX_HOPS):
            place = self._places.at(address)
            if place is None or place.kind != "proxy" or place.workload is None:
                return _Trail(tuple(hops), place, address, client)
            # A request that came to nothing ends the connections that it was on: their last lines say why.
            ended = not reply.answered or bool(hops and not hops[-1].passed_on)
            # The client's own connection is of this case alone, and so is one that a TCP proxy opened for it. Those of
            # HTTP proxies are shared.
            own = number == 0 or hops[-1].line.scope != "http"
            candidates = (
                own_connection(began, over, first=number == 0, answered=reply.answered)
                if own
                else (shared_connection(began),)
            )
            # A TCP proxy logs its first line before its policies decide, and only the last says what they looked at.
            ended = ended or (own and self._records_policies(place.workload))
            key = evidence_key(place.workload, client, address)
            line = self._line(key, mark, candidates, first=number == 0, ended=ended)
            if line is None:
                missing = (
                    f"the proxy of {place.workload} logged nothing about the request in {_TIMEOUT_S:g} s"
                )
                return _Trail(tuple(hops), missing=missing)
            if line.connected and own and not line.peer:
                # Its first line may be older than the end of the TLS handshake; the last one names the client.
                last = self._line(key, mark, candidates, first=number == 0, ended=True)
                line = replace(line, peer=last.peer) if last else line
            if own:  # the next connection was opened while this one was there
                began, over = max(began, line.start), line.end
            port = place.port or _port(line.destination)
            hops.append(Hop(place.workload, place.direction, port, line, self._places.describe(line)))
            address, client = self._beyond_relay(line.upstream, line.upstream_client)
            if not (address and client):
                return _Trail(tuple(hops))
        return _Trail(tuple(hops), missing=f"the request passed more than {_MAX_HOPS} proxies")

    def _records_policies(self, workload: WorkloadRef) -> bool:
        return self._condition_probes or any(self._address_conditions(workload))

    def _beyond_relay(self, address: str, client: str) -> tuple[str, str]:
        """Return where a connection ends that passes the relay for original destinations."""
        if address != self._relay:
            return address, client
        return self._relayed(client) or (address, "")

    def _line(
        self,
        key: str,
        mark: str,
        candidates: tuple[SelectLines, ...],
        *,
        first: bool,
        ended: bool,
    ) -> EvidenceLine | None:
        def look(select: SelectLines, *, ended: bool = ended) -> EvidenceLine | None:
            return choose(select(self._evidence.lines(key)), mark, first=first, ended=ended)

        *likely, all_of_them = candidates
        for select in likely:
            line = self._evidence.wait(partial(look, select), _WRITTEN_S)
            if line is not None:
                return line
        return (
            self._evidence.wait(partial(look, all_of_them), _TIMEOUT_S)
            or look(all_of_them, ended=False)
            or look(all_of_them, ended=True)
        )

    def _by_app(self, verdict: Verdict, trail: _Trail, mark: str) -> Verdict:
        place = trail.app
        if place is None:
            return verdict
        last = trail.hops[-1].line if trail.hops else None
        record = self._record(trail, mark, verdict.reply.began)
        name = place.name
        if not name:
            name = external_host(place, last) if last else str(record["app"]) if record else ""
        if not verdict.reply.answered:
            return replace(verdict, app=name, reason=verdict.reply.failure)
        subsets = [subset_of(hop.line) for hop in trail.hops]
        return replace(
            verdict,
            app=name,
            version=self._versions.get(place.workload, "") if place.workload else "",
            subset=next((subset for subset in reversed(subsets) if subset), ""),
            received=ReceivedByApp.from_record(record).from_stated(self._stated) if record else None,
        )

    def _record(self, trail: _Trail, mark: str, began: float) -> Record | None:
        if trail.app_address not in self._recording:
            return None
        key = record_key(_port(trail.app_address), trail.app_client)

        def look() -> Record | None:
            records = [record for record in self._records.lines(key) if record["at"] >= began - CLOCK_S]
            found = [record for record in records if record["mark"] in ("", mark)]
            return found[-1] if found else None

        return self._records.wait(look, _TIMEOUT_S)


def _refusing(hops: tuple[Hop, ...], *, answered: bool) -> Hop | None:
    """Return the hop whose proxy gave the answer or ended the connection; `None` where all passed it on."""
    stopping = [hop for hop in hops if not hop.passed_on]
    if not stopping:
        return None
    if answered:
        # What came back was made by the first proxy that did not pass on what it got. Only HTTP is ever answered by a
        # proxy itself: a connection that brought bytes was passed on, however it ended afterwards.
        return next((hop for hop in stopping if hop.line.scope == "http"), None)
    if any(hop.verifies_upstream for hop in stopping):
        return next(hop for hop in stopping if hop.verifies_upstream)
    # A proxy may have connected upstream when its policies decide; the next one then sees a connection without bytes.
    return next((hop for hop in stopping if hop.policy), stopping[-1])


def _reason(hop: Hop, hops: tuple[Hop, ...]) -> str:
    """Return what a proxy decided; where it could not reach the next, also why the next refused."""
    after = hops[hops.index(hop) + 1 :]
    words = [hop.reason, *(f"{later.workload}: {later.reason}" for later in after if later.reason)]
    return "; ".join(word for word in words if word)


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0
