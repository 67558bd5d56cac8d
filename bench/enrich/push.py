"""Runs a function and delivers events to it: one round of one contender."""

from dataclasses import dataclass

from bench.enrich import bigquery, load, processes, workload
from bench.enrich.stage import Function, Running, Stage
from bench.harness import BenchError

IN_FLIGHT = 64
_WARM_UP_FIRST = 50_000_000  # numbers, and so keys, that no measured event has
_WARM_UP_S = 0.5
# A fake that was nearly always busy would be what is measured.
_MOST_BUSY_PERCENT = 80.0


@dataclass(frozen=True)
class Round:
    """What a round has shown.

    Attributes:
        delivered: What the deliveries have shown.
        cpu_s: Processor time of the function's processes, in seconds.
        peak_mib: The most memory of them, in MiB.
        lookups: Requests to the service.
        inserts: Requests to BigQuery.
    """

    delivered: load.Findings
    cpu_s: float
    peak_mib: float
    lookups: int
    inserts: int

    @property
    def cpu_ms_per_event(self) -> float:
        """Processor time for one event, in milliseconds."""
        return self.cpu_s / self.delivered.events * 1e3


def run(
    stage: Stage,
    function: Function,
    *,
    in_flight: int = 0,
    rate_hz: float = 0.0,
    seconds: float = 0.0,
    zipf: int = 0,
    wide: bool = False,
) -> Round:
    """Start a function, warm it up, deliver events to it, and check that each has become its own row.

    Args:
        stage: What it runs on.
        function: The function.
        in_flight: As in `load.Plan`, and so the other three.
        rate_hz: Events per second.
        seconds: For how long.
        zipf: How many with repeating keys.
        wide: Whether events are those of the wider shape.

    Raises:
        BenchError: An event was not acked, or is in the table with another user's profile or not at all.
    """
    with stage.running(function) as running:
        load.deliver(
            load.Plan(running.address, _WARM_UP_FIRST, in_flight=IN_FLIGHT, seconds=_WARM_UP_S, wide=wide)
        )
        stage.seen()
        before = usages(stage, running)
        plan = load.Plan(running.address, 0, in_flight, rate_hz, seconds, zipf, wide)
        delivered = load.deliver(plan)
        after = usages(stage, running)
        service, table = stage.seen()
        check(delivered.events, table)
        cpu_s = [later.cpu_s - earlier.cpu_s for earlier, later in zip(before, after, strict=True)]
        check_not_busy(delivered, {"the service": cpu_s[1], "the table": cpu_s[2]})
        return Round(delivered, cpu_s[0], after[0].peak_mib, service["lookups"], table["requests"])


def check(events: int, table: bigquery.Report) -> None:
    """Check that every event has become one row, once doubles are taken out, and nothing else has.

    Args:
        events: How many there were; their numbers begin at 0.
        table: What came into the table.

    Raises:
        BenchError: Rows are missing, are too many, or hold another user's profile.
    """
    expected = {workload.event_id(number) for number in range(events)}
    found = set(table["event_ids"])
    if expected != found or table["mismatched"]:
        raise BenchError(
            f"of {events} events {len(expected - found)} have no row; {len(found - expected)} rows belong to none of "
            f"them, and {table['mismatched']} hold another user's profile"
        )


def usages(stage: Stage, running: Running) -> list[processes.Usage]:
    """Return what the contender, the service and the table have used until now."""
    return [processes.usage(child.pid) for child in (running.child, stage.service, stage.table)]


def check_not_busy(delivered: load.Findings, cpu_s: dict[str, float]) -> None:
    """Raise BenchError where a fake was nearly always busy: it would be what is measured."""
    busy = {name: taken_s / delivered.seconds * 100 for name, taken_s in cpu_s.items()}
    busy["the load"] = delivered.busy_percent
    for name, percent in busy.items():
        if percent > _MOST_BUSY_PERCENT:
            raise BenchError(
                f"{name} was busy for {percent:.0f} % of the time, so it may be what was measured"
            )
