"""`meshlab support`: what of Istio and Kubernetes is read, passed over and refused."""

from typing import TYPE_CHECKING, Annotated

import typer

from meshlab.cli._errors import explain, reported
from meshlab.cli._output import say
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.read_fields import CoverageRow

__all__ = ["coverage", "support"]


def support(
    kind: Annotated[
        str, typer.Argument(metavar="[KIND]", help="Show the fields of one kind, such as VirtualService.")
    ] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
) -> None:
    """Print which kinds and fields are read, which are passed over, and which are refused, with the reasons.

    \b
      meshlab support
      meshlab support DestinationRule

    What is refused makes the proxies that it can touch untrusted: cases that cross them are not judged. A field that
    is not listed is refused, too.
    """  # noqa: D301 - typer's mark for lines to keep
    with reported():
        from meshlab.bench.read_fields import coverage_rows, markdown_table

        rows = coverage_rows()
        if kind:
            chosen = [row for row in rows if row.kind.partition(" ")[0].lower() == kind.lower()]
            if not chosen:
                raise LabError(f"{kind} is not in the table; `meshlab support` shows all of it")
            rows = chosen
        say(markdown_table(rows) if markdown else _plain(rows), nl=False)


def coverage(
    kind: Annotated[str, typer.Argument(metavar="[KIND]")] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
) -> None:
    """Print what `meshlab support` prints, under its old name."""
    explain(
        "`meshlab coverage` is called `meshlab support` now, and the old name will go;"
        " what cases exercise is `meshlab test --coverage`"
    )
    support(kind, markdown=markdown)


def _plain(rows: "list[CoverageRow]") -> str:
    import textwrap

    from meshlab.bench.report import terminal

    width = terminal.console().width
    lines: list[str] = []
    for indent, text in _entries(rows):
        room = "  " * indent
        lines.append(textwrap.fill(text, width, initial_indent=room, subsequent_indent=room + "    "))
    return "\n".join(lines).lstrip("\n") + "\n"


def _entries(rows: "list[CoverageRow]") -> "Iterator[tuple[int, str]]":
    from meshlab.bench.read_fields import grouped

    kinds = [row for row in rows if not row.field]
    for disposition in dict.fromkeys(row.disposition for row in kinds):
        yield 0, ""
        yield 0, f"Kinds that are {disposition}:"
        for row in kinds:
            if row.disposition == disposition:
                yield 1, f"{row.kind}: {row.reason}" if row.reason else row.kind
    for kind in dict.fromkeys(row.kind for row in rows if row.field):
        yield 0, ""
        yield 0, f"{kind}:"
        for (place, disposition, reason), names in grouped(rows, kind).items():
            because = f" ({reason.rstrip('.')})" if reason else ""
            yield 1, f"{place or '.'}: {disposition}: {', '.join(names)}{because}"
