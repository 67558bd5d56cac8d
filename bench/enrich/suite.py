"""What the function takes and costs, beside functions that do the same work in other ways, and beside Apache Beam."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from bench.enrich import pull, push, wide, workload
from bench.enrich.push import IN_FLIGHT
from bench.enrich.stage import OURS, SOURCE_DOCUMENT, TEXTBOOK, TUNED, Function, Stage, standing
from bench.harness import Comparison, Contender, Effort, Sample, compare

BEAM = f"Beam {pull.VERSION}, {pull.WORKERS} threads"

_SECONDS = 4.0
_BEAM_EVENTS = 1_600
_ZIPF_EVENTS = 2_000
_IN_FLIGHT = (IN_FLIGHT, 256, 1_000)

_STAGE = (
    "each contender alone, on one CPU, as the function is deployed; on the others a service (10 to 30 ms, 200 ms for "
    "one key in 80) and a table (30 ms a request); events of 500 bytes, rows of 800; every row checked to be right"
)


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare at full load, at the same load, and with keys that repeat."""
    beam = not effort.quick or pull.is_installed()  # to see that it runs, nothing is fetched
    if beam:
        pull.install()
    with standing() as stage:
        unique = Unique(stage, effort, beam=beam)
        yield from unique.comparisons()
        yield _at_equal_load(stage, effort, rate_hz=unique.rate_hz(TUNED) / 2)
        yield _zipf(stage, effort)
        yield _more_in_flight(stage, effort)
        yield from _wide(stage, effort, beam=beam)


class Unique:
    """As many events as each takes, every one with a key of its own.

    Args:
        stage: Where to run.
        effort: How much.
        beam: Whether Beam takes part.
    """

    functions = (OURS, TEXTBOOK, TUNED, SOURCE_DOCUMENT)

    def __init__(self, stage: Stage, effort: Effort, *, beam: bool) -> None:
        self._stage = stage
        self._effort = effort
        self._beam = beam
        self._acks: dict[str, list[Sample]] = {function.name: [] for function in self.functions}

    def comparisons(self) -> Iterator[Comparison]:
        """Events per second and their cost for all; time to ack and memory for those that ack."""
        contenders = [Contender(function.name, partial(self._push, function)) for function in self.functions]
        if self._beam:
            contenders.append(Contender(BEAM, self._pull))
        self._throughput = compare(
            f"enrich: as many events as it takes, {IN_FLIGHT} in flight, unique keys; per event",
            contenders,
            rounds=self._effort.rounds(3),
            setup=f"{_STAGE}; Beam is fed from memory, its time runs from its first lookup to its last row",
            peer=TEXTBOOK.name,
        )
        yield self._throughput
        yield from (self._beside(name) for name in self._throughput.samples if name != OURS.name)
        yield Comparison(
            f"enrich: the same, time to ack with {IN_FLIGHT} in flight and peak memory",
            TEXTBOOK.name,
            "Beam acks no event; memory is the sum of the peaks of all processes, pages that two share counted twice",
            # The first round of each does not count, as it does not above.
            {name: samples[1:] for name, samples in self._acks.items()},
        )

    def _beside(self, peer: str) -> Comparison:
        """The same rounds, with another one as the measure."""
        samples = {
            name: [{"events_per_s": sample["events_per_s"]} for sample in self._throughput.samples[name]]
            for name in (OURS.name, peer)
        }
        return Comparison(f"enrich: the same rounds, beside {peer}", peer, "", samples)

    def rate_hz(self, function: Function) -> float:
        """Events per second that a function took."""
        return self._throughput.median(function.name, "events_per_s")

    def _push(self, function: Function) -> Sample:
        seconds = _SECONDS / 4 if self._effort.quick else _SECONDS
        found = push.run(self._stage, function, in_flight=IN_FLIGHT, seconds=seconds)
        self._acks[function.name].append(
            {"p50_ms": found.delivered.p50_ms, "p99_ms": found.delivered.p99_ms, "peak_mib": found.peak_mib}
        )
        events = found.delivered.events
        return {
            "events_per_s": found.delivered.events_per_s,
            "cpu_ms": found.cpu_ms_per_event,
            "lookups": found.lookups / events,
            "inserts": found.inserts / events,
        }

    def _pull(self) -> Sample:
        events = self._effort.calls(_BEAM_EVENTS)
        self._stage.seen()
        cpu_s = pull.run(self._stage.env_for("SIGNING_KEY_FILE"), events, self._stage.directory)
        service, table = self._stage.seen()
        push.check(events, table)
        return {
            "events_per_s": events / (table["last_at_s"] - service["first_at_s"]),
            "cpu_ms": cpu_s / events * 1e3,
            "lookups": service["lookups"] / events,
            "inserts": table["requests"] / events,
        }


def _at_equal_load(stage: Stage, effort: Effort, rate_hz: float) -> Comparison:
    def measure(function: Function) -> Sample:
        seconds = _SECONDS / 4 if effort.quick else _SECONDS * 1.5
        found = push.run(stage, function, rate_hz=rate_hz, seconds=seconds)
        return {
            "p50_ms": found.delivered.p50_ms,
            "p99_ms": found.delivered.p99_ms,
            "added_p99_ms": found.delivered.added_p99_ms,
        }

    return compare(
        f"enrich: time to ack of {rate_hz:.0f} events/s, half of what the tuned textbook takes at most",
        [Contender(function.name, partial(measure, function)) for function in (OURS, TUNED)],
        rounds=effort.rounds(3),
        setup=(
            "events arrive at random moments, the same for both, whether or not the function keeps up; unique keys; "
            "'added' is without the time that the service took"
        ),
        peer=TUNED.name,
    )


def _more_in_flight(stage: Stage, effort: Effort) -> Comparison:
    def measure(in_flight: int) -> Sample:
        seconds = _SECONDS / 4 if effort.quick else _SECONDS
        found = push.run(stage, OURS, in_flight=in_flight, seconds=seconds)
        return {
            "events_per_s": found.delivered.events_per_s,
            "events_per_cpu_second": found.delivered.events / found.cpu_s,
            "p50_ms": found.delivered.p50_ms,
            "p99_ms": found.delivered.p99_ms,
            "peak_mib": found.peak_mib,
        }

    return compare(
        "enrich: meshpass with more events in flight, unique keys",
        [Contender(f"{number:,} in flight", partial(measure, number)) for number in _IN_FLIGHT],
        rounds=effort.rounds(3),
        setup=(
            "so many at a time cannot take less, on average, than their number divided by the events per second; each "
            "has a connection of its own, and all of these are opened at once"
        ),
        peer=f"{_IN_FLIGHT[0]} in flight",
    )


def _wide(stage: Stage, effort: Effort, *, beam: bool) -> Iterator[Comparison]:
    """Compare on rows of 40 columns, with two lookups for each event."""
    ours = wide.function(stage.directory)
    tuned = replace(TUNED, env={**TUNED.env, "WIDE": "1"})

    def push_to(function: Function) -> Sample:
        seconds = _SECONDS / 4 if effort.quick else _SECONDS
        found = push.run(stage, function, in_flight=IN_FLIGHT, seconds=seconds, wide=True)
        return {
            "events_per_s": found.delivered.events_per_s,
            "cpu_ms": found.cpu_ms_per_event,
            "lookups": found.lookups / found.delivered.events,
        }

    def pull_through() -> Sample:
        events = effort.calls(_BEAM_EVENTS)
        stage.seen()
        cpu_s = pull.run(stage.env_for("SIGNING_KEY_FILE"), events, stage.directory, wide=True)
        service, table = stage.seen()
        push.check(events, table)
        return {
            "events_per_s": events / (table["last_at_s"] - service["first_at_s"]),
            "cpu_ms": cpu_s / events * 1e3,
            "lookups": service["lookups"] / events,
        }

    contenders = [Contender(function.name, partial(push_to, function)) for function in (ours, tuned)]
    if beam:
        contenders.append(Contender(BEAM, pull_through))
    yield compare(
        f"enrich: rows of 40 columns and two lookups, {IN_FLIGHT} in flight, unique keys; per event",
        contenders,
        rounds=effort.rounds(3),
        setup=(
            "events of 1,000 bytes; 32 columns are fields of the event; both lookups at once, in Beam one after the "
            "other"
        ),
        peer=TUNED.name,
    )


def _zipf(stage: Stage, effort: Effort) -> Comparison:
    events = effort.calls(_ZIPF_EVENTS)
    distinct = len(set(workload.zipf_keys(events)))

    def measure(function: Function) -> Sample:
        found = push.run(stage, function, in_flight=IN_FLIGHT, zipf=events)
        return {
            "events_per_s": found.delivered.events_per_s,
            "lookups_per_key": found.lookups / distinct,
            "inserts": found.inserts / events,
        }

    return compare(
        f"enrich: {events} events with {distinct} keys that repeat, {IN_FLIGHT} in flight; per event",
        [Contender(function.name, partial(measure, function)) for function in (OURS, TUNED)],
        rounds=effort.rounds(3),
        setup=(
            f"keys drawn from {workload.ZIPF_KEYS}, the n-th most frequent with weight 1/n; textbook keeps no "
            "profiles, and no contender has any at the beginning of a round"
        ),
        peer=TUNED.name,
    )
