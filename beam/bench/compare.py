"""Our DoFn beside Beam's own Enrichment, under the conditions of `bench/enrich`: one CPU, unique keys, TLS.

    .venv/bin/python -m beam.bench.compare [--events N] [--rounds N] [--plain]

Prints one JSON object for each contender: events a second, CPU milliseconds an event, both as medians of the rounds,
and the ratios to the peer. `bench.enrich.suite` can take `CONTENDERS` and `measure` into `make bench`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import server, tls_gateway
from bench.enrich import processes, pull, push, workload
from bench.enrich.stage import Stage, standing
from bench.harness import BenchError

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "beam/.venv/bin/python"
_PIPELINE = Path(__file__).with_name("pipeline.py")


@dataclass(frozen=True)
class Contender:
    """A way through Beam.

    Attributes:
        name: What the table calls it.
        in_flight: Events under way at once; 0 for the peer, which has threads.
        bundle: Elements in a bundle; 0 for those that the runner makes.
        threads: Threads that give bundles.
    """

    name: str
    in_flight: int = 0
    bundle: int = 0
    threads: int = 1


PEER = Contender(f"Beam {pull.VERSION}, Enrichment, {pull.WORKERS} threads")
CONTENDERS = (
    PEER,
    Contender("meshpass, 64 in flight", 64),
    Contender("meshpass, 256 in flight", 256),
    Contender("meshpass, bundles of 100, 12 threads", 256, 100, 12),
    Contender("meshpass, bundles of 10, 12 threads", 256, 10, 12),
)


def measure(stage: Stage, env: Mapping[str, str], contender: Contender, events: int) -> dict[str, float]:
    """Put events through one contender.

    Args:
        stage: The fakes.
        env: Where the contender finds them.
        contender: The way.
        events: How many, each with a key of its own.

    Raises:
        BenchError: It failed, or rows are missing or wrong.
    """
    stage.seen()
    if contender is PEER:
        cpu_s = pull.run(env, events, stage.directory)
    else:
        cpu_s = _ours(env, contender, events, stage.directory)
    service, table = stage.seen()
    push.check(events, table)
    seconds = table["last_at_s"] - service["first_at_s"]
    return {
        "events_per_s": events / seconds,
        "cpu_ms": cpu_s / events * 1e3,
        "inserts": table["requests"] / events,
    }


def _ours(env: Mapping[str, str], contender: Contender, events: int, directory: Path) -> float:
    file = directory / "events.jsonl"
    file.write_bytes(b"".join(workload.event(number, number) + b"\n" for number in range(events)))
    numbers = (contender.in_flight, contender.bundle, contender.threads)
    with processes.one_cpu():
        done = subprocess.run(
            [PYTHON, _PIPELINE, file, *(str(number) for number in numbers)],
            env={**os.environ, **env, "TABLE_RECREATED_HOLD_S": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BenchError(f"{contender.name} failed:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["cpu_s"])


@contextmanager
def behind_tls(stage: Stage, env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Put an Envoy with TLS before the service, and give the settings that lead there."""
    service = env["GKE_GATEWAY_URL"].partition("://")[2]
    with tls_gateway.running(server.HOST, service) as gateway:
        yield {
            **env,
            "GKE_GATEWAY_URL": f"https://{gateway.address}",
            "GKE_GATEWAY_CA_FILE": str(gateway.ca_file),
        }


def main(arguments: list[str]) -> None:
    """Measure all contenders in turn, round after round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=4000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    options = parser.parse_args(arguments)
    pull.install()
    found: dict[str, list[dict[str, float]]] = {one.name: [] for one in CONTENDERS}
    with standing() as stage:
        env = stage.env_for("SIGNING_KEY_FILE")
        for _ in range(options.rounds):
            for contender in CONTENDERS:
                if options.plain:
                    found[contender.name].append(measure(stage, env, contender, options.events))
                    continue
                with behind_tls(stage, env) as secured:
                    found[contender.name].append(measure(stage, secured, contender, options.events))
    medians = {
        name: {what: statistics.median(one[what] for one in rounds) for what in rounds[0]}
        for name, rounds in found.items()
    }
    peer = medians[PEER.name]
    for name, median in medians.items():
        ratios = {f"{what}_to_peer": median[what] / peer[what] for what in ("events_per_s", "cpu_ms")}
        print(json.dumps({"contender": name, **{k: round(v, 3) for k, v in {**median, **ratios}.items()}}))


if __name__ == "__main__":
    main(sys.argv[1:])
