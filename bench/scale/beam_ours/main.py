"""The project's own transform on Apache Beam: `main.py EVENTS IN_FLIGHT BUNDLE`, in the environment of beam/.

EVENTS is a file with one event on each line. With BUNDLE 0 a pipeline takes them, in the bundles that the runner makes.
Else 16 threads take them in bundles of so many, as the workers of a stream do, without a runner: none lets the size be
chosen. Prints what the work took as JSON.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam  # type: ignore[import-not-found] # it has an environment of its own
import source  # type: ignore[import-not-found] # beside this file
from apache_beam.options.pipeline_options import PipelineOptions  # type: ignore[import-not-found]
from apache_beam.transforms.window import GlobalWindow  # type: ignore[import-not-found]
from apache_beam.utils.timestamp import Timestamp  # type: ignore[import-not-found]
from apache_beam.utils.windowed_value import PANE_INFO_UNKNOWN  # type: ignore[import-not-found]
from enrichment_beam.engine import EngineOptions  # type: ignore[import-not-found]
from enrichment_beam.enrich import EnrichAndWrite, EnrichDoFn  # type: ignore[import-not-found]
from enrichment_beam.settings import WorkerSettings  # type: ignore[import-not-found]

THREADS = 16


def main(events: str, in_flight: str, bundle: str) -> None:
    settings, _ = WorkerSettings.read(os.environ)
    options = EngineOptions(in_flight=int(in_flight))
    lines = Path(events).read_text().splitlines()
    if int(bundle):
        in_bundles(lines, settings, options, int(bundle))
    else:
        in_a_pipeline(lines, settings, options)
    cpu_s = time.process_time() - min(source.cpu_s_at_messages)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": cpu_s, "peak_mib": peak_mib}))
    sys.stdout.flush()
    os._exit(0)  # the engine's thread lingers for further bundles


def in_a_pipeline(lines: Sequence[str], settings: WorkerSettings, options: EngineOptions) -> None:
    runner = PipelineOptions(["--runner=FnApiRunner", "--direct_running_mode=in_memory"])
    with beam.Pipeline(options=runner) as pipeline:
        _ = (
            pipeline
            | beam.Create(lines)
            | beam.Reshuffle()
            | beam.Map(source.message)
            | EnrichAndWrite(settings, options)
        )


def in_bundles(lines: Sequence[str], settings: WorkerSettings, options: EngineOptions, size: int) -> None:
    def work(share: Sequence[str]) -> None:
        do = EnrichDoFn(settings, options)
        do.setup()
        for begin in range(0, len(share), size):
            do.start_bundle()
            for line in share[begin : begin + size]:
                list(do.process(source.message(line), Timestamp.now(), GlobalWindow(), PANE_INFO_UNKNOWN))
            list(do.finish_bundle())
        do.teardown()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, (lines[number::THREADS] for number in range(THREADS))))


if __name__ == "__main__":
    main(*sys.argv[1:])
