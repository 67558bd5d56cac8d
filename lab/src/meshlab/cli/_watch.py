"""`meshlab test --watch`: run again whenever a file changes, and show what that changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from meshlab.bench.protocol import BenchError
from meshlab.bench.report import terminal
from meshlab.cli._errors import explain
from meshlab.cli._exit import exit_code
from meshlab.cli._html_report import write_test_report
from meshlab.cli._test import run_once, write_junit
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.bench.case import AppSpec
    from meshlab.bench.protocol import Bench, Sources
    from meshlab.bench.report.run import Run
    from meshlab.bench.session import Choice

__all__ = ["snapshot", "wait", "watch_cases"]

_POLL_S = 0.2

Snapshot = dict[Path, tuple[int, int]]


def watch_cases(
    bench: Bench,
    given: Sources,
    cases: Sequence[Path],
    choice: Choice,
    apps: Sequence[AppSpec],
    *,
    variables: Mapping[str, str],
    verbose: bool,
    junit: Path | None,
    html: Path | None = None,
    allow_not_judged: bool,
) -> NoReturn:
    """Run the cases, then again after every change, until the user interrupts.

    Args:
        bench: The bench, which keeps processes from one run to the next.
        given: The manifests.
        cases: Case files and directories.
        choice: Which cases.
        apps: Applications of the command line.
        variables: Values for `${NAME}` in case files.
        verbose: Show every case of the first run.
        junit: Where to write JUnit XML after each run.
        html: Where to write a report to look at after each run.
        allow_not_judged: As on the command line.
    """
    on = terminal.console()
    before: Run | None = None
    while True:
        # Taken before the run: what is saved during it starts another one.
        files = before.files if before else ()
        seen = snapshot(given, cases, files)
        try:
            run = run_once(bench, given, cases, choice, apps, variables)
        except (LabError, ManifestError, BenchError) as error:
            explain(str(error), listed=not isinstance(error, BenchError))
        else:
            if before is None:
                terminal.full(run, on, verbose=verbose)
            else:
                terminal.changes(before, run, on)
            before = run
            write_junit(run, junit, allow_not_judged=allow_not_judged)
            if html:
                write_test_report(
                    bench, run, exit_code(run, allow_not_judged=allow_not_judged), html, given.paths
                )
        on.print("watching for changes; Ctrl-C ends", style="dim")
        while snapshot(given, cases, files) == seen:
            wait()


def wait() -> None:
    """Wait between two looks at the files."""
    time.sleep(_POLL_S)


def snapshot(given: Sources, cases: Sequence[Path], files: Sequence[Path] = ()) -> Snapshot:
    """Return size and time of change of every file that may be read.

    Args:
        given: The manifests.
        cases: Case files and directories.
        files: Further files, such as those that a kustomization refers to outside of its directory.
    """
    named = [*(Path(path) for path in given.paths), *cases, *files]
    named += [given.mesh_config] if given.mesh_config else []
    found: Snapshot = {}
    for path in _files(named):
        try:
            state = path.stat()
        except OSError:  # it was deleted between two looks
            continue
        found[path] = (state.st_mtime_ns, state.st_size)
    return found


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        else:
            yield path
