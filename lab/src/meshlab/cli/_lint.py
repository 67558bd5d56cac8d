"""`meshlab lint`: mistakes that Istio accepts in silence."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import reported
from meshlab.cli._exit import Exit
from meshlab.cli._options import FilesIfAny, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from meshlab.lint.run import Linted

__all__ = ["EXIT_CODES", "lint"]

EXIT_CODES = """Exit codes: 0 nothing as grave as --fail-on · 1 something is · 2 wrong input."""


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class FailOn(StrEnum):
    """What fails the command."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


def lint(
    files: FilesIfAny = None,
    form: Annotated[
        Format, typer.Option("--format", help="Print text, one JSON document, or SARIF 2.1.0.")
    ] = Format.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="The least grave finding that fails the command.")
    ] = FailOn.WARNING,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules, and look at nothing.")] = False,
    verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", help="Show each object that is not read, also many for one reason."),
    ] = False,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Find mistakes in manifests that Istio accepts in silence. Nothing is started.

    \b
      meshlab lint -f manifests/
      helm template . | meshlab lint -f -
      meshlab lint -f manifests/ --format sarif > lint.sarif

    A comment suppresses a finding of its line, or of the next one where it stands alone, and has to give a reason:
    # meshlab: ignore=ML306 the gateway checks the audience
    """  # noqa: D301 - typer's mark for lines to keep
    if json:
        form = Format.JSON
    with reported(as_json=form is Format.JSON):
        if rules:
            _list_rules()
            raise typer.Exit(Exit.OK)
        if not files:
            raise LabError("name what to look at: -f PATH, or --rules for the list of rules")
        from meshlab.lint.rule import Severity

        linted = _linted(files, namespace, mesh_config)
        code = Exit.FAILED if linted.at_least(Severity(fail_on.value)) else Exit.OK
        match form:
            case Format.JSON:
                from meshlab.lint.as_json import as_json

                say(as_json(linted, code))
            case Format.SARIF:
                from importlib.metadata import version

                from meshlab.lint.sarif import as_sarif

                say(as_sarif(linted, version("meshlab")))
            case Format.TEXT:
                from meshlab.bench.report.terminal import console
                from meshlab.lint.report import print_linted

                print_linted(linted, console(), verbose=verbose)
    raise typer.Exit(code)


def _linted(files: list[str], namespace: str, mesh_config: MeshConfigFile) -> "Linted":
    from meshlab.bench.check.checked import check
    from meshlab.lint.run import lint as run
    from meshlab.lint.source_texts import texts_of

    checked = check(sources(files, namespace, mesh_config))
    return run(checked.inputs, checked.mesh, texts_of(checked.inputs))


def _list_rules() -> None:
    from meshlab.bench.report.terminal import console
    from meshlab.lint.report import print_rule
    from meshlab.lint.rules import RULES

    on = console()
    for rule in RULES:
        print_rule(rule, on)
