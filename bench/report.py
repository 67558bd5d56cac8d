"""What a run shows: tables on a terminal, the same as plain text in a pipe, and every raw sample as JSON."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.harness import Comparison, Ratio

# Wide enough for the widest table; a pipe has no width of its own.
_PIPE_WIDTH = 150
_PEERS = (
    *("httpx", "httpcore", "aiohttp", "PyJWT", "cryptography", "functions-framework", "uvicorn", "uvloop"),
    *("gunicorn", "requests", "google-cloud-bigquery"),
)
_UNITS = {"us": "µs", "ms": "ms", "s": "s", "mib": "MiB"}
_RATE = "_per_s"

Results = Mapping[str, Sequence[Comparison]]
"""The comparisons of each benchmark by its name."""


def console() -> Console:
    """A console for standard output, which honours NO_COLOR and pipes."""
    plain = Console()
    return plain if plain.is_terminal or "COLUMNS" in os.environ else Console(width=_PIPE_WIDTH)


def show(to: Console, comparison: Comparison) -> None:
    """Print a comparison: what was done, the numbers, and what was held equal."""
    rounds = len(next(iter(comparison.samples.values())))
    peer = f"; peer: {comparison.peer}; in brackets the middle half of all rounds" if comparison.peer else ""
    to.print(comparison.title, style="bold", highlight=False, markup=False)
    to.print(table(comparison))
    to.print(f"  median of {rounds} rounds{peer}", highlight=False, markup=False)
    to.print(Padding(Text(comparison.setup), (0, 0, 1, 2), expand=False))


def table(comparison: Comparison) -> Table:
    """One line per contender: the median of each metric, and how that compares with the peer."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("")
    for metric in comparison.metrics:
        name, unit = split(metric)
        made.add_column(f"{name} [{unit}]".replace("[", r"\[") if unit else name, justify="right")
        if comparison.peer:
            made.add_column("vs peer")
    for contender in comparison.samples:
        cells = []
        for metric in comparison.metrics:
            cells.append(number(comparison.median(contender, metric)))
            if comparison.peer:
                cells.append(times(comparison.ratio(contender, metric)))
        made.add_row(contender, *cells)
    return made


def split(metric: str) -> tuple[str, str]:
    """Split `cpu_us` into its name and its unit; the unit is empty for a count, and 1/s for a rate as `calls_per_s`."""
    if metric.endswith(_RATE):
        return metric.removesuffix(_RATE).replace("_", " "), "1/s"
    name, _, unit = metric.rpartition("_")
    return (name.replace("_", " "), _UNITS[unit]) if unit in _UNITS else (metric.replace("_", " "), "")


def number(value: float) -> str:
    """Two decimals for small values, none for large ones and counts, and never an exponent."""
    if value >= 100 or value.is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(ratio: Ratio | None) -> str:
    """A ratio with its spread, such as `1.25x (1.21 to 1.30)`; `1x` for the peer."""
    if ratio is None:
        return "1x"
    if ratio.low == ratio.high:
        return f"{_factor(ratio.median)}x"
    return f"{_factor(ratio.median)}x ({_factor(ratio.low)} to {_factor(ratio.high)})"


def write(directory: Path, results: Results, started: datetime, load: Sequence[float]) -> Path:
    """Write every raw sample with what is needed to read it again later.

    Args:
        directory: Where to; made when it is not there.
        results: What was measured.
        started: When the run began, in UTC.
        load: The machine's load averages (1, 5, 15 minutes) before it.

    Returns:
        The file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{started:%Y%m%dT%H%M%S.%f}Z.json"
    benches = {
        name: [
            {
                "title": found.title,
                "peer": found.peer,
                "setup": found.setup,
                "samples": {who: list(map(dict, samples)) for who, samples in found.samples.items()},
            }
            for found in comparisons
        ]
        for name, comparisons in results.items()
    }
    content = {
        "started": started.isoformat(),
        "machine": machine(),
        "load_before": list(load),
        "commit": commit(),
        "versions": versions(),
        "benches": benches,
    }
    file.write_text(json.dumps(content, indent=1) + "\n")
    return file


def machine() -> str:
    """What ran it, in one line."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def versions() -> dict[str, str]:
    """The peers' versions, by distribution."""
    return {name: version(name) for name in _PEERS}


def commit() -> str | None:
    """Return the commit that was measured, marked when files differ from it; None outside of a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _factor(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"
