"""Our DoFn as a contender of the benchmark: `pipeline.py EVENTS IN_FLIGHT BUNDLE THREADS`.

EVENTS is a file with one event on each line. With BUNDLE 0 Beam's FnApiRunner runs a pipeline, in this process.
Otherwise the DoFn is given bundles of so many elements by THREADS threads, as a worker of Dataflow does it.
Prints what the work took as JSON.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindows
from enrichment_beam.engine import Engine, EngineOptions
from enrichment_beam.enrich import EnrichAndWrite, EnrichDoFn
from enrichment_beam.messages import PubsubMessage
from enrichment_beam.settings import WorkerSettings

_began_with_cpu_s: list[float] = []
"""Processor time that this process had taken when its first event began."""


def note_the_first(engine: type[Engine]) -> None:
    """Note the processor time when the first event begins, which is where the peer's is noted."""
    begin = engine.begin

    def noted(self: Engine, *arguments: object) -> None:
        _began_with_cpu_s.append(time.process_time())
        engine.begin = begin  # type: ignore[method-assign]
        begin(self, *arguments)  # type: ignore[arg-type]

    engine.begin = noted  # type: ignore[method-assign,assignment]


def messages(events: str) -> list[PubsubMessage]:
    """Read the events as messages."""
    lines = Path(events).read_bytes().splitlines()
    return [PubsubMessage(line, {}, str(number)) for number, line in enumerate(lines, 1)]


def by_runner(found: list[PubsubMessage], settings: WorkerSettings, options: EngineOptions) -> None:
    """Run a pipeline."""
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        _ = pipeline | beam.Create(found) | beam.Reshuffle() | EnrichAndWrite(settings, options)


def by_bundles(
    found: list[PubsubMessage], settings: WorkerSettings, options: EngineOptions, size: int, threads: int
) -> None:
    """Give the DoFn bundle after bundle, in several threads."""
    bundles = iter([found[begin : begin + size] for begin in range(0, len(found), size)])
    lock, errors = threading.Lock(), []

    def work() -> None:
        do_fn = EnrichDoFn(settings, options)
        do_fn.setup()
        try:
            while True:
                with lock:
                    bundle = next(bundles, None)
                if bundle is None:
                    return
                do_fn.start_bundle()
                for one in bundle:
                    list(do_fn.process(one, GlobalWindows.windowed_value(one, 0)))
                list(do_fn.finish_bundle())
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            errors.append(error)
        finally:
            do_fn.teardown()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]


def main(events: str, in_flight: str, bundle: str, threads: str) -> None:
    """Do the work, and print what it took."""
    found = messages(events)
    settings, _ = WorkerSettings.read(os.environ)
    options = EngineOptions(in_flight=int(in_flight))
    note_the_first(Engine)
    if int(bundle):
        by_bundles(found, settings, options, int(bundle), int(threads))
    else:
        by_runner(found, settings, options)
    print(json.dumps({"cpu_s": time.process_time() - min(_began_with_cpu_s)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
