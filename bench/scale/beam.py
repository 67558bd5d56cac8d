"""The project's transform on Apache Beam beside Beam's own Enrichment, both with TLS to the service."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from beam.bench.compare import CONTENDERS, PEER, PYTHON, behind_tls
from beam.bench.compare import Contender as Way
from beam.bench.compare import measure as measure_way
from bench.enrich import pull
from bench.enrich.stage import Stage, standing
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare

_ROOT = Path(__file__).parents[2]
_EVENTS = 4_000


def install() -> None:
    """Make the environments of the two contenders, if they are not there.

    Raises:
        BenchError: One could not be made.
    """
    pull.install()
    if PYTHON.is_file():
        return
    print("bench: installing what beam/uv.lock pins into beam/.venv ...", file=sys.stderr, flush=True)
    done = subprocess.run(
        ["make", "-C", _ROOT, "beam/.venv/.ready"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError(f"the environment of beam/ could not be made:\n{done.stderr}")


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the ways. In a quick run nothing is installed, so there may be nothing to compare."""
    if effort.quick and not (PYTHON.is_file() and pull.is_installed()):
        return
    install()
    ways = [*(way for way in CONTENDERS if way is not PEER), PEER]
    with standing() as stage:
        yield compare(
            "beam: events from memory, unique keys, TLS to the service; per event",
            [Contender(way.name, partial(measure, stage, way, effort)) for way in ways],
            rounds=effort.rounds(3),
            setup=(
                "one process on one CPU; on the others a real Envoy with TLS, the service (10 to 30 ms, 200 ms for one "
                "key in 80) and the table (30 ms a request); every row checked; time from the first lookup to the last "
                "row; bundles of a size are given by threads without a runner, the others are the runner's"
            ),
            peer=PEER.name,
        )


def measure(stage: Stage, way: Way, effort: Effort) -> Sample:
    """Put events through a contender, and check that each has become its own row.

    Raises:
        BenchError: It failed, or rows are wrong.
    """
    env = stage.env_for("SIGNING_KEY_FILE")
    with behind_tls(stage, env) as secured:
        return measure_way(stage, secured, way, effort.calls(_EVENTS))
