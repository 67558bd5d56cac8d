"""An even load for a long time, and the slope of memory: `make soak SECONDS=3600 RATE=500`.

Nothing is broken here. Each process of the lab is looked at a few hundred times. A line through its memory over the
events that are done has a slope, in MiB for each 100,000 events, and an interval that holds it in 95 of 100 runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from google.cloud.pubsub_v1 import PublisherClient
from meshlab.cloud.pubsub import backlog

from bench.scale.memory import Slope, Watch, slope
from tests.e2e import chaos, long_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.lab.stack import Lab

_SAMPLES = 720
_WARM_UP_SHARE = 0.15
"""Memory of the first part is not counted: caches fill, and allocators find their size."""
_DRAIN_S = 120.0
_BATCH_S = 0.05


def main(arguments: Sequence[str]) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.soak", description="The slope of memory.")
    parser.add_argument("--seconds", type=int, default=3600, help="for how long (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=500, help="events a second (default: %(default)s)")
    long_run.add_driver(parser)
    options = parser.parse_args(arguments)
    if options.seconds < 20 or options.rate < 1:
        parser.error("--seconds must be 20 or more, and --rate 1 or more")
    started, load = long_run.now(), os.getloadavg()[0]
    progress = long_run.Progress(options.seconds * options.rate, "events acked")
    with long_run.running_lab(options.driver) as (lab, _):
        soak = _Soak(lab, options.rate, options.seconds, progress)
        watch = soak.run()
        events, left = soak.acked, soak.left
    progress.line("")
    slopes = _slopes(watch)
    print(f"{events:,} events in {options.seconds} s, {options.rate} a second asked for; {left:,} left over")
    print(
        f"{'process':<28}{'MiB per 100,000 events':>24}{'95 % interval':>22}{'peak [MiB]':>12}{'CPU [ms/event]':>16}"
    )
    for name, found in sorted(slopes.items(), key=lambda item: -item[1].mib):
        interval = f"{found.low:+.2f} to {found.high:+.2f}"
        each = watch.cpu_s[name] / max(events, 1) * 1e3
        print(f"{name:<28}{found.mib:>+24.2f}{interval:>22}{watch.peaks_mib[name]:>12.0f}{each:>16.3f}")
    content = {
        "seconds": options.seconds,
        "rate": options.rate,
        "load_before": load,
        "events": events,
        "left_over": left,
        "slopes": {name: asdict(found) for name, found in slopes.items()},
        "peaks_mib": watch.peaks_mib,
        "cpu_s": watch.cpu_s,
    }
    file = long_run.write("soak", options.driver, started, {"soak": content})
    print(f"kept in {os.path.relpath(file)}")
    return 1 if left else 0


class _Soak:
    """Publishes at an even rate until the time is over, and waits for what is left."""

    def __init__(self, lab: Lab, rate: int, seconds: int, progress: long_run.Progress) -> None:
        self._lab, self._rate, self._seconds = lab, rate, seconds
        self._progress = progress
        self._host = lab.environment["PUBSUB_EMULATOR_HOST"]
        self._published = 0
        self._end = threading.Event()
        self.acked = 0

    @property
    def left(self) -> int:
        """Events that were published and not acked."""
        return self._published - self.acked

    def run(self) -> Watch:
        """Run, and return what was seen of the processes."""
        publisher = threading.Thread(target=self._publish, daemon=True)
        groups = {name: child.pid for name, child in self._lab.children.items()}
        with Watch(lambda: groups, lambda: self.acked, every_s=self._seconds / _SAMPLES) as watch:
            publisher.start()
            until = time.monotonic() + self._seconds
            while time.monotonic() < until:
                self._look()
                time.sleep(0.2)
            self._end.set()
            publisher.join()
        until = time.monotonic() + _DRAIN_S
        while self.left and time.monotonic() < until:
            self._look()
            time.sleep(0.2)
        return watch

    def _look(self) -> None:
        self.acked = backlog(self._host, self._lab.resources.subscription).acked
        self._progress.show(self.acked)

    def _publish(self) -> None:
        client = PublisherClient()
        began_at = time.monotonic()
        sent = chaos.good_events()
        while not self._end.wait(_BATCH_S):
            due = int((time.monotonic() - began_at) * self._rate)
            futures = [
                client.publish(self._lab.resources.topic, next(sent)) for _ in range(due - self._published)
            ]
            for future in futures:
                future.result(60)
            self._published += len(futures)
        client.stop()
        client.transport.close()


def _slopes(watch: Watch) -> dict[str, Slope]:
    found = {}
    for name in watch.peaks_mib:
        samples = watch.samples(name)
        found[name] = slope(samples[int(len(samples) * _WARM_UP_SHARE) :])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
