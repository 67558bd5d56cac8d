"""What the benchmarks guarantee about how they measure, and that they run; what they find is not tested."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench import report
from bench.__main__ import BENCHES
from bench.async_calls import no_search_for_sniffio
from bench.calls import check
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare, percentile, ratio, turn

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def shown(comparison: Comparison) -> str:
    to = Console(file=StringIO(), width=150)
    report.show(to, comparison)
    assert isinstance(to.file, StringIO)
    return to.file.getvalue()


def constant(value: float, log: list[str] | None = None, name: str = "") -> Callable[[], Sample]:
    def measure() -> Sample:
        if log is not None:
            log.append(name)
        return {"cpu_us": value}

    return measure


def test_contenders_take_turns_and_the_first_round_of_each_does_not_count() -> None:
    log: list[str] = []
    contenders = [Contender(name, constant(1, log, name)) for name in "abc"]
    found = compare("t", contenders, rounds=3, setup="s", peer="b")
    assert "".join(log) == "abc" + "abc" + "bca" + "cab"
    assert {name: len(samples) for name, samples in found.samples.items()} == {"a": 3, "b": 3, "c": 3}


def test_each_round_starts_with_the_next_contender() -> None:
    assert [turn("ab", number) for number in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]


def test_a_ratio_compares_within_each_round_so_that_drift_cancels() -> None:
    # The machine got ten times slower half way through; one contender cost twice the other's all along.
    found = ratio([(2, 1), (20, 10), (2, 1), (20, 10)])
    assert (found.median, found.low, found.high) == (2, 2, 2)


def test_a_ratio_tells_the_middle_half_of_the_rounds() -> None:
    found = ratio([(1, 1), (2, 1), (3, 1), (4, 1), (100, 1)])
    assert (found.low, found.median, found.high) == (2, 3, 4)


def test_one_round_has_a_ratio_without_a_spread() -> None:
    found = ratio([(3, 2)])
    assert (found.low, found.median, found.high) == (1.5, 1.5, 1.5)


def test_a_peer_that_cost_nothing_is_an_error_and_no_ratio() -> None:
    with pytest.raises(BenchError, match="do more work"):
        ratio([(1, 0)])


def test_an_unknown_peer_is_an_error_before_anything_is_measured() -> None:
    log: list[str] = []
    with pytest.raises(BenchError, match="nobody"):
        compare("t", [Contender("a", constant(1, log, "a"))], rounds=1, setup="s", peer="nobody")
    assert log == []


def test_contenders_that_measure_different_things_cannot_be_compared() -> None:
    contenders = [Contender("a", constant(1)), Contender("b", lambda: {"wall_us": 1})]
    with pytest.raises(BenchError, match="different things"):
        compare("t", contenders, rounds=1, setup="s", peer="b")


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_a_value_that_occurred(percent: int, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


def test_a_wrong_answer_is_never_timed() -> None:
    with pytest.raises(BenchError, match="answered with 503"):
        check((503, b""))


def test_a_quick_run_does_less_and_never_nothing() -> None:
    quick, full = Effort(quick=True), Effort()
    assert (quick.rounds(15), quick.calls(400), quick.calls(5)) == (2, 40, 1)
    assert (full.rounds(15), full.calls(400)) == (15, 400)


@pytest.mark.skipif(importlib.util.find_spec("sniffio") is not None, reason="sniffio is installed")
def test_a_missing_sniffio_is_spared_for_the_comparison_only() -> None:
    with no_search_for_sniffio():
        assert sys.modules.get("sniffio", "searched for") is None
    assert "sniffio" not in sys.modules


def test_the_table_names_the_peer_the_ratios_and_the_setup() -> None:
    samples = {"ours": [{"cpu_us": 50.0}, {"cpu_us": 52.0}], "theirs": [{"cpu_us": 100.0}, {"cpu_us": 104.0}]}
    text = shown(Comparison("what was done", "theirs", "what was equal", samples))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "what was done"
    assert "cpu [µs] vs peer" in lines
    assert "ours 51 0.50x" in lines
    assert "theirs 102 1x" in lines
    assert "median of 2 rounds; peer: theirs; in brackets the middle half of all rounds" in lines
    assert "what was equal" in lines


def test_a_benchmark_without_a_peer_shows_no_ratios() -> None:
    text = shown(Comparison("t", None, "s", {"alone": [{"ready_s": 1.5}]}))
    assert "vs peer" not in text
    assert "1.50" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.333, "0.33"), (14.0, "14"), (45.96, "46.0"), (1234.5, "1234")]
)
def test_numbers_are_short_and_have_no_exponent(value: float, text: str) -> None:
    assert report.number(value) == text


def test_runs_in_the_same_second_keep_their_own_files(tmp_path: Path) -> None:
    files = {
        report.write(tmp_path, {}, datetime(2026, 1, 2, 3, 4, 5, micros, tzinfo=UTC), (0, 0, 0))
        for micros in (1, 2)
    }
    assert len(files) == 2
    assert all(file.is_file() for file in files)


def test_the_command_lists_every_benchmark() -> None:
    done = bench("--list")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(BENCHES)


def test_an_unknown_benchmark_is_refused_by_name() -> None:
    done = bench("imports")
    assert done.returncode == 2
    assert "no benchmark is called 'imports'" in done.stderr


def test_every_client_gets_the_right_answer_from_the_same_server() -> None:
    done = bench("--quick", "call", "async-call", "token")
    assert done.returncode == 0, done.stderr
    for client in (
        "meshpass.Client",
        "httpx.Client",
        "http.client",
        "meshpass.AsyncClient",
        "httpx.AsyncClient",
    ):
        assert f"  {client} " in done.stdout
    (ROOT / done.stdout.splitlines()[-1].removeprefix("raw samples: ")).unlink()


def test_a_quick_run_of_import_shows_tables_and_keeps_every_sample_as_json() -> None:
    done = bench("--quick", "import")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "import meshpass" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("raw samples: build/bench/")
    file = ROOT / last.removeprefix("raw samples: ")
    kept = json.loads(file.read_text())
    file.unlink()
    sdk, first_call, function = kept["benches"]["import"]
    assert sdk["peer"] == "import httpx"
    for comparison in (sdk, first_call, function):
        for samples in comparison["samples"].values():
            assert [set(sample) for sample in samples] == [{"wall_ms", "cpu_ms", "modules"}] * 2
            assert all(value > 0 for sample in samples for value in sample.values())
