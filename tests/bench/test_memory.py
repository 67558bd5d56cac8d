"""Memory over time, and the slope of a line through it."""

import os
import random
import subprocess
import sys
import time

import pytest

from bench.scale.memory import Watch, look, slope


def test_the_slope_of_a_line_is_found_and_its_interval_is_narrow() -> None:
    found = slope([(events, 50 + events * 2e-5) for events in range(0, 1_000_000, 10_000)])
    assert found.mib == pytest.approx(2.0)
    assert found.low == pytest.approx(found.high)


def test_the_interval_holds_the_slope_and_is_wider_for_more_noise() -> None:
    noise = random.Random(7)
    widths = []
    for amount in (0.1, 1.0):
        samples = [(n, 50 + n * 1e-5 + noise.gauss(0, amount)) for n in range(0, 1_000_000, 2_000)]
        found = slope(samples)
        assert found.low < 1.0 < found.high
        widths.append(found.high - found.low)
    assert widths[1] > 5 * widths[0]


@pytest.mark.parametrize(
    ("samples", "error"), [([(1, 1), (2, 2)], "three samples"), ([(5, 1), (5, 2), (5, 3)], "needs events")]
)
def test_too_few_samples_have_no_slope(samples: list[tuple[float, float]], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        slope(samples)


def test_a_group_is_looked_at_by_its_name_and_one_that_ended_is_left_out() -> None:
    found = look({os.getpgrp(): "this", 2**22 + 1: "ended"})
    assert set(found) == {"this"}
    assert found["this"].peak_mib >= found["this"].rss_mib > 10
    assert found["this"].cpu_s > 0


def test_a_watch_keeps_the_peak_and_the_time_of_a_process_that_was_started_again() -> None:
    def spawn(mebibytes: int) -> subprocess.Popen[bytes]:
        program = f"import sys; x = bytearray({mebibytes} << 20); print(flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    groups: dict[str, int] = {}
    with Watch(lambda: dict(groups), lambda: 1, every_s=0.01) as watch:
        for mebibytes in (64, 1):
            process = spawn(mebibytes)
            groups["one"] = process.pid
            until = time.monotonic() + 20
            while process.pid not in _seen(watch) and time.monotonic() < until:
                time.sleep(0.01)
            process.communicate(b"")
    assert watch.peaks_mib["one"] > 64
    assert max(mib for _, mib in watch.samples("one")) < 64  # samples are of the last one alone
    assert watch.cpu_s["one"] > 0


def _seen(watch: Watch) -> set[int]:
    return {series.pid for series in watch._series.values()}
