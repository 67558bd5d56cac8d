"""Results become the page, its chart and the numbers of the costs."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from meshlab.lab.stack import Driver

from bench import plot, publish
from bench.harness import BenchError
from bench.scale import suite
from tests.e2e import long_run

WAYS = (
    suite.BEFORE, suite.FUNCTION, suite.SERVE, suite.SERVE_STORAGE, suite.WORK, suite.WORK_STORAGE
)  # fmt: skip
CHAOS: dict[str, Any] = {
    "events": 1_000_000,
    "messages": 1_047_000,
    "seconds": 2_000.0,
    "events_per_s": 500.0,
    "rows": 961_000,
    "written": 960_000,
    "view_rows": 960_000,
    "view_events": 960_000,
    "dead_letters": {"profile_not_found": 30_000, "json_invalid": 10_000},
    "dead_letters_repeated": 2,
    "undelivered": 0,
    "injected": {"lost_answers": 7},
    "peaks_mib": {"function": 150.0, "bigquery": 900.0},
    "cpu_s": {"function": 1000.0, "bigquery": 200.0},
    "complaints": [],
    "duplicates_before_view": 1_000,
    "duplicates_after_view": 0,
}
SOAK: dict[str, Any] = {
    "seconds": 3600,
    "rate": 500,
    "events": 1_800_000,
    "left_over": 0,
    "slopes": {"function": {"mib": 0.25, "low": -0.1, "high": 0.6, "samples": 600}},
    "peaks_mib": {"function": 140.0},
    "cpu_s": {"function": 900.0},
}


def result(directory: Path, name: str, **content: object) -> Path:
    shared = {
        "started": "2026-12-01T03:00:00+00:00",
        "machine": "a machine",
        "commit": "abc1234",
        "load_before": [0.1],
    }
    file = directory / name
    file.write_text(json.dumps({**shared, **content}))
    return file


def scale() -> list[dict[str, Any]]:
    rates = {way.name: [{"events_per_s": 1000.0 * n, "cpu_ms": 0.4 / n}] for n, way in enumerate(WAYS, 1)}
    times = {
        way.name: [{"p50_ms": 60.0, "p99_ms": 200.0, "peak_mib": 100.0 / n}] for n, way in enumerate(WAYS, 1)
    }
    peer = suite.FUNCTION.name
    return [
        {"title": "rates", "peer": peer, "setup": "s", "samples": rates},
        {"title": "times", "peer": peer, "setup": "s", "samples": times},
    ]


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, publish.Run]:
    files = {
        "bench": result(tmp_path, "20261201T030000.000001Z.json", benches={"scale": scale()}),
        "chaos": result(tmp_path, "20261201T030000Z-chaos.json", seed=7, own_peak_mib=200.0, chaos=CHAOS),
        "soak": result(tmp_path, "20261201T030000Z-soak.json", soak=SOAK),
        "chaos-work": result(
            tmp_path, "20261201T030000Z-chaos-work.json", seed=7, own_peak_mib=200.0, chaos=CHAOS
        ),
        "soak-work": result(tmp_path, "20261201T030000Z-soak-work.json", soak=SOAK),
    }
    assert {kind: publish.newest(kind, tmp_path) for kind in files} == files
    return {kind: publish.read(file) for kind, file in files.items()}


@pytest.mark.parametrize("run", ["chaos", "soak"])
def test_a_long_run_is_found_again_as_that_of_the_driver_that_it_was_of(tmp_path: Path, run: str) -> None:
    started = long_run.now()
    files = {driver: long_run.write(run, driver.value, started, {}, tmp_path) for driver in Driver}
    assert publish.newest(run, tmp_path) == files[Driver.FUNCTION]
    assert publish.newest(f"{run}-work", tmp_path) == files[Driver.WORK]


def test_the_page_has_a_place_for_each_part(runs: dict[str, publish.Run]) -> None:
    page = publish.PAGE.read_text()
    places = re.findall(r"<!-- bench: ([a-z-]+) -->", page)
    assert sorted(places) == sorted({*publish.parts(runs), "results", "policy", "beam"})
    assert page.count("<!-- end of the bench -->") == len(places)
    assert page.index("<!-- bench: headline -->") < page.index("\n## ")


def test_results_replace_the_parts_that_they_have_and_no_other(runs: dict[str, publish.Run]) -> None:
    page = publish.PAGE.read_text()
    made = publish.written(page, publish.parts(runs))
    beam = re.compile(
        r"<!-- bench: beam -->.*?<!-- end of the bench -->", re.DOTALL
    )  # which this run did not have
    assert beam.findall(made) == beam.findall(page) != []
    assert "Not run for this page yet" not in made
    assert "import: the SDK" in made  # of a run that had it
    assert publish.written(made, publish.parts(runs)) == made


def test_a_run_with_the_peers_draws_and_names_them(tmp_path: Path) -> None:
    rates = {"meshpass": [{"events_per_s": 900.0}], "textbook, tuned": [{"events_per_s": 300.0}]}
    acks = {name: [{"p50_ms": 52.0, "p99_ms": 231.0, "added_p99_ms": 9.0}] for name in rates}
    enrich = [
        {"title": "t", "peer": "textbook, tuned", "setup": "s", "samples": samples}
        for samples in (rates, acks)
    ]
    run = publish.read(result(tmp_path, "r.json", benches={"enrich": enrich, "scale": scale()}))
    made = publish.parts({"bench": run})
    assert "meshpass 900, textbook, tuned 300" in made["results"]
    assert "meshpass 52 ms at the median and 231 in the slowest hundredth" in made["results"]
    assert "3.0 times those of a tuned textbook function" in made["headline"]


def test_the_headline_is_a_chart_and_three_sentences(runs: dict[str, publish.Run]) -> None:
    picture, *sentences = publish.parts(runs)["headline"].strip().split("\n")
    assert picture.endswith("(images/bench-scale.svg)")
    assert "function 2,000" in picture
    function, others, chaos = filter(None, sentences)
    assert function == (
        "One CPU of the function takes 2,000 events a second with 64 in flight, for 0.20 ms of processor time each."
    )
    assert others == (
        "`serve` does the same work for 0.67 times that processor time in 33 MiB, and a pull worker for 0.40 times, or "
        "0.33 times with the Storage Write API."
    )
    assert chaos == (
        "While everything broke in turn, each of 1,000,000 events ended in exactly one place: 960,000 rows in the "
        "view that removes duplicates, and 40,000 dead letters."
    )


def test_what_did_not_end_as_it_must_is_in_the_headline(runs: dict[str, publish.Run], tmp_path: Path) -> None:
    broken = {**CHAOS, "complaints": ["events 1 to 2: lost"]}
    runs["chaos"] = publish.read(result(tmp_path, "x-chaos.json", seed=7, own_peak_mib=200.0, chaos=broken))
    assert "not all ended as they must" in publish.parts(runs)["headline"]
    assert "events 1 to 2: lost" in publish.parts(runs)["chaos"]


def test_tables_of_chaos_and_soak_name_what_was_found(runs: dict[str, publish.Run]) -> None:
    made = publish.parts(runs)
    assert "| dead-lettered, `json_invalid` | 10,000 |" in made["chaos"]
    assert "| the same, in the view | 0 |" in made["chaos"]
    assert made["chaos"].index("`bigquery`") < made["chaos"].index("`function`")  # the largest first
    assert "| `function` | +0.25 | -0.10 to +0.60 | 140 | 0.500 |" in made["soak"]


def test_what_was_measured_goes_into_the_costs(runs: dict[str, publish.Run]) -> None:
    text = publish.measured(runs["bench"])
    assert text is not None
    found, before = tomllib.loads(text), tomllib.loads(publish.MEASURED.read_text())
    assert found.keys() == before.keys()
    assert found["work"] == {
        "run": "2026-12-01, abc1234", "events_per_s": 5000.0, "cpu_ms": 0.08, "peak_mib": 20.0
    }  # fmt: skip
    assert found["beam"] == before["beam"]


def test_without_a_run_of_scale_no_number_of_the_costs_changes(tmp_path: Path) -> None:
    assert publish.measured(publish.read(result(tmp_path, "r.json", benches={}))) is None


def test_the_chart_is_the_same_for_the_same_numbers(runs: dict[str, publish.Run], tmp_path: Path) -> None:
    first = runs["bench"].benches["scale"][0]
    drawn = [plot.write_scale(tmp_path / f"{name}.svg", first).read_text() for name in "ab"]
    assert drawn[0] == drawn[1]
    assert "work, Storage Write" in drawn[0]


def test_results_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(BenchError, match="cannot read the results in"):
        publish.read(tmp_path / "x.json")
