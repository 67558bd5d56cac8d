"""The project's transform on Apache Beam beside Beam's own Enrichment, both with TLS to the service."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.enrich import processes, push, workload
from bench.enrich.stage import Stage, standing
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare

_ROOT = Path(__file__).parents[2]
_HOME = _ROOT / "beam"
_PYTHON = _HOME / ".venv/bin/python"
_PEER = _ROOT / "bench/peers/beam/main.py"
_OURS = Path(__file__).parent / "beam_ours/main.py"
_EVENTS = 5_000
_THREADS = 16
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Way:
    """One contender.

    Attributes:
        name: What the tables call it.
        script: What runs, in the environment of beam/.
        arguments: What comes behind the file of events.
    """

    name: str
    script: Path
    arguments: tuple[str, ...]


def ours(in_flight: int, bundle: int = 0) -> Way:
    """Return the project's transform, with so many events under way, in the runner's bundles or in those of a size."""
    bundles = f", bundles of {bundle}" if bundle else ""
    return Way(f"meshpass, {in_flight} in flight{bundles}", _OURS, (str(in_flight), str(bundle)))


OURS = ours(256)
BEAM = Way(f"Beam's Enrichment, {_THREADS} threads", _PEER, (str(_THREADS), "plain"))


def is_installed() -> bool:
    """Return whether the environment of beam/ is there."""
    return _PYTHON.is_file()


def install() -> None:
    """Make the environment of beam/ from its own lock, if it is not there.

    Raises:
        BenchError: It could not be made.
    """
    if is_installed():
        return
    uv = Path(sys.executable).with_name("uv")
    print("bench: installing Apache Beam into beam/.venv ...", file=sys.stderr, flush=True)
    done = subprocess.run(
        [uv, "sync", "--quiet", "--frozen", "--compile-bytecode", "--project", _HOME],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
    )
    if done.returncode != 0:
        raise BenchError(f"Apache Beam could not be installed:\n{done.stderr}")


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the ways. In a quick run nothing is installed, so there may be nothing to compare."""
    if effort.quick and not is_installed():
        return
    install()
    ways = (OURS, ours(64), ours(256, bundle=100), ours(256, bundle=10), BEAM)
    with standing(tls=True) as stage:
        yield compare(
            "beam: events from memory, unique keys, TLS to the service; per event",
            [Contender(way.name, partial(measure, stage, way, effort)) for way in ways],
            rounds=effort.rounds(3),
            setup=(
                "one process on one CPU; on the others the service (10 to 30 ms, 200 ms for one key in 80) and the "
                "table (30 ms a request); every row checked; time from the first lookup to the last row; bundles "
                f"of a size are given by {_THREADS} threads without a runner, the others are the runner's"
            ),
            peer=BEAM.name,
        )


def measure(stage: Stage, way: Way, effort: Effort) -> Sample:
    """Put events through a contender, and check that each has become its own row.

    Raises:
        BenchError: It failed, or rows are wrong.
    """
    events = effort.calls(_EVENTS)
    file = stage.directory / "events.jsonl"
    file.write_bytes(b"".join(workload.event(number, number) + b"\n" for number in range(events)))
    stage.seen()
    cpu_s, peak_mib = _run(way, file, stage.env_for("SIGNING_KEY_FILE"))
    service, table = stage.seen()
    push.check(events, table)
    return {
        "events_per_s": events / (table["last_at_s"] - service["first_at_s"]),
        "cpu_ms": cpu_s / events * 1e3,
        "lookups": service["lookups"] / events,
        "writes": table["requests"] / events,
        "peak_mib": peak_mib,
    }


def _run(way: Way, file: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Run a contender on one CPU; return its processor time and its peak memory."""
    command: list[str | Path] = [_PYTHON, way.script, file, *way.arguments]
    with processes.one_cpu():
        child = subprocess.Popen(
            command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    try:
        out, errors = child.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise BenchError(f"{way.name}: it did not end within {_TIMEOUT_S:.0f} s") from None
    if child.returncode != 0:
        raise BenchError(f"{way.name} failed:\n{errors[-2000:]}")
    found = json.loads(out.splitlines()[-1])
    return float(found["cpu_s"]), float(found["peak_mib"])
