"""Pages from results: `python -m bench.publish` puts the newest runs into docs/benchmarks.md, its chart, and the costs.

It reads what `make bench`, `make chaos` and `make soak` keep in build/bench. Parts of the page stand between
`<!-- bench: NAME -->` and `<!-- end of the bench -->`; a part whose bench is not in the run stays as it is.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import plot, report
from bench.harness import BenchError, Comparison
from bench.scale import suite

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "build/bench"
PAGE = ROOT / "docs/benchmarks.md"
PICTURES = ROOT / "docs/images"
MEASURED = ROOT / "docs/measured.toml"

_WIDTH = 150
_PART = re.compile(
    r"(?P<begin><!-- bench: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end of the bench -->)", re.DOTALL
)
_OWN_PART = ("scale", "beam", "policy")
_KINDS = ("bench", "chaos", "chaos-work", "soak", "soak-work")
# What docs/measured.toml calls a contender of `scale`.
_MEASURED = {
    "function": suite.FUNCTION.name,
    "serve": suite.SERVE.name,
    "serve_storage": suite.SERVE_STORAGE.name,
    "work": suite.WORK.name,
    "work_storage": suite.WORK_STORAGE.name,
}


_BEAM = "meshpass, 256 in flight"


@dataclass(frozen=True)
class Run:
    """One run of the bench, read back.

    Attributes:
        file: Where it is kept.
        content: Everything in the file.
        benches: The comparisons of each benchmark by its name.
    """

    file: Path
    content: Mapping[str, Any]
    benches: Mapping[str, Sequence[Comparison]]

    @property
    def name(self) -> str:
        """When and of what it is, in one line."""
        return f"{self.content['started'][:10]}, {self.content['commit']}"


def read(file: Path) -> Run:
    """Read a file of results.

    Raises:
        BenchError: It cannot be read.
    """
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read the results in {file}: {error}") from error
    benches = {
        name: [
            Comparison(found["title"], found["peer"], found["setup"], found["samples"])
            for found in comparisons
        ]
        for name, comparisons in content.get("benches", {}).items()
    }
    return Run(file, content, benches)


def newest(kind: str, directory: Path = RESULTS) -> Path | None:
    """Return the newest file of results of a kind: `bench`, `chaos` or `soak`; None without any."""
    pattern = "*Z.json" if kind == "bench" else f"*Z-{kind}.json"
    return max(directory.glob(pattern), default=None)


def parts(runs: Mapping[str, Run]) -> dict[str, str]:
    """Return the parts of the page that these runs can fill, by their names.

    Args:
        runs: A run of each kind that there is.
    """
    made: dict[str, str] = {}
    bench, chaos = runs.get("bench"), runs.get("chaos")
    if bench:
        if "enrich" in bench.benches:
            others = {name: found for name, found in bench.benches.items() if name not in _OWN_PART}
            made["results"] = f"{_enrichment(bench)}\n\n{_tables(bench, others)}"
        for name in _OWN_PART:
            if name in bench.benches:
                made[name] = _tables(bench, {name: bench.benches[name]})
        if "scale" in bench.benches:
            made["headline"] = _headline(bench, chaos)
    for kind, run in runs.items():
        if kind.startswith("chaos"):
            made[kind] = _chaos(run)
        elif kind.startswith("soak"):
            made[kind] = _soak(run)
    return made


def written(page: str, made: Mapping[str, str]) -> str:
    """Return a page with its parts as they were made."""

    def replaced(found: re.Match[str]) -> str:
        text = made.get(found["name"])
        return found[0] if text is None else f"{found['begin']}\n{text}\n{found['end']}"

    return _PART.sub(replaced, page)


def measured(bench: Run) -> str | None:
    """Return docs/measured.toml as a run of `scale` or `beam` has it; None without either. The rest of it stays."""
    text = MEASURED.read_text()
    found: dict[str, tuple[float, float, float]] = {}
    if "scale" in bench.benches:
        rates, times, *_ = bench.benches["scale"]
        for name, contender in _MEASURED.items():
            found[name] = (
                rates.median(contender, "events_per_s"),
                rates.median(contender, "cpu_ms"),
                times.median(contender, "peak_mib"),
            )
    if "beam" in bench.benches:
        first, *_ = bench.benches["beam"]
        rate, cpu = (first.median(_BEAM, metric) for metric in ("events_per_s", "cpu_ms"))
        found["beam"] = (rate, cpu, float(tomllib.loads(text)["beam"]["peak_mib"]))
    if not found:
        return None
    for name, (events_per_s, cpu_ms, peak_mib) in found.items():
        section = (
            f'[{name}]\nrun = "{bench.name}"\nevents_per_s = {events_per_s:.0f}.0\n'
            f"cpu_ms = {cpu_ms:.3f}\npeak_mib = {peak_mib:.1f}\n"
        )
        text = re.sub(rf"\[{name}\]\n(?:[a-z_]+ = .*\n)+", section, text)
    return text


def _tables(bench: Run, benches: Mapping[str, Sequence[Comparison]]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=_WIDTH, color_system=None)
    for comparisons in benches.values():
        for comparison in comparisons:
            report.show(console, comparison)
    console.print(
        f"{bench.content['machine']}; load before: {bench.content['load_before'][0]:.1f}", highlight=False
    )
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return f"From the run of {bench.name}.\n\n```text\n" + "\n".join(lines).strip() + "\n```\n"


def _enrichment(bench: Run) -> str:
    """Return the picture of `enrich`, with what it shows in words."""
    throughput = bench.benches["enrich"][0]
    latency = plot.at_equal_load(bench.benches["enrich"])
    bars = ", ".join(
        f"{name} {report.number(throughput.median(name, 'events_per_s'))}" for name in throughput.samples
    )
    acks = "; ".join(
        f"{name} {report.number(latency.median(name, 'p50_ms'))} ms at the median and "
        f"{report.number(latency.median(name, 'p99_ms'))} in the slowest hundredth"
        for name in latency.samples
    )
    shown = f"Events per second at 64 in flight: {bars}. Time to ack at equal load: {acks}."
    return f"![{shown}](images/bench-enrichment.svg)"


def _headline(bench: Run, chaos: Run | None) -> str:
    rates, times, *_ = bench.benches["scale"]

    def rate(way: str) -> str:
        return f"{rates.median(way, 'events_per_s'):,.0f}"

    def cpu(way: str) -> str:
        ratio = rates.ratio(way, "cpu_ms")
        return f"{ratio.median:.2f}" if ratio else "1"

    function, serve, work, work_storage = (
        way.name for way in (suite.FUNCTION, suite.SERVE, suite.WORK, suite.WORK_STORAGE)
    )
    bars = ", ".join(f"{way} {rate(way)}" for way in rates.samples)
    beside = ""
    if "enrich" in bench.benches:
        first, *_ = bench.benches["enrich"]
        times_tuned = first.median("meshpass", "events_per_s") / first.median(
            "textbook, tuned", "events_per_s"
        )
        beside = f", {times_tuned:.1f} times those of a tuned textbook function"
    milliseconds = rates.median(function, "cpu_ms")
    first_sentence = (
        f"One CPU of the function takes {rate(function)} events a second with 64 in flight{beside}, "
        f"for {milliseconds:.2f} ms of processor time each."
    )
    second_sentence = (
        f"`serve` does the same work for {cpu(serve)} times that processor time in "
        f"{times.median(serve, 'peak_mib'):.0f} MiB, and a pull worker for {cpu(work)} times, "
        f"or {cpu(work_storage)} times with the Storage Write API."
    )
    sentences = [first_sentence, second_sentence, _of_chaos(chaos)]
    picture = f"![Events a second on one CPU with 64 in flight: {bars}.](images/bench-scale.svg)"
    return f"{picture}\n\n" + "\n".join(sentences) + "\n"


def _of_chaos(chaos: Run | None) -> str:
    if chaos is None:
        return "What becomes of events while everything breaks: [chaos](#a-million-events-while-everything-breaks)."
    found = chaos.content["chaos"]
    dead_letters = sum(found["dead_letters"].values())
    if found["complaints"]:
        return f"Of {found['events']:,} events while everything broke in turn, not all ended as they must."
    return (
        f"While everything broke in turn, each of {found['events']:,} events ended in exactly one place: "
        f"{found['view_rows']:,} rows in the view that removes duplicates, and {dead_letters:,} dead letters."
    )


def _chaos(run: Run) -> str:
    found = run.content["chaos"]
    injected = ", ".join(f"{name.replace('_', ' ')} {times:,}" for name, times in found["injected"].items())
    rows = [
        ("events, messages", f"{found['events']:,}, {found['messages']:,}"),
        ("took", f"{found['seconds']:,.0f} s, {found['events_per_s']:.0f} events/s"),
        ("events with a row", f"{found['written']:,}"),
        *((f"dead-lettered, `{reason}`", f"{n:,}") for reason, n in sorted(found["dead_letters"].items())),
        ("given up by Pub/Sub", f"{found['undelivered']:,}"),
        ("rows beyond one for an event, in the table", f"{found['duplicates_before_view']:,}"),
        ("the same, in the view", f"{found['duplicates_after_view']:,}"),
        ("dead letters beyond one for a message", f"{found['dead_letters_repeated']:,}"),
        ("injected", injected),
        ("not as it must be", "; ".join(found["complaints"]) or "nothing"),
    ]
    memory = [
        (f"`{name}`", f"{peak:,.0f}", f"{found['cpu_s'][name]:,.0f}")
        for name, peak in sorted(found["peaks_mib"].items(), key=lambda item: -item[1])
    ]
    memory.append(("the test itself", f"{run.content['own_peak_mib']:,.0f}", ""))
    head = f"From the run of {run.name}, on {run.content['machine']}, seed {run.content['seed']}.\n"
    return "\n".join(
        [
            head,
            *_markdown(("what", "how much"), rows),
            "",
            *_markdown(("process", "peak memory [MiB]", "processor time [s]"), memory),
            "",
        ]
    )


def _soak(run: Run) -> str:
    found = run.content["soak"]
    rows = []
    for name, line in sorted(found["slopes"].items(), key=lambda item: -float(item[1]["mib"])):
        each = found["cpu_s"][name] / max(found["events"], 1) * 1e3
        interval = f"{line['low']:+.2f} to {line['high']:+.2f}"
        rows.append(
            (f"`{name}`", f"{line['mib']:+.2f}", interval, f"{found['peaks_mib'][name]:,.0f}", f"{each:.3f}")
        )
    how_much = f"{found['events']:,} events in {found['seconds']:,} s, {found['left_over']:,} left over"
    head = f"From the run of {run.name}, on {run.content['machine']}: {how_much}.\n"
    columns = ("process", "MiB for 100,000 events", "95 % interval", "peak [MiB]", "CPU an event [ms]")
    return "\n".join([head, *_markdown(columns, rows), ""])


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(line)} |"


def main(arguments: list[str]) -> int:
    """Write the page, its chart and the costs, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.publish", description="Put results into docs/benchmarks.md and docs/cost.md."
    )
    for kind in _KINDS:
        parser.add_argument(f"--{kind}", type=Path, help="a file of results; the newest when left out")
    options = parser.parse_args(arguments)
    files = {kind: getattr(options, kind.replace("-", "_")) or newest(kind) for kind in _KINDS}
    try:
        runs = {kind: read(file) for kind, file in files.items() if file}
        made = parts(runs)
    except BenchError as error:
        print(f"bench.publish: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(written(PAGE.read_text(), made))
    if bench := runs.get("bench"):
        _pictures(bench)
        if text := measured(bench):
            MEASURED.write_text(text)
            subprocess.run([sys.executable, ROOT / "docs/cost.py", "--write"], check=True)
    for kind in _KINDS:
        print(f"{kind:<12}{runs[kind].file if kind in runs else 'no results'}")
    print(f"{'parts':<12}{', '.join(made) or 'none'}")
    return 0


def _pictures(bench: Run) -> None:
    if "scale" in bench.benches:
        plot.write_scale(PICTURES / "bench-scale.svg", bench.benches["scale"][0])
    if "enrich" in bench.benches:
        picture = plot.of_run(RESULTS, bench.file.stem, bench.benches)
        assert picture is not None
        (PICTURES / "bench-enrichment.svg").write_bytes(picture.read_bytes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
