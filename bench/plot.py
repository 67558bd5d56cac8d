"""The comparison with peers as a picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import report
from bench.harness import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _THEIRS = "#1a73e8", "#9aa0a6"
_SLOWEST = {"p50_ms": 1.0, "p99_ms": 0.55}


def write(file: Path, throughput: Comparison, latency: Comparison) -> Path:
    """Draw how much each contender takes, and how long an event takes at a load that is the same for all.

    The first contender is ours. The same numbers make the same file.

    Args:
        file: Where to, an SVG.
        throughput: Has `events_per_s`.
        latency: Has `p50_ms` and `p99_ms`.

    Returns:
        The file.
    """

    def draw(left: "Axes", right: "Axes") -> None:
        names = list(throughput.samples)
        title = "events per second, 64 in flight, unique keys"
        _bars(left, throughput, "events_per_s", title, _colours(names))
        _percentiles(right, latency)

    return _draw(file, draw)


def write_scale(file: Path, found: Comparison) -> Path:
    """Draw how much each way to run the enrichment takes on one CPU, and what an event costs there.

    The same numbers make the same file. The first contender is drawn as the one before.

    Args:
        file: Where to, an SVG.
        found: Has `events_per_s` and `cpu_ms`.

    Returns:
        The file.
    """
    colours = [_THEIRS, *[_OURS] * (len(found.samples) - 1)]

    def draw(left: "Axes", right: "Axes") -> None:
        _bars(left, found, "events_per_s", "events per second on one CPU, 64 in flight", colours)
        _bars(right, found, "cpu_ms", "processor time for an event [ms]", colours)
        right.set_yticklabels([])

    return _draw(file, draw)


def _draw(file: Path, draw: Callable[["Axes", "Axes"], None]) -> Path:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "bench",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw(left, right)
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file


def _bars(axes: "Axes", found: Comparison, metric: str, title: str, colours: Sequence[str]) -> None:
    names = list(found.samples)
    values = [found.median(name, metric) for name in names]
    bars = axes.barh(names, values, color=colours)
    labels = []
    for name, value in zip(names, values, strict=True):
        ratio = found.ratio(name, metric)
        labels.append(report.number(value) + (f"  ({ratio.median:.2f}x)" if ratio else ""))
    axes.bar_label(bars, labels, padding=4)
    axes.set_xlim(0, max(values) * 1.25)
    axes.invert_yaxis()
    axes.set_title(title, loc="left")


def _percentiles(axes: "Axes", found: Comparison) -> None:
    names = list(found.samples)
    for offset, (metric, alpha) in enumerate(_SLOWEST.items()):
        values = [found.median(name, metric) for name in names]
        places = [place + (offset - 0.5) * 0.38 for place in range(len(names))]
        bars = axes.barh(places, values, height=0.36, color=_colours(names), alpha=alpha)
        axes.bar_label(bars, [f"{metric[:3]} {report.number(value)} ms" for value in values], padding=4)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(0, max(found.median(name, "p99_ms") for name in names) * 1.4)
    axes.invert_yaxis()
    axes.set_title("time to ack at equal load", loc="left")


def _colours(names: Sequence[str]) -> list[str]:
    return [_OURS, *[_THEIRS] * (len(names) - 1)]


def of_run(directory: Path, stem: str, results: Mapping[str, Sequence[Comparison]]) -> Path | None:
    """Draw what a run has found of the function and its peers.

    Args:
        directory: Where to.
        stem: What the run's files begin with.
        results: The comparisons of each benchmark by its name.

    Returns:
        The file, or None if `enrich` was not among them.
    """
    if "enrich" not in results:
        return None
    throughput = results["enrich"][0]
    return write(directory / f"{stem}-enrich.svg", throughput, at_equal_load(results["enrich"]))


def at_equal_load(found: Sequence[Comparison]) -> Comparison:
    """Return the comparison of times to ack at a load that is the same for all, of those of `enrich`."""
    return next(one for one in found if "added_p99_ms" in one.metrics)
