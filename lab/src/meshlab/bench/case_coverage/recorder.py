"""Record of what the requests of a run met, from which its coverage is made."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from meshlab.bench.case_coverage.coverage import Coverage, Missed
from meshlab.bench.case_coverage.items import ItemPlace, items_of, place_of
from meshlab.bench.case_coverage.policy_parts import exercised_by
from meshlab.bench.case_coverage.route_parts import route_taken
from meshlab.bench.case_coverage.server_parts import gateway_chain_of, servers_met
from meshlab.bench.local_bench import LocalEngine
from meshlab.bench.verdicts.policy_results import policy_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.bench.case_coverage.items import Item, Kind
    from meshlab.bench.protocol import Engine
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.istio.model.mesh import Mesh

__all__ = ["CoverageRecorder"]

_EXERCISED, _REACHED, _DROPPED = "exercised", "reached", "dropped"
_JUDGED = ("passed", "failed", "seen")
_WHY = {
    "rule": "no case matches it",
    "condition": "no case misses the rule because of this condition alone",
    "route": "no case takes it",
    "server": "no case comes through it",
}


class CoverageRecorder:
    """Takes the outcomes of a run, one by one."""

    def __init__(self) -> None:
        self._running: LocalEngine | None = None
        self._exercised: set[tuple[Kind, ItemPlace]] = set()
        self._reached: set[ItemPlace] = set()
        self._dropped: set[ItemPlace] = set()

    def started(self, engine: Engine) -> None:
        """Take what runs, with probes of conditions; the outcomes that follow are of it."""
        if not isinstance(engine, LocalEngine):
            raise TypeError("coverage needs the configurations of real proxies")
        self._running = engine

    def happened(self, outcome: Outcome) -> None:
        """Take an outcome. One that is not judged proves nothing, so it counts for nothing."""
        if outcome.state in _JUDGED and outcome.verdict:
            for hop in outcome.verdict.hops:
                self._take(hop)

    def written(self) -> list[list[object]]:
        """Return what was recorded as plain values, for another process that reads the same manifests."""
        return [
            *([_EXERCISED, kind, *astuple(place)] for kind, place in sorted(self._exercised, key=repr)),
            *([_REACHED, "", *astuple(place)] for place in sorted(self._reached, key=repr)),
            *([_DROPPED, "", *astuple(place)] for place in sorted(self._dropped, key=repr)),
        ]

    def join(self, written: Iterable[Sequence[Any]]) -> None:
        """Add what another recorder has written."""
        for what, kind, *place in written:
            found = ItemPlace(*place)
            if what == _EXERCISED:
                self._exercised.add((kind, found))
            else:
                (self._reached if what == _REACHED else self._dropped).add(found)

    def coverage(self, mesh: Mesh) -> Coverage:
        """Return the coverage of what was taken.

        Args:
            mesh: The mesh of the manifests.
        """
        items = items_of(mesh)
        missed = [
            Missed(item, self._reason(item))
            for item in items
            if (item.kind, item.place) not in self._exercised
            or (item.rule is not None and ("rule", item.rule) not in self._exercised)
        ]
        return Coverage(items, missed)

    def _take(self, hop: Hop) -> None:
        if self._running is None:
            raise ValueError("an outcome arrived before its mesh started")
        mesh, bootstrap = self._running.mesh, self._running.under_test.bootstraps[hop.workload]
        policies = policy_results(hop, mesh, bootstrap)
        for policy in (each for each in policies if each.reached):
            self._reached.add(place_of(policy.where.key("spec")))
            for rule in policy.rules:
                place = place_of(rule.where)
                (self._reached if rule.written else self._dropped).add(place)
        exercised = exercised_by(policies)
        self._add("rule", map(place_of, exercised.rules))
        self._add("condition", map(place_of, exercised.conditions))
        chain = gateway_chain_of(hop, mesh, bootstrap)
        if route := route_taken(hop, mesh, bootstrap, chain):
            self._add("route", [place_of(route)])
        if chain:
            self._add("server", (place_of(merged.server.where) for merged in servers_met(hop, chain)))

    def _add(self, kind: Kind, places: Iterable[ItemPlace]) -> None:
        self._exercised.update((kind, place) for place in places)

    def _reason(self, item: Item) -> str:
        rule = item.rule or item.place
        if item.kind in ("rule", "condition") and rule not in self._reached:
            dropped = rule in self._dropped
            return (
                "istiod drops the rule, so it matches nothing"
                if dropped
                else "no case gets to this policy at a proxy that it is for"
            )
        if item.rule is not None and ("rule", item.rule) not in self._exercised:
            return "no case matches the rule"
        if not item.rule and item.place.path == "spec":
            return "no case is refused because no rule lets it in"
        return _WHY[item.kind]
