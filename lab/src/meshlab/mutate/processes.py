"""Mutants on several meshes, each in a process of its own: one Python process cannot keep two processors busy.

The parent hands out one mutant at a time, so that no process is left with a long rest, and passes on which case caught
which mutant, so that each learns from all. A process that loses its parent ends its mesh. One whose proxies the system
has no room for gives its mutants back.
"""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from meshlab.bench.protocol import BenchError
from meshlab.mutate.process_messages import Done, GivenBack, Idle, Job, Next, Over, Ready
from meshlab.mutate.process_work import work

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from multiprocessing.connection import Connection

    from meshlab.bench.case import CaseFile
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.process_messages import Caught, Message
    from meshlab.mutate.results import Result

__all__ = ["MutationProcesses", "mutation_processes"]

_END_S = 10.0
"""How long a process may take to end its mesh before it is ended, in seconds."""


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
        self._numbers = deque(range(len(mutants)))
        self._workers: list[_Worker] = []
        self._ready: list[_Worker] = []
        job = Job(objects, case_files, mutants, find)
        try:
            for _ in range(processes):
                self._workers.append(_Worker(job))
            self._wait_ready()
        except BaseException:
            self.close()
            raise

    def _wait_ready(self) -> None:
        why = ""
        for worker in self._workers:
            match worker.heard():
                case Ready(cases):
                    self.cases = cases
                    self._ready.append(worker)
                case GivenBack(_, lacking):
                    why = lacking
        if not self._ready:
            raise BenchError(why)

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
        asking = {worker.connection: worker for worker in self._ready}
        found: dict[int, Result] = {}
        for number in range(len(self._mutants)):
            while number not in found:
                self._hear(asking, found)
            yield found.pop(number)
        while asking:
            self._hear(asking, found)

    def _hear(self, asking: dict[Connection[Next, Message], _Worker], found: dict[int, Result]) -> None:
        """Wait until processes say something, answer them, and keep what they found."""
        ready = wait(asking)
        for worker in [worker for connection, worker in asking.items() if connection in ready]:
            match worker.heard():
                case Idle():
                    worker.give(self._numbers.popleft() if self._numbers else None)
                case Done(number, result):
                    found[number] = replace(result, mutant=self._mutants[number])
                    if result.state == "caught":
                        self._pass_on(worker, (number, result.caught_by))
                case GivenBack(numbers, why):
                    del asking[worker.connection]
                    self._numbers.extendleft(reversed(numbers))
                    if not asking:
                        raise BenchError(why)
                case Over(not_covered):
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

    def __init__(self, job: Job) -> None:
        self.unknown: list[Caught] = []
        spawn = get_context("spawn")
        self.connection: Connection[Next, Message]
        self.connection, other = spawn.Pipe()
        self._process = spawn.Process(target=work, args=(other, job), name="meshlab mutate")
        # Ctrl-C in a terminal reaches the parent alone, which ends this process in order.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        other.close()

    def heard(self) -> Message:
        """Return the next message.

        Raises:
            Exception: What ended the process.
        """
        try:
            message: Message = self.connection.recv()
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
            self.connection.send(Next(number, self.unknown))
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
