"""`meshlab test`: run case files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import reported
from meshlab.cli._exit import Exit, exit_code
from meshlab.cli._open import open_bench
from meshlab.cli._options import AsJson, EnvFiles, Files, HtmlReport, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.bench.case import AppSpec
    from meshlab.bench.protocol import Bench, Sources
    from meshlab.bench.report.run import Run
    from meshlab.bench.session import Choice

__all__ = ["run_once", "run_tests", "write_junit"]


_MOST_OF_A_COMMAND = 2000


def run_tests(
    cases: Annotated[
        list[Path],
        typer.Argument(metavar="CASES...", help="Case files, or directories of them.", show_default=False),
    ],
    files: Files,
    expression: Annotated[
        str,
        typer.Option(
            "-k",
            metavar="EXPR",
            help="Run only cases whose names hold these words, with and, or, not.",
            show_default=False,
        ),
    ] = "",
    stop: Annotated[
        bool, typer.Option("-x", "--exitfirst", help="Stop after the first case that fails.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", metavar="N", min=0, help="Cases under way at once; 0 chooses.")
    ] = 0,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show every case, every matrix, notes and refusals.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write JUnit XML.", show_default=False)
    ] = None,
    html: HtmlReport = None,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run again after every change, and show what it changed.")
    ] = False,
    allow_not_judged: Annotated[
        bool,
        typer.Option(
            "--allow-not-judged",
            help="Let cases pass by that cross a proxy with settings the compiler does not know. Cases that could not"
            " be run still fail the run.",
        ),
    ] = False,
    app: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NS/NAME=COMMAND",
            help="A program of yours in place of an application; it gets its port in PORT. May be repeated.",
            show_default=False,
        ),
    ] = None,
    env_file: EnvFiles = None,
    with_coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="Also show which rules, conditions, routes and servers no case exercised."
        ),
    ] = False,
    coverage_min: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT",
            min=0,
            max=100,
            help="Fail where the cases exercise less; implies --coverage.",
            show_default=False,
        ),
    ] = None,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Send the requests of case files through real Envoys, and compare what happens with what is expected.

    \b
      meshlab test -f manifests/ tests/
      meshlab test -f base/ -f overlay/ tests/orders.yaml -k "alice and not write"
      kubectl get vs,gw,ap,ra,pa,dr,se,svc,deploy -A -o yaml | meshlab test -f - tests/ --junit out.xml
      meshlab test -f manifests/ tests/ --html report.html
      meshlab test -f manifests/ tests/ --app orders/orders='python app.py'
      meshlab test -f manifests/ tests/ --coverage-min 90

    A case is not judged when its request crosses a proxy with settings that the compiler does not know; that fails
    the run unless it is allowed.

    The environment variable MESHLAB_ENVOY names the path of another Envoy than the installed one.
    """  # noqa: D301 - typer's mark for lines to keep
    counted = with_coverage or coverage_min is not None
    probes = counted or html is not None
    with reported(as_json=as_json), open_bench(condition_probes=probes) as bench:
        from meshlab.bench.session import Choice
        from meshlab.env_file import merge_env_files

        if watch and as_json:
            raise LabError("--watch shows changes to a person; use it without --json")
        if watch and counted:
            raise LabError("--watch shows what a change does to the cases; use it without --coverage")
        given = sources(files, namespace, mesh_config)
        choice = Choice(expression, stop, jobs)
        apps = _apps(app or [])
        variables = merge_env_files(env_file or [])
        if watch:
            from meshlab.cli._watch import watch_cases

            _refuse_streams([*files, *cases, *(env_file or []), *([mesh_config] if mesh_config else [])])
            watch_cases(
                bench,
                given,
                cases,
                choice,
                apps,
                variables=variables,
                verbose=verbose,
                junit=junit,
                html=html,
                allow_not_judged=allow_not_judged,
            )
        run = run_once(bench, given, cases, choice, apps, variables, with_coverage=counted)
        code = exit_code(run, allow_not_judged=allow_not_judged, coverage_min=coverage_min)
        _write(run, code, verbose=verbose, junit=junit, as_json=as_json, allow_not_judged=allow_not_judged)
        if run.having("failed") and not as_json:
            _point_to_explain(given, cases, env_file or [])
        if html:
            from meshlab.cli._html_report import write_test_report

            write_test_report(bench, run, code, html, files)
    raise typer.Exit(code)


def run_once(
    bench: "Bench",
    given: "Sources",
    cases: "Sequence[Path]",
    choice: "Choice",
    apps: "Sequence[AppSpec]",
    variables: "Mapping[str, str]",
    *,
    with_coverage: bool = False,
) -> "Run":
    """Read everything and run the cases once; the coverage needs a bench with probes of conditions."""
    from meshlab.bench.case_file.collect import collect
    from meshlab.bench.report.progress import Progress
    from meshlab.bench.session import run_cases, with_apps

    case_files = [with_apps(case_file, apps) for case_file in collect(cases, variables)]
    mesh = bench.load(given)
    with Progress(sys.stderr) as bar:
        if with_coverage:
            from meshlab.bench.case_coverage.run import run_with_coverage

            return run_with_coverage(mesh, case_files, choice, began=bar.began, happened=bar.happened)
        return run_cases(mesh, case_files, choice, began=bar.began, happened=bar.happened)


def write_junit(run: "Run", junit: Path | None, *, allow_not_judged: bool) -> None:
    """Write the JUnit file, where one is asked for."""
    if junit is None:
        return
    from meshlab.bench.report.junit import run_as_junit

    try:
        junit.write_text(run_as_junit(run, allow_not_judged=allow_not_judged), encoding="utf-8")
    except OSError as error:
        raise LabError(f"{junit}: the JUnit file cannot be written: {error.strerror}") from None


def _write(
    run: "Run", code: Exit, *, verbose: bool, junit: Path | None, as_json: bool, allow_not_judged: bool
) -> None:
    if as_json:
        from meshlab.bench.report.json_report import run_as_json

        say(run_as_json(run, code))
    else:
        from meshlab.bench.report import terminal

        on = terminal.console()
        terminal.full(run, on, verbose=verbose)
        if run.coverage:
            from meshlab.bench.case_coverage.report import print_coverage

            print_coverage(run.coverage, on)
    write_junit(run, junit, allow_not_judged=allow_not_judged)


def _point_to_explain(given: "Sources", cases: "Sequence[Path]", env_files: "Sequence[Path]") -> None:
    """Name the command that says why a case failed."""
    import shlex

    from meshlab.bench.report.outcome_texts import printable

    words = [word for path in given.paths for word in ("-f", path)]
    words += map(str, cases)
    words += [word for file in env_files for word in ("--env-file", str(file))]
    words += ["--mesh-config", str(given.mesh_config)] if given.mesh_config else []
    words += ["--namespace", given.namespace] if given.namespace != "default" else []
    say(f"why: meshlab explain {printable(shlex.join(words), _MOST_OF_A_COMMAND)} -k 'words of its name'")


def _refuse_streams(names: "Sequence[str | Path]") -> None:
    """Refuse to watch what can be read only once."""
    from meshlab.named_files import is_stream

    for name in names:
        if name == "-":
            raise LabError("--watch cannot watch standard input; name files in place of -")
        if is_stream(Path(name)):
            raise LabError(f"{name}: --watch cannot watch a pipe; name a file")


def _apps(written: "Sequence[str]") -> "list[AppSpec]":
    import re
    import shlex

    from meshlab.bench.case import AppSpec
    from meshlab.bench.case_file import format_words

    found = []
    for text in written:
        target, equals, command = text.partition("=")
        if not equals or not re.search(format_words.APP, target):
            raise LabError(f"--app {text!r}: write NAMESPACE/NAME='COMMAND'")
        try:
            parts = shlex.split(command)
        except ValueError as error:
            raise LabError(f"--app {text!r}: the command cannot be split into words: {error}") from None
        if not parts:
            raise LabError(f"--app {text!r}: the command is empty; write a program")
        found.append(AppSpec(target, command=tuple(parts)))
    return found
