"""Trace of one request from proxy to proxy by the evidence, until an application or a proxy answered it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from meshlab.bench.verdicts.addresses import external_host, subset_of
from meshlab.bench.verdicts.hop import Hop
from meshlab.bench.verdicts.verdict import ReceivedByApp, Verdict
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.client.reply import Reply
    from meshlab.bench.evidence.follow import LineFollower
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.addresses import AddressIndex, Place
    from meshlab.istio.read.workload_ref import WorkloadRef

    _Lines = list[EvidenceLine]

__all__ = ["Tracer", "evidence_key", "record_key"]

_TIMEOUT_S = 5.0
_MAX_HOPS = 16
# Envoy cuts off parts of a microsecond. Within more time a port could have been another connection's.
_CLOCK_S = 0.0001

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
            of_request = (
                partial(_of_own_connection, began=began, over=over, answered=reply.answered)
                if own
                else partial(_since, began=began)
            )
            # A TCP proxy logs its first line before its policies decide, and only the last says what they looked at.
            ended = ended or (own and self._records_policies(place.workload))
            key = evidence_key(place.workload, client, address)
            line = self._line(
                key,
                mark,
                first=number == 0,
                ended=ended,
                of_request=of_request,
            )
            if line is None:
                missing = (
                    f"the proxy of {place.workload} logged nothing about the request in {_TIMEOUT_S:g} s"
                )
                return _Trail(tuple(hops), missing=missing)
            if line.connected and own and not line.peer:
                # Its first line may be older than the end of the TLS handshake; the last one names the client.
                last = self._line(key, mark, first=number == 0, ended=True, of_request=of_request)
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
        self, key: str, mark: str, *, first: bool, ended: bool, of_request: Callable[[_Lines], _Lines]
    ) -> EvidenceLine | None:
        def look(*, ended: bool = ended) -> EvidenceLine | None:
            return _choose(of_request(self._evidence.lines(key)), mark, first=first, ended=ended)

        return self._evidence.wait(look, _TIMEOUT_S) or look(ended=False) or look(ended=True)

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
            records = [record for record in self._records.lines(key) if record["at"] >= began - _CLOCK_S]
            found = [record for record in records if record["mark"] in ("", mark)]
            return found[-1] if found else None

        return self._records.wait(look, _TIMEOUT_S)


def _since(lines: _Lines, *, began: float) -> _Lines:
    """Return the lines about a connection that other requests use, too: it may be older, but was open since then."""
    return [line for line in lines if not line.start or line.end >= began - _CLOCK_S]


def _of_own_connection(lines: _Lines, *, began: float, over: float, answered: bool) -> _Lines:
    """Return the lines about a connection that was opened for a request alone.

    The system gives a port again, so other connections may have had the same two ends before and after.

    Args:
        lines: The proxy's lines about connections with these ends.
        began: When the connection was opened at the earliest, in seconds since the epoch.
        over: When the client, or the proxy before, was done with it.
        answered: Whether an answer came back, so that the proxy had accepted the connection by then. Otherwise it may
            accept it later, but before any other one with these ends.
    """
    since = [line for line in lines if not line.start or line.start >= began - _CLOCK_S]
    found = [line for line in since if line.start <= over + _CLOCK_S]
    if found or answered:
        return found
    first = min(since, key=lambda line: line.start, default=None)
    return [line for line in since if first and line.start <= first.end]


def _choose(lines: list[EvidenceLine], mark: str, *, first: bool, ended: bool) -> EvidenceLine | None:
    """Return the line that says what a proxy did with a request, `None` while it may still come.

    A connection between proxies carries many requests, distinguished by their marks, and may stay open long after this
    one. The line of a connection that was proxied as TCP is preferred, because it says the most.

    Args:
        lines: The proxy's lines about one connection.
        mark: The request's mark.
        first: Whether the connection is the client's own, which the client has closed.
        ended: Whether the connection must have ended.
    """
    # Of a request that could not be read there is no mark.
    marks = (mark, "") if first else (mark,)
    requests = [line for line in lines if line.scope == "http" and line.mark in marks]
    ends = [line for line in lines if line.scope == "tcp" and not line.connected]
    begins = [line for line in lines if line.scope == "tcp" and line.connected]
    closed = [line for line in lines if line.scope == "connection"]
    if requests or ends:
        return (requests or ends)[-1]
    # An older connection under the same address may have ended, while the line of a request that was answered comes.
    if closed and ended:
        return closed[-1]
    return begins[-1] if begins and not (first or ended) else None


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
    return stopping[-1]


def _reason(hop: Hop, hops: tuple[Hop, ...]) -> str:
    """Return what a proxy decided; where it could not reach the next, also why the next refused."""
    after = hops[hops.index(hop) + 1 :]
    words = [hop.reason, *(f"{later.workload}: {later.reason}" for later in after if later.reason)]
    return "; ".join(word for word in words if word)


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else 0
