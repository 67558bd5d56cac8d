"""Function, serve and pull worker, each with several writers, side by side in one run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench import boot_ack
from bench.enrich import deployed, push
from bench.enrich.push import IN_FLIGHT
from bench.enrich.stage import OURS, Function, Stage, standing
from bench.harness import Comparison, Contender, Effort, Sample, compare
from bench.scale import pull

_SECONDS = 3.0
_MORE_IN_FLIGHT = 256

_GOOGLE = {"BIGQUERY_WRITER": "google-client"}
_INSERT_ALL = {"BIGQUERY_WRITER": "insert-all"}
_STORAGE = {"BIGQUERY_WRITER": "storage-write", "STORAGE_WRITE_STREAM": "default"}

BEFORE = Function("function, Google's client", OURS.source, env=_GOOGLE)
FUNCTION = Function("function", OURS.source, env=_INSERT_ALL)
SERVE = Function("serve", OURS.source, env=_INSERT_ALL, driver="serve")
SERVE_STORAGE = Function("serve, Storage Write", OURS.source, env=_STORAGE, driver="serve")
WORK = Function("work", OURS.source, env=_INSERT_ALL, driver="work")
WORK_STORAGE = Function("work, Storage Write", OURS.source, env=_STORAGE, driver="work")

_STAGE = (
    "each contender alone, on one CPU, with nothing installed but what is deployed; on the others a service (10 to 30 "
    "ms, 200 ms for one key in 80), a table (30 ms a request) and what delivers; events of 500 bytes, rows of 800; "
    "every row checked to be right; the worker pulls over gRPC, all others are pushed to"
)
_RATES = ("events_per_s", "cpu_ms", "events_per_cpu_second", "writes")
_TIMES = ("p50_ms", "p99_ms", "peak_mib")


@dataclass(frozen=True)
class _Scene:
    """One setting of all contenders."""

    stage: Stage
    effort: Effort
    in_flight: int

    def compare(self, ways: Sequence[Function], *, peer: Function, rounds: int) -> Comparison:
        """Compare the ways with so many events in flight."""
        return compare(
            f"scale: every way, {self.in_flight} in flight, unique keys; per event",
            [Contender(way.name, partial(self._measure, way)) for way in ways],
            rounds=self.effort.rounds(rounds),
            setup=_STAGE,
            peer=peer.name,
        )

    def _measure(self, way: Function) -> Sample:
        seconds = _SECONDS / 3 if self.effort.quick else _SECONDS
        run = pull.run if way.driver == "work" else push.run
        found = run(self.stage, way, in_flight=self.in_flight, seconds=seconds)
        events = found.delivered.events
        return {
            "events_per_s": found.delivered.events_per_s,
            "cpu_ms": found.cpu_ms_per_event,
            "events_per_cpu_second": events / found.cpu_s,
            "p50_ms": found.delivered.p50_ms,
            "p99_ms": found.delivered.p99_ms,
            "peak_mib": found.peak_mib,
            "writes": found.inserts / events,
        }


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare at 64 and at 256 in flight, and from the start to the first ack."""
    ways = (BEFORE, FUNCTION, SERVE, SERVE_STORAGE, WORK, WORK_STORAGE)
    with standing(deployed.python()) as stage:
        at_64 = _Scene(stage, effort, IN_FLIGHT).compare(ways, peer=FUNCTION, rounds=3)
        yield from _parts(at_64)
        yield _before(at_64)
        more = (FUNCTION, SERVE, WORK, WORK_STORAGE)
        yield from _parts(_Scene(stage, effort, _MORE_IN_FLIGHT).compare(more, peer=FUNCTION, rounds=2))
    if not effort.quick:
        yield _first_ack(effort)


def _parts(found: Comparison) -> Iterator[Comparison]:
    """Split a comparison into rates with costs and times with memory: together they are too wide for a page."""
    yield _only(found, _RATES)
    title = found.title.replace("; per event", "; time to ack, and memory")
    yield replace(
        _only(found, _TIMES),
        title=title,
        setup="the same rounds; memory is the sum of the peaks of all processes",
    )


def _only(found: Comparison, metrics: Sequence[str]) -> Comparison:
    samples = {
        name: [{metric: sample[metric] for metric in metrics} for sample in samples]
        for name, samples in found.samples.items()
    }
    return replace(found, samples=samples)


def _before(found: Comparison) -> Comparison:
    """Return the function's rounds beside those of the same function with Google's client."""
    names = (FUNCTION.name, BEFORE.name)
    found = _only(found, ("events_per_s", "cpu_ms", "peak_mib"))
    return replace(
        found,
        title="scale: the same rounds, the function beside itself with Google's client",
        peer=BEFORE.name,
        samples={name: found.samples[name] for name in names},
    )


def _first_ack(effort: Effort) -> Comparison:
    with standing(deployed.python()) as stage:
        return compare(
            "scale: from the start to the first ack, and peak memory",
            [Contender(way.name, partial(boot_ack.measure, stage, way)) for way in (BEFORE, FUNCTION, SERVE)],
            rounds=effort.rounds(5),
            setup="as in boot-ack; nothing installed but what is deployed",
            peer=BEFORE.name,
        )
