"""One running mesh that takes mutants one after the other, and the cases that are sent to each.

Nothing is restarted but what a change makes restart. The cases that caught a like change of another object come first,
so most mutants meet few cases. A mutant that leaves the configuration of every Envoy as it was meets none.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from meshlab.bench.case_file import CaseFileError, CaseProblem, check_against
from meshlab.bench.local_bench import names_of
from meshlab.bench.protocol import BenchError, Setup
from meshlab.errors import LabError
from meshlab.istio import load_mesh
from meshlab.manifest import ManifestError
from meshlab.mutate.finder import Finder
from meshlab.mutate.group import Group
from meshlab.mutate.order import Order
from meshlab.mutate.results import Result
from meshlab.processes.supervisor import NoInotifyInstanceError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.group import ChangedMesh
    from meshlab.mutate.mutants import Mutant

__all__ = ["CasesFailError", "MutationRun", "check_names", "mutation_run"]

_MOST_SHOWN = 20


class CasesFailError(LabError):
    """Cases fail before anything is changed.

    Attributes:
        outcomes: What became of them.
    """

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = tuple(outcomes)
        shown = [f"{one.case.place}: {one.case.name}: {one.state}" for one in outcomes[:_MOST_SHOWN]]
        more = [f"and {len(outcomes) - _MOST_SHOWN} more"] if len(outcomes) > _MOST_SHOWN else []
        what = "these cases do not pass before anything is changed; see why with meshlab test, and mend them first"
        super().__init__("\n".join([*shown, *more, what]))

    def __reduce__(self) -> tuple[type[CasesFailError], tuple[tuple[Outcome, ...]]]:
        return type(self), (self.outcomes,)  # pickled with its outcomes, not with the message made of them


@dataclass(frozen=True)
class _Meshes:
    """The meshes of a mutant, compiled for what runs.

    Attributes:
        objects: The changed objects.
        compiled: The meshes of the first groups, up to the first one that the mutant changes. The others are compiled
            when they are needed: most mutants are caught by a case of the first group, which is the largest.
        start: How often everything had started anew by then.
    """

    objects: Objects
    compiled: Sequence[ChangedMesh]
    start: int


class MutationRun:
    """A running mesh whose objects are changed one at a time. `close` ends it.

    Attributes:
        objects: The mesh without a change.
        order: What caught mutants so far.
        failed_once: The cases that failed before anything was changed, and passed when they were sent again.

    Args:
        objects: The mesh without a change.
        case_files: The cases. Those with other workloads or servers around them run apart.
        find: Whether to look for the request that shows what no case caught.

    Raises:
        CasesFailError: A case does not pass before anything is changed.
        BenchError: Something did not start.
    """

    def __init__(self, objects: Objects, case_files: Sequence[CaseFile], *, find: bool = False) -> None:
        self.objects = objects
        self.failed_once: tuple[str, ...] = ()
        self.order = Order()
        self._groups: list[Group] = []
        self._finder: Finder | None = None
        self._starts = 0
        self._known: dict[tuple[str, ...], Result] = {}
        try:
            for setup, cases in _by_setup(case_files):
                self._groups.append(Group(objects, setup, cases))
            self._check_cases()
            if find and self._groups:
                self._finder = Finder(objects, self._groups[0])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything."""
        for group in self._groups:
            group.close()
        if self._finder:
            self._finder.close()

    @property
    def not_covered(self) -> list[str]:
        """What the battery of requests does not ask, one sentence each."""
        return list(self._finder.not_covered) if self._finder else []

    @property
    def cases(self) -> int:
        """How many cases there are."""
        return sum(len(group.cases) for group in self._groups)

    def mutants(self) -> list[Mutant]:
        """Return the mutants of all objects."""
        return list(self.objects.mutants())

    def run(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        """Yield what becomes of each mutant. The next one is compiled while the proxies take this one."""
        waiting = iter(mutants)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="mutant") as compiler:
            following = self._begun(compiler, waiting)
            while following is not None:
                mutant, meshes = following
                following = self._begun(compiler, waiting)
                yield self._result(mutant, meshes)

    def failures(self) -> list[Outcome]:
        """Send every case through the mesh without a change, and return what does not pass."""
        return [
            outcome
            for group in self._groups
            for outcome in group.unchanged(group.cases)
            if outcome.state != "passed"
        ]

    def _check_cases(self) -> None:
        if failed := self.failures():
            # Once in many runs, on a machine with much else to do, one of 1,500 requests ended otherwise. What is wrong
            # with the mesh is so the second time as well; what was not is kept, for the next one to be explained.
            self.failed_once = tuple(f"{outcome.case.name}: {outcome.state}" for outcome in failed)
            failed = self.failures()
        if failed:
            raise CasesFailError(failed)

    def _begun(
        self, compiler: ThreadPoolExecutor, waiting: Iterator[Mutant]
    ) -> tuple[Mutant, Future[_Meshes]] | None:
        mutant = next(waiting, None)
        return None if mutant is None else (mutant, compiler.submit(self._meshes, mutant))

    def _meshes(self, mutant: Mutant) -> _Meshes:
        start, objects = self._starts, self.objects.changed(mutant)
        compiled: list[ChangedMesh] = []
        for group in self._groups:
            compiled.append(group.changed(objects, mutant))
            if not compiled[-1].same:
                break
        return _Meshes(objects, compiled, start)

    def _result(self, mutant: Mutant, compiled: Future[_Meshes]) -> Result:
        try:
            meshes = compiled.result()
            if meshes.start != self._starts:
                meshes = self._meshes(mutant)  # for what runs since the proxies started anew
            return replace(self._asked(mutant, meshes), mutant=mutant)
        except (LabError, ManifestError) as error:
            return Result(mutant, "not judged", reason=str(error))
        except BenchError as error:
            if isinstance(error.__cause__, NoInotifyInstanceError):
                raise  # that says nothing about the mutant
            self._start_anew()
            return Result(mutant, "caught", f"the run itself: {error}")

    def _start_anew(self) -> None:
        self._starts += 1
        for group in self._groups:
            group.restart()
        self.failures()

    def _asked(self, mutant: Mutant, meshes: _Meshes) -> Result:
        """Return what the cases say, group by group until one decides; equal configurations are asked once."""
        digests: tuple[str, ...] = ()
        met = False
        for group, compiled in zip_longest(self._groups, meshes.compiled):
            changed = compiled or group.changed(meshes.objects, mutant)
            if changed.refused:
                return Result(mutant, "not judged", reason=changed.refused)
            digests = (*digests, changed.digest)
            if (known := self._known.get(digests)) is not None:
                return known
            met = met or not changed.same
            if not changed.same and (result := self._of_group(mutant, group, changed)):
                return self._known.setdefault(digests, result)
        undecided = Result(mutant, "survived" if met else "same configuration")
        return self._known.setdefault(digests, self._shown(undecided, meshes.objects))

    def _of_group(self, mutant: Mutant, group: Group, changed: ChangedMesh) -> Result | None:
        """Return what the cases of a group say about a mutant; `None` where all pass."""
        if missing := group.unknown_servers(changed):
            return Result(mutant, "caught", f"the case file: the mesh does not know {missing}")
        meeting = group.meeting(changed, mutant, group.cases)
        if not meeting and self._finder is not None:
            return None  # no proxy has to take it here; those that the battery is sent to will
        cases = self.order.of(mutant, meeting, partial(_keeps_out, group, changed))
        if refused := group.take(changed):
            return Result(mutant, "not judged", reason=refused)
        outcome = _first_failure(group, cases)
        if outcome is None:
            return None
        if outcome.state == "not judged":
            return Result(mutant, "not judged", reason="; ".join(outcome.reasons))
        self.order.caught(mutant, outcome.case.name)
        return Result(mutant, "caught", outcome.case.name)

    def _shown(self, result: Result, objects: Objects) -> Result:
        """Return the result of a survivor with the request that shows it; equivalent where there is none."""
        if result.state != "survived" or self._finder is None:
            return result
        try:
            found = self._finder.find(
                result.mutant, objects, lambda cases: self.order.of(result.mutant, cases)
            )
        except BenchError as error:
            if isinstance(error.__cause__, NoInotifyInstanceError):
                raise
            self._finder.close()
            why = f"no request was found that shows it, because the bench failed: {error}"
            return replace(result, reason=why)
        if found.refused:
            return replace(result, state="not judged", reason=found.refused)
        if not found.differs and result.mutant.made.unseen:
            return replace(result, state="not judged", reason=result.mutant.made.unseen)
        if not found.differs:
            return replace(result, state="equivalent" if found.judged else "not judged", reason=found.reason)
        return replace(result, missing=found.missing, reason=found.reason, effect=found.effect)


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
    objects: Objects, case_files: Sequence[CaseFile], *, find: bool = False
) -> Iterator[MutationRun]:
    """Run a mesh for mutants, and end it."""
    run = MutationRun(objects, case_files, find=find)
    try:
        yield run
    finally:
        run.close()


def _keeps_out(group: Group, changed: ChangedMesh, case: Case) -> bool:
    """Return whether a proxy that a change reconfigures refuses a case without the change."""
    return group.refused_by(case) in changed.proxies


def _first_failure(group: Group, cases: Sequence[Case]) -> Outcome | None:
    """Send cases until one fails; `None` where all pass. One that is not judged counts where none fails."""
    doubtful = None
    for outcome in chain.from_iterable(group.send(cases)):
        if outcome.state == "not judged":
            doubtful = doubtful or outcome
        elif outcome.state != "passed":
            return outcome
    return doubtful


def _by_setup(files: Sequence[CaseFile]) -> list[tuple[Setup, list[Case]]]:
    """Return the cases that run in one mesh, by its setup; the largest first, which catches most."""
    found: list[tuple[Setup, list[Case]]] = []
    for file in files:
        setup = Setup(file.workloads, file.apps, file.authorizers, file.authorities, file.addresses)
        cases = next((cases for known, cases in found if known == setup), None)
        if cases is None:
            found.append((setup, cases := []))
        cases += file.cases
    return sorted(found, key=lambda group: -len(group[1]))
