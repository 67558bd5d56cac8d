"""`meshlab mutate`: conditions of the manifests that could be lost without a case that fails."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import explain, reported
from meshlab.cli._exit import Exit
from meshlab.cli._options import AsJson, EnvFiles, Files, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.mutate.changed_objects import Objects
    from meshlab.mutate.chosen_mutants import Chosen, Wanted
    from meshlab.mutate.mutated import Mutated
    from meshlab.mutate.processes import MutationProcesses
    from meshlab.mutate.progress import MutationProgress
    from meshlab.mutate.results import Result
    from meshlab.mutate.run import CasesFailError, MutationRun

__all__ = ["EXIT_CODES", "mutate"]

EXIT_CODES = """Exit codes: 0 no mutant survived · 1 a mutant survived, or a case fails before anything is changed ·
2 wrong input · 3 a case is not judged before anything is changed · 4 the bench failed."""


def mutate(
    cases: Annotated[
        list[Path],
        typer.Argument(metavar="CASES...", help="Case files, or directories of them.", show_default=False),
    ],
    files: Files,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", metavar="KIND", help="Only objects of this kind. May be repeated.", show_default=False
        ),
    ] = None,
    expression: Annotated[
        str,
        typer.Option(
            "-k",
            metavar="EXPR",
            help="Only mutants whose object, field, change or file holds these words, with and, or, not.",
            show_default=False,
        ),
    ] = "",
    every: Annotated[
        bool,
        typer.Option(
            "--all/--weaker-only",
            help="Also ask mutants that can only refuse more, or break what works. Without it, only those that may let"
            " in what is refused today, or leave out a protection.",
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="Ask a sample of N mutants; 0 asks all of them.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="What a sample is drawn with.")] = 14,
    cases_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the missing cases into a case file; those that need other servers into FILE-2 and so on.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Also show what was caught, and by which case.")
    ] = False,
    as_json: AsJson = False,
    env_file: EnvFiles = None,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Remove or widen one condition of the manifests at a time, and list what no case notices.

    \b
      meshlab mutate -f manifests/ tests/
      meshlab mutate -f manifests/ tests/ --kind AuthorizationPolicy -k "orders and paths"
      meshlab mutate -f manifests/ tests/ --cases-out tests/missing-cases.yaml

    Each mutant that survives is shown with a case that passes today and fails on the mutant, ready to paste. All cases
    must pass before anything is changed. The proxies take each change as they run.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(as_json=as_json):
        from meshlab.bench.case_file.collect import collect
        from meshlab.env_file import merge_env_files
        from meshlab.mutate.changed_objects import read_objects
        from meshlab.mutate.chosen_mutants import Wanted
        from meshlab.mutate.run import CasesFailError

        wanted = Wanted(tuple(kinds or ()), expression, every, limit, seed)
        objects = read_objects(sources(files, namespace, mesh_config))
        case_files = collect(cases, merge_env_files(env_file or []))
        try:
            mutated = _run(objects, case_files, wanted)
        except CasesFailError as error:
            raise typer.Exit(_refused(error, as_json=as_json)) from None
        code = Exit.FAILED if mutated.having("survived") else Exit.OK
        if cases_out:
            _write(mutated, cases_out)
        _show(mutated, code, as_json=as_json, verbose=verbose)
    raise typer.Exit(code)


def _show(mutated: "Mutated", code: Exit, *, as_json: bool, verbose: bool) -> None:
    if as_json:
        from meshlab.mutate.as_json import as_json as text_of

        say(text_of(mutated, code))
    else:
        from meshlab.bench.report.terminal import console
        from meshlab.mutate.report import print_mutated

        print_mutated(mutated, console(), verbose=verbose)


def _refused(error: "CasesFailError", *, as_json: bool) -> Exit:
    """Say that cases do not pass before anything is changed; return the exit code that `meshlab test` has for them."""
    states = {outcome.state for outcome in error.outcomes}
    code = Exit.BENCH if "error" in states else Exit.FAILED if "failed" in states else Exit.NOT_JUDGED
    if as_json:
        from meshlab.bench.report.json_report import error_as_json

        say(error_as_json(str(error), code))
    else:
        explain(str(error))
    return code


def _run(objects: "Objects", case_files: "Sequence[CaseFile]", wanted: "Wanted") -> "Mutated":
    from meshlab.mutate.chosen_mutants import choose
    from meshlab.mutate.process_count import processes_here
    from meshlab.mutate.processes import mutation_processes
    from meshlab.mutate.progress import MutationProgress
    from meshlab.mutate.run import check_names, mutation_run

    chosen = choose(objects.mutants(), wanted)
    check_names(objects, case_files)
    cases = sum(len(file.cases) for file in case_files)
    processes = processes_here(objects, len(chosen.mutants), cases)
    with MutationProgress(sys.stderr) as bar:
        bar.starting(cases)
        if processes > 1:
            with mutation_processes(
                objects, case_files, chosen.mutants, find=True, processes=processes
            ) as several:
                return _asked(bar, chosen, several, several.results())
        with mutation_run(objects, case_files, find=True) as run:
            return _asked(bar, chosen, run, run.run(chosen.mutants))


def _asked(
    bar: "MutationProgress",
    chosen: "Chosen",
    run: "MutationRun | MutationProcesses",
    asked: "Iterable[Result]",
) -> "Mutated":
    from meshlab.mutate.mutated import Mutated

    began = time.monotonic()
    bar.began(len(chosen.mutants))
    results = []
    for result in asked:
        bar.happened(result)
        results.append(result)
    return Mutated(results, chosen, run.cases, time.monotonic() - began, run.not_covered)


def _write(mutated: "Mutated", file: Path) -> None:
    from meshlab.mutate.cases_out import missing_cases

    texts = missing_cases(mutated)
    if not texts:
        explain(f"no case is missing, so {file} is not written")
    for number, text in enumerate(texts, start=1):
        part = file if number == 1 else file.with_stem(f"{file.stem}-{number}")
        try:
            part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LabError(f"{part}: the cases cannot be written: {error.strerror}") from None
        explain(f"wrote the missing cases to {part}")
