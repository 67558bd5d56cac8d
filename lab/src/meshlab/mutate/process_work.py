"""Work of one process: a mesh of its own that asks mutants as long as the parent has some."""

from __future__ import annotations

import contextlib
import os
import pickle
import traceback
from collections import deque
from typing import TYPE_CHECKING

from meshlab import debug_log
from meshlab.bench.protocol import BenchError
from meshlab.errors import LabError
from meshlab.manifest import ManifestError
from meshlab.mutate.process_messages import Done, GivenBack, Idle, Over, Ready
from meshlab.mutate.run import mutation_run
from meshlab.processes.supervisor import NoInotifyInstanceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.process_messages import Job, Message, Next
    from meshlab.mutate.run import MutationRun

__all__ = ["sendable", "work"]


def work(connection: Connection[Message, Next], job: Job) -> None:
    """Ask mutants in a mesh of this process as long as the parent has some."""
    if wanted := os.environ.get(debug_log.VARIABLE):
        debug_log.enable(wanted)
    taken: deque[int] = deque()
    # Without its parent there is nothing to say to anything.
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            _ask(connection, job, taken)
        except (EOFError, ConnectionError):
            raise
        except BenchError as error:
            lacks_room = isinstance(error.__cause__, NoInotifyInstanceError)
            connection.send(GivenBack(tuple(taken), str(error)) if lacks_room else sendable(error))
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            connection.send(sendable(error))


def _ask(connection: Connection[Message, Next], job: Job, taken: deque[int]) -> None:
    """Ask mutants, and keep the numbers of those that were taken and are not done."""
    with mutation_run(job.objects, job.case_files, find=job.find) as run:
        connection.send(Ready(run.cases))

        def handed_out() -> Iterator[Mutant]:
            while (number := _next_of(connection, job, run)) is not None:
                taken.append(number)
                yield job.mutants[number]

        for result in run.run(handed_out()):
            connection.send(Done(taken[0], result))
            taken.popleft()
        connection.send(Over(run.not_covered))


def _next_of(connection: Connection[Message, Next], job: Job, run: MutationRun) -> int | None:
    """Ask for the next mutant, and learn what the cases of other processes caught."""
    connection.send(Idle())
    following = connection.recv()
    for number, name in following.caught:
        run.order.caught(job.mutants[number], name)
    return following.number


def sendable(error: Exception) -> Exception:
    """Return an error as the parent can raise it, with its traceback where it was not foreseen."""
    if not isinstance(error, (LabError, ManifestError, BenchError)):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled in this line
    except Exception:  # noqa: BLE001 - whatever it is, its words arrive
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
