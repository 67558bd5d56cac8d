"""Mutants on several meshes, each in a process of its own: one Python process cannot keep two processors busy.

The parent hands out one mutant at a time, so that no process is left with a long rest, and passes on which case caught
which mutant, so that each learns from all. A process that loses its parent ends its mesh.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import traceback
from collections import deque
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from meshlab import debug_log
from meshlab.bench.protocol import BenchError
from meshlab.errors import LabError
from meshlab.manifest import ManifestError
from meshlab.mutate.run import mutation_run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from multiprocessing.connection import Connection

    from meshlab.bench.case import CaseFile
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.results import Result
    from meshlab.mutate.run import MutationRun

__all__ = ["MutationProcesses", "mutation_processes"]

_END_S = 10.0
"""How long a process may take to end its mesh before it is ended, in seconds."""

Caught = tuple[int, str]
"""The number of a mutant, and the name of the case that caught it."""


@dataclass(frozen=True)
class _Job:
    """All that a process needs. The mutants hold the manifests of the objects, so they are pickled together."""

    objects: Objects
    case_files: Sequence[CaseFile]
    mutants: Sequence[Mutant]
    find: bool


@dataclass(frozen=True)
class _Ready:
    """The mesh of a process runs, and its cases pass."""

    cases: int


class _Idle:
    """A process asks for the next mutant. The answer is a `_Next`."""


@dataclass(frozen=True)
class _Next:
    """The number of the next mutant, `None` for no more, and what other processes caught in the meantime."""

    number: int | None
    caught: Sequence[Caught]


@dataclass(frozen=True)
class _Done:
    """What became of a mutant."""

    number: int
    result: Result


@dataclass(frozen=True)
class _Over:
    """A process has asked its last mutant."""

    not_covered: Sequence[str]


_Message = _Ready | _Idle | _Done | _Over | Exception


class MutationProcesses:
    """Processes with a mesh each. `close` ends them.

    Args:
        objects: The mesh without a change.
        case_files: The cases.
        mutants: The mutants that will be asked.
        find: Whether to look for the request that shows what no case caught.
        processes: How many meshes run.

    Attributes:
        cases: How many cases there are.
        not_covered: What the batteries of requests did not ask, one sentence each; complete after the last result.

    Raises:
        CasesFailError: A case does not pass before anything is changed.
        BenchError: Something did not start.
    """

    def __init__(
        self,
        objects: Objects,
        case_files: Sequence[CaseFile],
        mutants: Sequence[Mutant],
        *,
        find: bool = False,
        processes: int,
    ) -> None:
        self.cases = 0
        self.not_covered: list[str] = []
        self._mutants = mutants
        self._numbers = iter(range(len(mutants)))
        self._workers: list[_Worker] = []
        job = _Job(objects, case_files, mutants, find)
        try:
            for _ in range(processes):
                self._workers.append(_Worker(job))
            for worker in self._workers:
                if isinstance(ready := worker.heard(), _Ready):
                    self.cases = ready.cases
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes with their meshes."""
        for worker in self._workers:
            worker.leave()
        for worker in self._workers:
            worker.end()

    def results(self) -> Generator[Result]:
        """Yield what becomes of each mutant, in their order.

        Raises:
            BenchError: A process ended, or its mesh did not start anew.
        """
        asking = {worker.connection: worker for worker in self._workers}
        found: dict[int, Result] = {}
        for number in range(len(self._mutants)):
            while number not in found:
                self._hear(asking, found)
            yield found.pop(number)
        while asking:
            self._hear(asking, found)

    def _hear(self, asking: dict[Connection[_Next, _Message], _Worker], found: dict[int, Result]) -> None:
        """Wait until processes say something, answer them, and keep what they found."""
        ready = wait(asking)
        for worker in [worker for connection, worker in asking.items() if connection in ready]:
            match worker.heard():
                case _Idle():
                    worker.give(next(self._numbers, None))
                case _Done(number, result):
                    found[number] = replace(result, mutant=self._mutants[number])
                    if result.state == "caught":
                        self._pass_on(worker, (number, result.caught_by))
                case _Over(not_covered):
                    del asking[worker.connection]
                    self.not_covered = list(dict.fromkeys([*self.not_covered, *not_covered]))

    def _pass_on(self, source: _Worker, caught: Caught) -> None:
        for worker in self._workers:
            if worker is not source:
                worker.unknown.append(caught)


class _Worker:
    """A process, seen from its parent.

    Attributes:
        connection: What it says and hears.
        unknown: What other processes caught since it was given a mutant.
    """

    def __init__(self, job: _Job) -> None:
        self.unknown: list[Caught] = []
        spawn = get_context("spawn")
        self.connection: Connection[_Next, _Message]
        self.connection, other = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(other, job), name="meshlab mutate")
        # Ctrl-C in a terminal reaches the parent alone, which ends this process in order.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        other.close()

    def heard(self) -> _Message:
        """Return the next message.

        Raises:
            Exception: What ended the process.
        """
        try:
            message: _Message = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(_END_S)
            code = self._process.exitcode
            raise BenchError(f"a process that asks mutants ended with exit code {code}: run again") from None
        if isinstance(message, Exception):
            raise message
        return message

    def give(self, number: int | None) -> None:
        """Answer an idle process with a mutant, or with the end."""
        with contextlib.suppress(ConnectionError):  # why it ended is heard next
            self.connection.send(_Next(number, self.unknown))
        self.unknown = []

    def leave(self) -> None:
        """Let the process end: it hears nothing more."""
        self.connection.close()

    def end(self) -> None:
        """Wait until the process has ended its mesh, or end it."""
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.terminate()  # what its mesh has started and written is ended and deleted then as well
            self._process.join()


def _work(connection: Connection[_Message, _Next], job: _Job) -> None:
    """Ask mutants in a mesh of this process as long as the parent has some."""
    if wanted := os.environ.get(debug_log.VARIABLE):
        debug_log.enable(wanted)
    # Without its parent there is nothing to say to anything.
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            _ask(connection, job)
        except (EOFError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            connection.send(_sendable(error))


def _ask(connection: Connection[_Message, _Next], job: _Job) -> None:
    with mutation_run(job.objects, job.case_files, find=job.find) as run:
        connection.send(_Ready(run.cases))
        taken: deque[int] = deque()

        def handed_out() -> Iterator[Mutant]:
            while (number := _next_of(connection, job, run)) is not None:
                taken.append(number)
                yield job.mutants[number]

        for result in run.run(handed_out()):
            connection.send(_Done(taken.popleft(), result))
        connection.send(_Over(run.not_covered))


def _next_of(connection: Connection[_Message, _Next], job: _Job, run: MutationRun) -> int | None:
    """Ask for the next mutant, and learn what the cases of other processes caught."""
    connection.send(_Idle())
    following = connection.recv()
    for number, name in following.caught:
        run.order.caught(job.mutants[number], name)
    return following.number


def _sendable(error: Exception) -> Exception:
    """Return an error as the parent can raise it, with its traceback where it was not foreseen."""
    if not isinstance(error, (LabError, ManifestError, BenchError)):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled in this line
    except Exception:  # noqa: BLE001 - whatever it is, its words arrive
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@contextlib.contextmanager
def mutation_processes(
    objects: Objects,
    case_files: Sequence[CaseFile],
    mutants: Sequence[Mutant],
    *,
    find: bool = False,
    processes: int,
) -> Iterator[MutationProcesses]:
    """Run meshes for mutants in processes of their own, and end them."""
    run = MutationProcesses(objects, case_files, mutants, find=find, processes=processes)
    try:
        yield run
    finally:
        run.close()
