"""`meshlab reach`: who can reach what."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import explain, reported
from meshlab.cli._exit import exit_code
from meshlab.cli._open import open_bench
from meshlab.cli._options import Addresses, AsJson, Files, HtmlReport, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.battery.battery import Battery
    from meshlab.bench.report.run import Run
    from meshlab.reach.outcome import Answer

__all__ = ["EXIT_CODES", "reach"]

EXIT_CODES = """Exit codes, the first that applies: 130 interrupted · 2 wrong input: manifests or usage ·
4 a request could not be run, or the bench itself failed · 3 a request was not judged · 0 all were judged, whatever the
verdicts are."""


def reach(
    files: Files,
    to: Annotated[
        str,
        typer.Option(
            metavar="NS/NAME", help="Only requests for this workload, or this host.", show_default=False
        ),
    ] = "",
    sender: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="WHO",
            help="Only requests of the workload NS/NAME, of clients outside, or of outside:NS/GATEWAY.",
            show_default=False,
        ),
    ] = "",
    address: Addresses = None,
    as_json: AsJson = False,
    html: HtmlReport = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the requests as a case file, with today's verdicts.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show every caller and every request of a group.")
    ] = False,
    allow_not_judged: Annotated[
        bool,
        typer.Option(
            "--allow-not-judged", help="Do not fail for requests that are not judged; they are shown."
        ),
    ] = False,
    jobs: Annotated[
        int, typer.Option("-j", "--jobs", metavar="N", min=0, help="Requests under way at once; 0 chooses.")
    ] = 0,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Show who can reach what: requests with every word of the manifests, sent through real Envoys.

    \b
      meshlab reach -f manifests/
      meshlab reach -f manifests/ --to shop/cart
      meshlab reach -f manifests/ --from outside --json
      meshlab reach -f manifests/ --address shop/cart=10.8.1.7
      meshlab reach -f manifests/ --html reach.html

    The requests name each identity, token, host, path, method, header and certificate of the manifests, values that
    almost match, and strangers. Requests that no condition distinguishes are sent once.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(as_json=as_json), open_bench(condition_probes=html is not None) as bench:
        from meshlab.battery.derive import derive
        from meshlab.bench.case_file.read_address_options import check_addresses, read_address_options
        from meshlab.bench.report.progress import Progress
        from meshlab.reach.as_json import reach_as_json
        from meshlab.reach.matrix import matrices
        from meshlab.reach.run import ask
        from meshlab.reach.selection import selected

        addresses = read_address_options(address or [])
        mesh = bench.load(sources(files, namespace, mesh_config))
        battery = derive([mesh.mesh], addresses=addresses)
        known = (workload.ref for workload in mesh.mesh.workloads)
        check_addresses(addresses, (*known, *battery.setup.workloads))
        if not battery.questions:
            raise LabError(f"{', '.join(files)}: there is no gateway and no workload to ask for")
        battery = selected(battery, to=to, sender=sender)
        with Progress(sys.stderr, what="requests") as bar:
            run, answers = ask(mesh, battery, jobs=jobs, began=bar.began, happened=bar.happened)
        code = exit_code(run, allow_not_judged=allow_not_judged)
        if cases is not None:
            _write_cases(cases, battery, run, answers)
        found = matrices(answers)
        document = reach_as_json(
            found, code, not_covered=battery.not_covered, refusals=run.refusals, notes=run.notes
        )
        if as_json:
            say(document)
        else:
            from meshlab.bench.report.terminal import console
            from meshlab.reach.report import print_reach

            print_reach(found, console(), not_covered=battery.not_covered, verbose=verbose)
        if html:
            from meshlab.cli._html_report import write_reach_report

            write_reach_report(bench, document, run, code, html, files)
    raise typer.Exit(code)


def _write_cases(file: Path, battery: "Battery", run: "Run", answers: "Sequence[Answer]") -> None:
    from meshlab.reach.battery_file import cases_text

    try:
        file.write_text(cases_text(battery, run.outcomes, answers), encoding="utf-8")
    except OSError as error:
        raise LabError(f"{file}: cannot be written: {error.strerror}") from None
    explain(f"wrote the cases to {file}")
