"""A report as one HTML document, which loads nothing and runs no script but its own.

The Content-Security-Policy allows one style sheet and one script, by their hashes. Texts of manifests and responses
stand in the document escaped, or as JSON in a `<script>` element of a type that no browser runs.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from meshlab.html_report.data import data_of
from meshlab.html_report.drawing.description import KINDS, sentences
from meshlab.html_report.drawing.narrow import narrow
from meshlab.html_report.drawing.svg import as_svg
from meshlab.html_report.drawing.wide import wide
from meshlab.html_report.markup import Attributes, Markup, element, joined
from meshlab.html_report.report import TONES, Block, Cell, Entry, Fact
from meshlab.html_report.tables import plain_section, section
from meshlab.html_report.texts import embedded_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.html_report.drawing.graph import Graph, Node
    from meshlab.html_report.report import Report

__all__ = ["document"]

_LEGEND = (
    ("passed", "requests passed"),
    ("failed", "every request was refused there"),
    ("route", "a route leads there, and no request was sent"),
    ("passed past", "past the sidecar of the sender"),
)


def document(report: Report) -> str:
    """Return a report as an HTML document. The same report is always the same document."""
    nodes = report.graph.nodes if report.graph else ()
    entries = (*report.entries, *(_entry_of(node) for node in nodes))
    places = {node.id: number for number, node in enumerate(nodes, start=len(report.entries))}
    style, script = _source("report.css"), _source("report.js")
    return Template(_source("report.html")).substitute(
        style_hash=_hash(style),
        script_hash=_hash(script),
        title=joined([f"{report.title} · meshlab"]),
        style=style,
        body=_body(report, entries, places),
        data=embedded_json(data_of(entries)),
        script=script,
    )


def _source(name: str) -> str:
    return files("meshlab").joinpath(f"data/html_report/{name}").read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """Return what a Content-Security-Policy names a style sheet or script by (CSP level 3, section 2.3.1)."""
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _body(report: Report, entries: Sequence[Entry], places: dict[str, int]) -> Markup:
    return joined(
        [
            element("a", {"class": "skip", "href": "#results"}, "To the results"),
            _head(report),
            element(
                "main",
                {},
                *([_drawing(report.graph, places)] if report.graph and report.graph.nodes else []),
                _results(report, entries),
                *map(plain_section, report.further),
                *(_remarks(heading, texts) for heading, texts in report.remarks if texts),
            ),
        ]
    )


def _head(report: Report) -> Markup:
    tone = TONES[report.tone]
    return element(
        "header",
        {"class": f"head {report.tone}"},
        element(
            "div",
            {},
            element(
                "h1",
                {},
                *(
                    []
                    if report.tone == "seen"
                    else [element("span", {"class": "mark", "aria-hidden": "true"}, tone.mark)]
                ),
                element("span", {}, report.title),
            ),
            element("ul", {"class": "about"}, *(element("li", {}, text) for text in report.subtitle)),
        ),
    )


def _drawing(graph: Graph, places: dict[str, int]) -> Markup:
    drawings = (as_svg(place(graph), graph, places) for place in (wide, narrow))
    box: Attributes = {
        "class": "sheet",
        "tabindex": 0,
        "role": "region",
        "aria-label": "The mesh as a drawing",
    }
    return element(
        "section",
        {"aria-labelledby": "mesh"},
        element("h2", {"id": "mesh"}, "The mesh"),
        element("div", box, *drawings),
        element("ul", {"class": "legend"}, *_legend(graph)),
        element(
            "details",
            {"class": "words"},
            element("summary", {}, "The drawing in words"),
            element("ul", {}, *(element("li", {}, text) for text in sentences(graph))),
        ),
    )


def _legend(graph: Graph) -> Iterator[Markup]:
    """Yield what the kinds of lines mean, as far as the drawing has them."""
    drawn: set[str] = {edge.tone for edge in graph.edges}
    drawn |= {"passed past" for edge in graph.edges if edge.bypasses}
    for kind, text in _LEGEND:
        if kind in drawn:
            end = (
                {"class": "bar", "d": "M32 0V12"}
                if kind == "failed"
                else {"class": "tip", "d": "M40 6L32 2V10Z"}
            )
            sample = element(
                "svg",
                {"width": 42, "height": 12, "aria-hidden": "true"},
                element(
                    "g",
                    {"class": f"line {kind}"},
                    element("path", {"class": "way", "d": "M0 6H32"}),
                    element("path", end),
                ),
            )
            yield element("li", {}, sample, text)


def _results(report: Report, entries: Sequence[Entry]) -> Markup:
    cells = sum(
        isinstance(cell, Cell)
        for found in report.sections
        for table in found.tables
        for row in table.rows
        for cell in row.cells
    )
    shown = {"class": "shown", "id": "shown", "role": "status", "data-unit": report.unit}
    chips = (
        element(
            "button",
            {
                "type": "button",
                "class": f"chip {found.tone}",
                "aria-pressed": "false",
                "data-tone": found.tone,
            },
            f"{TONES[found.tone].mark} {found.count} {TONES[found.tone].word}",
        )
        for found in report.counts
    )
    search = {
        "id": "search",
        "type": "search",
        "placeholder": "search names, hosts, reasons",
        "aria-label": "Show only what holds these words",
        "autocomplete": "off",
        "spellcheck": "false",
    }
    return element(
        "section",
        {"id": "results", "class": "results", "aria-label": "Results"},
        element(
            "div",
            {"class": "filters", "role": "search"},
            element("span", {"class": "sr"}, "Show only: "),
            *chips,
            element("input", search),
            element("button", {"type": "button", "class": "plain-button", "id": "through", "hidden": True}),
            element("span", shown, f"{cells} {report.unit}"),
        ),
        *(section(found, entries) for found in report.sections),
        element("p", {"class": "empty", "id": "empty", "hidden": True}, "Nothing fits these filters."),
    )


def _remarks(heading: str, texts: Sequence[str]) -> Markup:
    return element(
        "section",
        {"class": "remarks"},
        element("h2", {}, heading),
        element("ul", {}, *(element("li", {}, text) for text in texts)),
    )


def _entry_of(node: Node) -> Entry:
    """Return what a click on a node shows."""
    facts = tuple(Fact(label, value) for label, value in node.facts)
    name = node.name if node.kind in ("caller", "host") else node.id
    blocks = (Block(facts=facts),) if facts else ()
    return replace(Entry(f"{KINDS[node.kind]} {name}", blocks=blocks), node=node.id)
