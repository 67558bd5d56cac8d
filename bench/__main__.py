"""The command: `python -m bench [NAME...]`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from meshlab.errors import LabError

from bench import plot, report
from bench.harness import BenchError, Comparison, Effort

BENCHES = {
    "import": (
        "bench.imports",
        "what a program pays for importing the SDK, its first call, and the function",
    ),
    "call": ("bench.calls", "one blocking call after the other on a warm connection"),
    "async-call": ("bench.async_calls", "asyncio calls, 64 in flight"),
    "adapters": ("bench.adapters", "httpx and requests over the mesh against the SDK's own clients"),
    "http2": ("bench.http2", "calls over HTTP/2 and HTTP/1.1 through a real Envoy with TLS"),
    "token": ("bench.tokens", "a cached token against signing one each time"),
    "boot": (
        "bench.boot",
        "functions-framework from its start to its first answer, with the function or an empty one",
    ),
    "enrich": (
        "bench.enrich.suite",
        "events per second and time to ack of the function, of two others, and of Apache Beam",
    ),
    "scale": (
        "bench.scale.suite",
        "function, serve and pull worker side by side, with each writer",
    ),
    "beam": (
        "bench.scale.beam",
        "the project's transform on Apache Beam beside Beam's own Enrichment, with TLS, in small and large bundles",
    ),
    "boot-ack": ("bench.boot_ack", "functions from their start to their first row, and their peak memory"),
    "policy": (
        "bench.policy.suite",
        "verdicts of a generated mesh, cold and after a save; compiling its proxies; how many of them start",
    ),
    "writers": (
        "bench.writers",
        "what a row costs each writer of the function, and Google's clients, by rows a request",
    ),
    "lab": ("bench.lab_ready", "meshlab up, from the command to ready"),
}
"""By name: the module whose `run(effort)` yields comparisons, and one line about it."""

_RESULTS = Path(__file__).parents[1] / "build/bench"


def main(arguments: list[str]) -> int:
    """Run the chosen benchmarks, show them, and keep the raw samples.

    Returns:
        The exit code: 0 if all of them could be measured, whatever the numbers say.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="The project against its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all when left out")
    parser.add_argument("--list", action="store_true", help="name them all and run none")
    parser.add_argument("--quick", action="store_true", help="two rounds of little work: to see that it runs")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in BENCHES]:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are: {', '.join(BENCHES)}")
    if chosen.list:
        for name, (_, about) in BENCHES.items():
            print(f"{name:<12}{about}")
        return 0
    try:
        _run(chosen.names or list(BENCHES), Effort(quick=chosen.quick))
    except (BenchError, LabError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(names: Iterable[str], effort: Effort) -> None:
    started, load = datetime.now(UTC), os.getloadavg()
    results: dict[str, list[Comparison]] = {}
    for name in dict.fromkeys(names):
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        run: Callable[[Effort], Iterable[Comparison]] = import_module(BENCHES[name][0]).run
        results[name] = list(run(effort))
    console = report.console()
    for comparisons in results.values():
        for comparison in comparisons:
            report.show(console, comparison)
    peers = ", ".join(f"{name} {number}" for name, number in report.versions().items())
    console.print(f"{report.machine()}; load before: {load[0]:.1f}", highlight=False)
    console.print(peers, highlight=False)
    file = report.write(_RESULTS, results, started, load)
    if picture := plot.of_run(_RESULTS, file.stem, results):
        console.print(f"plot: {os.path.relpath(picture)}", highlight=False, soft_wrap=True)
    console.print(f"raw samples: {os.path.relpath(file)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
