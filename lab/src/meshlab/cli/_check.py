"""`meshlab check`: what of manifests is read, before anything starts."""

from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import reported
from meshlab.cli._exit import Exit
from meshlab.cli._options import AsJson, Files, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EXIT_CODES", "check"]

EXIT_CODES = """Exit codes: 0 everything is read · 2 something is refused, or wrong input; with --strict also where
there are notes."""


def check(
    files: Files,
    each: Annotated[
        bool,
        typer.Option("--each", help="Take every file for an input of its own; print a table and totals."),
    ] = False,
    each_directory: Annotated[
        bool, typer.Option("--each-directory", help="The same with the files of every directory.")
    ] = False,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Names of files to leave out with --each, such as '*-invalid.yaml'. May be repeated.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let notes fail the check, too.")] = False,
    as_json: AsJson = False,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Read manifests without starting anything, and show what is refused and which traffic is therefore not judged.

    \b
      meshlab check -f manifests/
      helm template . | meshlab check -f -
      meshlab check --each -f corpus/

    Objects without any of Istio's or the Gateway API's beside them are left out of --each.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(as_json=as_json):
        if each or each_directory:
            if mesh_config or "-" in files or (each and each_directory):
                raise LabError(
                    "--each takes files and directories, without --mesh-config, - or --each-directory"
                )
            code = _each(
                files, leave_out or (), namespace, as_json=as_json, strict=strict, directories=each_directory
            )
        else:
            from meshlab.bench.check.checked import check as checked_of

            checked = checked_of(sources(files, namespace, mesh_config))
            code = Exit.INPUT if checked.refusals or (strict and checked.notes) else Exit.OK
            if as_json:
                from meshlab.bench.check.as_json import checked_as_json

                say(checked_as_json(checked, code))
            else:
                from meshlab.bench.check.report import print_checked
                from meshlab.bench.report.terminal import console

                print_checked(checked, console())
    raise typer.Exit(code)


def _each(
    files: "Sequence[str]",
    left_out: "Sequence[str]",
    namespace: str,
    *,
    as_json: bool,
    strict: bool,
    directories: bool,
) -> Exit:
    from meshlab.bench.check.each import check_each, directories_of, files_of, totals

    inputs = directories_of(files, left_out) if directories else files_of(files, left_out)
    checked = list(check_each(inputs, namespace))
    counted = totals(checked)
    is_broken = any(found.state == "refused" or (strict and found.notes) for found in checked)
    code = Exit.INPUT if is_broken else Exit.OK
    if as_json:
        from meshlab.bench.check.as_json import each_as_json

        say(each_as_json(checked, counted, code))
    else:
        from meshlab.bench.check.report import print_each
        from meshlab.bench.report.terminal import console

        print_each(checked, counted, console(), "directory" if directories else "file")
    return code
