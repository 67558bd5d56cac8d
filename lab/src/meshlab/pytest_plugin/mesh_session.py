"""One run of a mesh for all cases of a test session, which asks for their outcomes one by one."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.bench.case_file.reader import read_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import BenchError
from meshlab.bench.session import check_names, setup_of
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.case_coverage.recorder import CoverageRecorder
    from meshlab.bench.protocol import Bench, Engine, LoadedMesh, Setup, Sources
    from meshlab.bench.verdicts.verdict import Outcome

    Key = tuple[str, str]

__all__ = ["MeshSession"]


@dataclass
class _Running:
    """A mesh that runs for all files with one setup.

    Attributes:
        setup: What the files need around their cases.
        engine: What sends cases.
        arriving: The outcomes of all chosen cases, as they come.
        expected: The cases whose outcomes are still to arrive.
    """

    setup: Setup
    engine: Engine
    arriving: Generator[Outcome]
    expected: set[Key]


class MeshSession:
    """Reads case files, starts the mesh when the first outcome is asked for, and ends it with `close`.

    Args:
        sources: The manifests.
        variables: Values for `${NAME}` in case files.
        ahead: Whether all chosen cases are sent as soon as the first one is asked for, several at a time. Without it
            each case is sent when it is asked for.
        recorder: Takes what cases that are asked for exercise; `None` to record nothing.
    """

    def __init__(
        self,
        sources: Sources,
        variables: Mapping[str, str],
        *,
        ahead: bool,
        recorder: CoverageRecorder | None = None,
    ) -> None:
        self._sources = sources
        self._variables = variables
        self._ahead = ahead
        self._recorder = recorder
        self._bench: Bench = LocalBench(condition_probes=recorder is not None)
        self._ends = ExitStack()
        self._ends.callback(self._bench.close)
        self._mesh: LoadedMesh | None = None
        self._broken = ""
        self._files: dict[str, CaseFile] = {}
        self._chosen: list[Case] = []
        self._running: list[_Running] = []
        self._outcomes: dict[Key, Outcome] = {}

    def read(self, path: Path) -> CaseFile:
        """Read a case file and check it against the mesh; nothing is started.

        Raises:
            LabError: The file is wrong, or the manifests were refused before.
            ManifestError: The manifests cannot be read.
        """
        case_file = read_case_file(path, self._variables)
        check_names(self._load(path), [case_file])
        self._files[str(path)] = case_file
        return case_file

    def choose(self, cases: Sequence[Case]) -> None:
        """Take the cases that outcomes will be asked for, in this order."""
        self._chosen = list(cases)

    def outcome_of(self, case: Case) -> Outcome:
        """Return the outcome of a case. A case that is asked for again is sent again.

        Raises:
            BenchError: The mesh did not start.
        """
        running = self._run_for(case)
        outcome = self._arrived(case, running)
        if self._recorder is not None:
            self._recorder.started(running.engine)
            self._recorder.happened(outcome)
        return outcome

    def mesh(self) -> LoadedMesh:
        """Return the mesh of the manifests; nothing is started.

        Raises:
            LabError: The manifests cannot be read.
            ManifestError: The manifests cannot be read.
        """
        if self._mesh is None:
            self._mesh = self._bench.load(self._sources)
        return self._mesh

    def _arrived(self, case: Case, running: _Running) -> Outcome:
        key = _key(case)
        if key in self._outcomes:
            return self._outcomes.pop(key)
        if self._ahead and key in running.expected:
            for outcome in running.arriving:
                arrived = _key(outcome.case)
                running.expected.discard(arrived)
                if arrived == key:
                    return outcome
                self._outcomes[arrived] = outcome
        (outcome,) = running.engine.run([case])
        return outcome

    def close(self) -> None:
        """End everything that runs."""
        self._ends.close()

    def _load(self, path: Path) -> LoadedMesh:
        if self._broken:
            raise LabError(f"{path}: the manifests cannot be read; {self._broken} says why")
        if self._mesh is None:
            try:
                self._mesh = self._bench.load(self._sources)
            except (LabError, ManifestError):
                self._broken = f"the error of {path}"
                raise
        return self._mesh

    def _run_for(self, case: Case) -> _Running:
        if self._broken or self._mesh is None:
            raise BenchError(f"the mesh did not start; {self._broken} says why")
        setup = setup_of(self._files[case.place.file])
        found = next((running for running in self._running if running.setup == setup), None)
        if found is None:
            cases = [each for each in self._chosen if setup_of(self._files[each.place.file]) == setup]
            try:
                engine = self._ends.enter_context(
                    self._mesh.start(setup, cases, jobs=0 if self._ahead else 1)
                )
            except BenchError:
                self._broken = f"the error of the case {case.name!r}"
                raise
            # Closed before the mesh ends: cases may still be under way when the session stops early.
            arriving = self._ends.enter_context(closing(_arriving(engine, cases)))
            found = _Running(setup, engine, arriving, set(map(_key, cases)))
            self._running.append(found)
        return found


def _arriving(engine: Engine, cases: Sequence[Case]) -> Generator[Outcome]:
    yield from engine.run(cases)


def _key(case: Case) -> Key:
    return case.place.file, case.name
