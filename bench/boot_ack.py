"""Functions from their start to the ack of their first event, its row durable, and the memory that this took."""

import http.client
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from meshlab.processes.ports import LOOPBACK

from bench.enrich import deployed, processes, push, workload
from bench.enrich.stage import EMPTY, OURS, SOURCE_DOCUMENT, TEXTBOOK, Function, Running, Stage, standing
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare

_SETUP = (
    "the command that runs it in the cloud, one worker; nothing installed but what is deployed, and PyJWT for the "
    "others; bytecode and file cache warm; polled every 5 ms; the source document's key comes from Secret Manager, the "
    "others' are mounted"
)


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare up to listening with an empty function, and up to the first ack with two that do the same work."""
    functions = (OURS, SOURCE_DOCUMENT, TEXTBOOK, EMPTY)
    with standing(deployed.python()) as stage:
        found = compare(
            "boot-ack: functions-framework, from its start until it listens",
            [Contender(function.name, partial(measure, stage, function)) for function in functions],
            rounds=effort.rounds(5),
            setup=_SETUP,
            peer=EMPTY.name,
        )
    yield replace(
        found, samples={name: _only(samples, "listening_ms") for name, samples in found.samples.items()}
    )
    yield Comparison(
        "boot-ack: the same, until its first event is acked",
        SOURCE_DOCUMENT.name,
        "the event is sent as soon as it listens; the service takes 20 ms and BigQuery 30; memory is the sum of the "
        "peaks of all processes",
        {
            function.name: _only(found.samples[function.name], "first_ack_ms", "peak_mib")
            for function in functions
            if function is not EMPTY
        },
    )


def _only(samples: Sequence[Sample], *metrics: str) -> list[Sample]:
    return [{metric: sample[metric] for metric in metrics} for sample in samples]


def measure(stage: Stage, function: Function) -> Sample:
    """Start a function, deliver one event as soon as it listens, and wait for the ack.

    Raises:
        BenchError: It gave none, or its row is not in the table.
    """
    stage.seen()
    with stage.starting(function) as running:
        running.child.wait_port(running.port)
        listening_s = time.monotonic() - running.child.started_at
        _deliver(running)
        acked_s = time.monotonic() - running.child.started_at
        used = processes.usage(running.child.pid)
    _, table = stage.seen()
    if function is not EMPTY:
        push.check(1, table)
    return {
        "listening_ms": listening_s * 1e3,
        "first_ack_ms": acked_s * 1e3,
        "peak_mib": used.peak_mib,
    }


def _deliver(running: Running) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, running.port, timeout=30)
    try:
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(workload.delivery(0, 1, running.address))
        answer = http.client.HTTPResponse(connection.sock, method="POST")
        answer.begin()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"it listened, but did not take an event: {error}") from error
    finally:
        connection.close()
    if answer.status >= 300:
        raise BenchError(f"it answered the first event with {answer.status}")
