"""`meshlab coverage`: what of Istio and Kubernetes is read, passed over and refused."""

from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import reported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.coverage import CoverageRow

__all__ = ["coverage"]


def coverage(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Print which kinds and fields are read, which are passed over, and which are refused, with the reasons.

    What is refused makes the proxies that it can touch untrusted: cases that cross them are not judged.
    """
    with reported():
        from meshlab.bench.coverage import coverage_rows

        rows = coverage_rows()
        typer.echo(_markdown(rows) if markdown else _plain(rows), nl=False)


def _markdown(rows: "Sequence[CoverageRow]") -> str:
    lines = ["| kind | field | disposition | reason |", "|---|---|---|---|"]
    lines += [
        f"| {_cell(row.kind)} | {_cell(row.field)} | {row.disposition} | {_cell(row.reason)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(rows: "Sequence[CoverageRow]") -> str:
    import textwrap
    from io import StringIO

    from meshlab.bench.report import terminal

    out = StringIO()
    width = terminal.console().width
    for disposition in dict.fromkeys(row.disposition for row in rows):
        out.write(f"{disposition}:\n")
        for row in rows:
            if row.disposition == disposition:
                name = f"{row.kind} {row.field}".strip()
                text = f"{name}: {row.reason}" if row.reason else name
                out.write(textwrap.fill(text, width, initial_indent="  ", subsequent_indent="      ") + "\n")
        out.write("\n")
    return out.getvalue()
