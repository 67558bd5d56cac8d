"""`meshlab diff`: which requests end otherwise on a changed mesh."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import reported
from meshlab.cli._exit import Exit
from meshlab.cli._options import Addresses, AsJson, EnvFiles, HtmlReport, MeshConfigFile, Namespace
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.diff.result import Result

__all__ = ["EXIT_CODES", "diff"]

EXIT_CODES = """Exit codes, the first that applies: 130 interrupted · 2 wrong input · 4 a request could not be run, or
the bench itself failed · 1 something changed that --fail-on names · 3 a request was not judged · 0 nothing changed."""


class FailOn(StrEnum):
    """What of a comparison fails the command."""

    ANY = "any"
    ALLOWED = "allowed"
    NONE = "none"


def diff(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="Manifests before: a file, a directory, a kustomization, - for standard input, or REV:PATH. Or"
            " revisions: REV.. for the working tree, REV..REV, REV...REV.",
            show_default=False,
        ),
    ],
    new: Annotated[
        str,
        typer.Argument(
            metavar="NEW",
            help="The same now; with revisions before it, the path of both.",
            show_default=False,
        ),
    ],
    cases: Annotated[
        list[Path] | None,
        typer.Option(
            "--cases",
            metavar="PATH",
            help="Case files, or directories of them, whose requests are sent, too. May be repeated.",
            show_default=False,
        ),
    ] = None,
    env_file: EnvFiles = None,
    address: Addresses = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown for a pull request's comment.")
    ] = False,
    as_json: AsJson = False,
    html: HtmlReport = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            "--fail-on",
            help="What ends with exit code 1: any change, only requests that are now allowed, or none.",
        ),
    ] = FailOn.ANY,
    allow_not_judged: Annotated[
        bool, typer.Option("--allow-not-judged", help="End with 0 although requests were not judged.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", metavar="N", min=0, help="Requests under way at once; 0 chooses.")
    ] = 0,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show every request, and what was not asked.")
    ] = False,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Find the requests that end otherwise on NEW than on OLD: allowed, refused, answered or received otherwise.

    \b
      meshlab diff old/ new/
      meshlab diff main.. overlays/production
      meshlab diff main...my-branch overlays/production --markdown
      meshlab diff v1.2:overlays/production overlays/production --cases tests/ --fail-on allowed
      helm template . | meshlab diff main:rendered.yaml -
      meshlab diff main.. overlays/production --html changes.html

    The requests are derived from the manifests of both sides and taken from case files. They are sent through real
    Envoys, first with the one configuration, then with the other.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(as_json=as_json):
        if markdown and as_json:
            raise LabError("--markdown and --json print different documents; choose one")
        result = _compared(
            old, new, cases or [], env_file or [], address or [], namespace, mesh_config, jobs=jobs
        )
        code = _exit_code(result, fail_on, allow_not_judged=allow_not_judged)
        _print(result, code, markdown=markdown, as_json=as_json, verbose=verbose)
        if html:
            from meshlab.cli._html_report import write_diff_report

            write_diff_report(result, code, html)
    raise typer.Exit(code)


def _compared(
    old: str,
    new: str,
    cases: "Sequence[Path]",
    env_files: "Sequence[Path]",
    addresses: "Sequence[str]",
    namespace: str,
    mesh_config: Path | None,
    *,
    jobs: int,
) -> "Result":
    from meshlab.bench.case_file.collect import collect
    from meshlab.bench.case_file.read_address_options import read_address_options
    from meshlab.bench.local_bench import LocalBench
    from meshlab.bench.report.progress import Progress
    from meshlab.diff.input_sources import places, read_both
    from meshlab.diff.run import compare
    from meshlab.env_file import merge_env_files

    variables = merge_env_files(env_files)
    stated = read_address_options(addresses)
    case_files = collect(cases, variables) if cases else []
    before, after = read_both(
        *places(old, new), namespace=namespace, mesh_config=mesh_config, stdin=sys.stdin
    )
    bench = LocalBench()
    try:
        with Progress(sys.stderr, what="requests") as bar:
            return compare(
                bench,
                before,
                after,
                case_files,
                addresses=stated,
                jobs=jobs,
                began=bar.began,
                happened=bar.happened,
            )
    finally:
        bench.close()


def _exit_code(result: "Result", fail_on: FailOn, *, allow_not_judged: bool) -> Exit:
    from meshlab.diff.effect import Kind

    if result.failed:
        return Exit.BENCH
    counted = {
        FailOn.ANY: len(result.findings),
        FailOn.ALLOWED: len(result.of(Kind.NOW_ALLOWED)),
        FailOn.NONE: 0,
    }
    if counted[fail_on]:
        return Exit.FAILED
    return Exit.NOT_JUDGED if result.not_judged and not allow_not_judged else Exit.OK


def _print(result: "Result", code: Exit, *, markdown: bool, as_json: bool, verbose: bool) -> None:
    if as_json:
        from meshlab.diff.report.as_json import result_as_json

        say(result_as_json(result, code))
    elif markdown:
        from meshlab.diff.report.markdown import as_markdown

        say(as_markdown(result), nl=False)
    else:
        from meshlab.bench.report.terminal import console
        from meshlab.diff.report.terminal import print_result

        print_result(result, console(), verbose=verbose)
