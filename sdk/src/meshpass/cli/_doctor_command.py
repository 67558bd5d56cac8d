"""`meshpass doctor`: the first broken step between this machine and the service."""

from typing import Annotated

import typer
from rich.text import Text

from meshpass.cli._doctor_steps import diagnose
from meshpass.cli._exit import Exit
from meshpass.cli._options import PATH_VALUES, Given, filled_path, with_settings
from meshpass.cli._output import print_json, print_table, reported, shown_claims
from meshpass.cli._probe import Finding, Probe

_MARKS = {
    "good": ("ok", "green"),
    "broken": ("BROKEN", "bold red"),
    "skipped": ("-", "yellow"),
    "not tried": ("", "dim"),
}


@with_settings
def doctor(
    *,
    given: Given,
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH",
            help="A call that this caller may make, such as /profile/{user_id}.",
            show_default=False,
        ),
    ] = None,
    value: PATH_VALUES = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="Limit for each step, in seconds.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Check the way of a call step by step, and show the first broken step, the words of the other side, and a fix.

    Settings, token source, token, address, connection, TLS, certificate, HTTP, then one GET with the token: is it
    accepted, does a policy allow the call, is there a route, does the service answer? Without PATH the last three
    are not judged. The exit code is that of the broken step.
    """
    with reported(as_json=as_json):
        # Wrong usage is reported before any step.
        filled = filled_path("/" if path is None else path, value)
    probe = Probe(given, None if path is None else filled, timeout)
    findings = diagnose(probe)
    broken = next((finding for finding in findings if finding.state == "broken"), None)
    if as_json:
        print_json(
            {
                "ok": broken is None,
                "broken": broken.step if broken else None,
                "exit_code": broken.exit_code if broken else Exit.OK,
                "claims": probe.claims,
                "steps": [_as_json(finding) for finding in findings],
            }
        )
    else:
        _print(findings, probe, broken)
    raise typer.Exit(broken.exit_code if broken else Exit.OK)


def _print(findings: list[Finding], probe: Probe, broken: Finding | None) -> None:
    print_table(
        ("step", "", "finding"),
        [
            (finding.step, Text(*_MARKS[finding.state]), finding.says.partition("\n")[0])
            for finding in findings
        ],
    )
    if probe.claims:
        typer.echo()
        print_table(("claim", "value"), shown_claims(probe.claims))
    typer.echo()
    if broken is None:
        typer.echo("Nothing is broken.")
        return
    typer.echo(f"First broken step: {broken.step}. {broken.says}")
    if broken.words:
        typer.echo(f"  words:  {broken.words}")
    if broken.fix:
        typer.echo(f"  to do:  {broken.fix}")


def _as_json(finding: Finding) -> dict[str, object]:
    fields: dict[str, object] = {"step": finding.step, "state": finding.state, "says": finding.says}
    if finding.state == "broken":
        fields |= {"words": finding.words, "fix": finding.fix}
    return fields
