"""Mutants against cases, on one running mesh or on several beside each other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from meshlab.bench.case_file import CaseFileError, CaseProblem, check_against
from meshlab.bench.local_bench import names_of
from meshlab.istio import load_mesh
from meshlab.mutate.lane import CasesFailError, Lane
from meshlab.mutate.order import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.results import Result

__all__ = ["CasesFailError", "MutationRun", "check_names", "mutation_run"]


class MutationRun:
    """A mesh for mutants, run once or several times beside each other. `close` ends it.

    One lane waits most of the time: for a proxy that takes a change, and for evidence. Several keep the processor busy,
    and learn from each other which cases catch which mutants.

    Args:
        objects: The mesh without a change.
        case_files: The cases. Those with other workloads or servers around them run apart.
        find: Whether to look for the request that shows what no case caught.
        lanes: How many meshes run beside each other. The first starts at once, the others with the first mutants.

    Raises:
        CasesFailError: A case does not pass before anything is changed.
        BenchError: Something did not start.
    """

    def __init__(
        self, objects: Objects, case_files: Sequence[CaseFile], *, find: bool = False, lanes: int = 1
    ) -> None:
        self.objects = objects
        self._case_files = case_files
        self._find = find
        self._order = Order()
        self._wanted = lanes
        self._lock = threading.Lock()
        self._lanes: list[Lane] = []
        self._first = self._started()

    def close(self) -> None:
        """End everything."""
        for lane in self._lanes:
            lane.close()

    @property
    def not_covered(self) -> list[str]:
        """What the battery of requests does not ask, one sentence each."""
        return list(dict.fromkeys(line for lane in self._lanes for line in lane.not_covered))

    @property
    def failed_once(self) -> tuple[str, ...]:
        """The cases that failed before anything was changed, and passed when they were sent again."""
        return tuple(dict.fromkeys(line for lane in self._lanes for line in lane.failed_once))

    @property
    def cases(self) -> int:
        """How many cases there are."""
        return self._first.cases

    def mutants(self) -> list[Mutant]:
        """Return the mutants of all objects."""
        return list(self.objects.mutants())

    def failures(self) -> list[Outcome]:
        """Send every case through the mesh without a change, and return what does not pass."""
        return [outcome for lane in self._lanes for outcome in lane.failures()]

    def run(self, mutants: Iterable[Mutant]) -> Generator[Result]:
        """Yield what becomes of each mutant, in their order.

        Raises:
            CasesFailError: A case does not pass in one of the lanes before anything is changed.
            BenchError: A lane did not start.
        """
        if self._wanted == 1:
            yield from self._first.run(iter(mutants))
            return
        work = _Work(mutants)
        threads = [
            threading.Thread(target=work.taken_by, args=(lane,), name=f"lane {number}")
            for number, lane in enumerate([lambda: self._first, *[self._started] * (self._wanted - 1)])
        ]
        for thread in threads:
            thread.start()
        try:
            yield from work.results()
        finally:
            work.stop()
            for thread in threads:
                thread.join()

    def _started(self) -> Lane:
        lane = Lane(self.objects, self._case_files, self._order, find=self._find)
        with self._lock:
            self._lanes.append(lane)
        return lane


class _Work:
    """Mutants that several lanes take, and what becomes of each."""

    def __init__(self, mutants: Iterable[Mutant]) -> None:
        self._mutants = list(mutants)
        self._numbers = iter(range(len(self._mutants)))
        self._lock = threading.Lock()
        self._stopped = False
        self._done: SimpleQueue[tuple[int, Result] | BaseException] = SimpleQueue()

    def taken_by(self, start: Callable[[], Lane]) -> None:
        """Ask mutants in one lane as long as there are any."""
        taken: list[int] = []

        def own() -> Iterator[Mutant]:
            while (number := self._next()) is not None:
                taken.append(number)
                yield self._mutants[number]

        try:
            # A lane yields its results in the order in which it took the mutants.
            for at, result in enumerate(start().run(own())):
                self._done.put((taken[at], result))
        except BaseException as error:  # noqa: BLE001 - raised again where the results are taken
            self._done.put(error)

    def results(self) -> Iterator[Result]:
        """Yield the results in the order of the mutants.

        Raises:
            BaseException: What ended a lane.
        """
        waiting: dict[int, Result] = {}
        for number in range(len(self._mutants)):
            while number not in waiting:
                found = self._done.get()
                if isinstance(found, BaseException):
                    raise found
                waiting[found[0]] = found[1]
            yield waiting.pop(number)

    def stop(self) -> None:
        """Give out no more mutants."""
        self._stopped = True

    def _next(self) -> int | None:
        with self._lock:
            return None if self._stopped else next(self._numbers, None)


def check_names(objects: Objects, case_files: Sequence[CaseFile]) -> None:
    """Check that the mesh holds what the case files name.

    Raises:
        CaseFileError: It does not; holds the problems of all files.
    """
    names = names_of(load_mesh(objects.manifests, objects.settings(), inject_unknown_namespaces=True))
    problems: list[CaseProblem] = []
    for case_file in case_files:
        try:
            check_against(case_file, names)
        except CaseFileError as error:
            problems += error.problems
    if problems:
        raise CaseFileError(problems)


@contextmanager
def mutation_run(
    objects: Objects, case_files: Sequence[CaseFile], *, find: bool = False, lanes: int = 1
) -> Iterator[MutationRun]:
    """Run a mesh for mutants, and end it."""
    run = MutationRun(objects, case_files, find=find, lanes=lanes)
    try:
        yield run
    finally:
        run.close()
