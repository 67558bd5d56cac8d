"""`meshlab explain`: why a request is let in or refused."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import reported
from meshlab.cli._exit import Exit
from meshlab.cli._open import open_bench
from meshlab.cli._options import Addresses, AsJson, EnvFiles, Files, MeshConfigFile, Namespace, sources
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case import CaseFile
    from meshlab.bench.local_bench import LocalMesh
    from meshlab.explain.explanation import Explanation

__all__ = ["EXIT_CODES", "explain"]

_FEW = 10
"""Each change is tried with a battery of requests, which takes seconds."""
EXIT_CODES = """Exit codes: 0 every request is explained, whether it is let in or not · 2 wrong input: manifests, case \
file or usage · 3 a verdict could not be judged · 4 a request could not be sent, or the bench itself failed."""


def explain(
    files: Files,
    cases: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CASES...]", help="Case files, or directories of them.", show_default=False),
    ] = None,
    expression: Annotated[
        str,
        typer.Option(
            "-k",
            metavar="EXPR",
            help="Explain only cases whose names hold these words, with and, or, not.",
            show_default=False,
        ),
    ] = "",
    sender: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="CALLER",
            help="In place of cases: who sends, as `from` in a case file, such as 'workload: shop/cart'.",
            show_default=False,
        ),
    ] = "",
    request: Annotated[
        str,
        typer.Option(
            "--request",
            metavar="REQUEST",
            help="What is sent, as `request` in a case file, such as 'GET http://ledger.bank/'.",
            show_default=False,
        ),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            "--token", metavar="TOKEN", help="The token, as `token` in a case file.", show_default=False
        ),
    ] = "",
    changes: Annotated[
        bool | None,
        typer.Option(
            "--changes/--no-changes",
            help=f"Look for changes that would let refused requests in. Without it, they are looked for where at most"
            f" {_FEW} requests are explained.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", help="Show every condition, and Envoy's own words for every step."),
    ] = False,
    as_json: AsJson = False,
    env_file: EnvFiles = None,
    address: Addresses = None,
    namespace: Namespace = "default",
    mesh_config: MeshConfigFile = None,
) -> None:
    """Say why requests are let in or refused: every proxy, policy, rule and condition, with file and line.

    \b
      meshlab explain -f manifests/ tests/orders.yaml -k "alice and not write"
      meshlab explain -f manifests/ --from 'workload: shop/cart' --request 'GET http://ledger.bank/entries'
      meshlab explain -f manifests/ --from 'outside: edge/public' --request 'GET https://shop.example/' \\
        --token '{issuer: "https://customers.example", claims: {sub: alice}, flaw: expired}'

    Real Envoys decide, and what is said of a rule or condition is what Envoy recorded. For a refused request, the
    smallest change is looked for that would let it in; each is tried before it is shown.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported(as_json=as_json), open_bench(condition_probes=True) as bench:
        from meshlab.bench.case_file.read_address_options import check_addresses, read_address_options
        from meshlab.bench.report.progress import Progress
        from meshlab.explain.as_json import explanations_as_text
        from meshlab.explain.run import cases_of, explain_cases

        _check_usage(cases or [], sender, request)
        loaded = bench.load(sources(files, namespace, mesh_config))
        case_files = _case_files(cases or [], sender, request, token, env_file or [], loaded)
        stated = read_address_options(address or [])
        declared = (ref for file in case_files for ref in file.workloads)
        check_addresses(stated, (*(workload.ref for workload in loaded.mesh.workloads), *declared))
        case_files = [replace(file, addresses={**file.addresses, **stated}) for file in case_files]
        found = []
        chosen = cases_of(case_files, expression)
        looked_for = len(chosen) <= _FEW if changes is None else changes
        with Progress(sys.stderr, what="requests") as bar:
            bar.began(len(chosen))
            for explanation in explain_cases(bench, loaded, case_files, chosen, with_changes=looked_for):
                found.append(explanation)
                if not as_json:
                    bar.clear()
                    _print(explanation, verbose=verbose)
                bar.step()
        code = _exit_code(found)
        if as_json:
            say(explanations_as_text(found, code))
    raise typer.Exit(code)


def _check_usage(cases: "Sequence[Path]", sender: str, request: str) -> None:
    if bool(sender) != bool(request):
        raise LabError("--from and --request belong together; give both, or name case files")
    if bool(cases) == bool(sender):
        raise LabError("name case files, or one request with --from and --request")


def _case_files(
    cases: "Sequence[Path]",
    sender: str,
    request: str,
    token: str,
    env_files: "Sequence[Path]",
    loaded: "LocalMesh",
) -> "list[CaseFile]":
    if sender:
        from meshlab.bench.case_file import format_words
        from meshlab.bench.case_file.read_question import read_question

        names = loaded.names
        asked = read_question(
            sender, request, token or format_words.NONE, workloads=names.workloads, gateways=names.gateways
        )
        return [asked]
    from meshlab.bench.case_file.collect import collect
    from meshlab.env_file import merge_env_files

    return collect(cases, merge_env_files(env_files))


def _print(explanation: "Explanation", *, verbose: bool) -> None:
    from meshlab.bench.report.terminal import console
    from meshlab.explain.printed_explanation import print_explanation

    print_explanation(explanation, console(), verbose=verbose)
    sys.stdout.flush()


def _exit_code(found: "Sequence[Explanation]") -> Exit:
    if any(each.decision is None for each in found):
        return Exit.BENCH
    return Exit.NOT_JUDGED if any(each.doubts for each in found) else Exit.OK
