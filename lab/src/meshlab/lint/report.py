"""Findings as text for a person: by file, the gravest rule's why and fix once, then one line of counts."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from meshlab.bench.report.terminal import print_on
from meshlab.lint.folding import folds_of
from meshlab.lint.rule import Severity
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from meshlab.lint.folding import Fold
    from meshlab.lint.rule import Finding, Rule
    from meshlab.lint.run import Linted

__all__ = ["print_linted", "print_rule", "summary"]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def print_linted(linted: Linted, on: Console, *, verbose: bool = False) -> None:
    """Print the findings that count, then what each of their rules is about, then the counts.

    Args:
        linted: What was found.
        on: Where to.
        verbose: Whether objects that are not read, many of them for one reason, are printed one by one.
    """
    folds = [] if verbose else folds_of(linted.counted)
    folded = {id(finding) for fold in folds for finding in fold.findings}
    file = None
    for finding in linted.counted:
        if id(finding) in folded:
            continue
        if finding.problem.source != file:
            if file is not None:
                on.print()
            file = finding.problem.source
            print_on(on, Text(one_line(file), style="bold"), soft_wrap=True)
        _print_finding(finding, on)
    for fold in folds:
        if file is not None:
            on.print()
        file = fold.text
        _print_fold(fold, on)
    rules = {finding.rule.code: finding.rule for finding in linted.counted}
    if rules:
        on.print()
        for code in sorted(rules):
            print_rule(rules[code], on)
        on.print()
    print_on(on, Text(summary(linted), style="bold"))


def print_rule(rule: Rule, on: Console) -> None:
    """Print what a rule is about."""
    print_on(on, Text.assemble((f"{rule.code} {rule.name}", "bold"), f": {rule.summary}"), soft_wrap=True)
    for label, text in (("why", rule.why), ("fix", rule.fix)):
        print_on(on, _wrapped(f"{label}: {text}", on, 2), soft_wrap=True)


def summary(linted: Linted) -> str:
    """Return the counts in one line, such as `12 objects: 1 error, 2 warnings; 1 suppressed`."""
    counts = Counter(finding.rule.severity for finding in linted.counted)
    parts = [_count(counts[severity], severity.value) for severity in Severity if counts[severity]]
    text = f"{_count(linted.objects, 'object')}: {', '.join(parts) or 'nothing found'}"
    return f"{text}; {len(linted.suppressed)} suppressed" if linted.suppressed else text


def _print_finding(finding: Finding, on: Console) -> None:
    problem = finding.problem
    text = one_line(": ".join(part for part in (problem.subject, problem.path, problem.text) if part))
    head = f"  {problem.line or '-':>4}  {finding.rule.severity.value:<7}  {finding.rule.code}  "
    body = textwrap.wrap(
        text, max(on.width - len(head), 30), break_long_words=False, break_on_hyphens=False
    ) or [""]
    style = _STYLES[finding.rule.severity]
    print_on(on, Text.assemble((head, style), body[0]), soft_wrap=True)
    for line in body[1:]:
        print_on(on, Text(" " * len(head) + line), soft_wrap=True)


def _print_fold(fold: Fold, on: Console) -> None:
    first = fold.findings[0].problem
    rule = fold.findings[0].rule
    place = f"{first.source}:{first.line}" if first.line else first.source
    text = one_line(f"{fold.text} The first is {first.subject}, {place}; -v shows each.")
    head = f"  {len(fold.findings):>4} times  {rule.severity.value}  {rule.code}  "
    print_on(on, Text.assemble((head, _STYLES[rule.severity]), text), soft_wrap=True)


def _wrapped(text: str, on: Console, indent: int) -> Text:
    room = " " * indent
    return Text(
        textwrap.fill(
            text,
            max(on.width, 40),
            initial_indent=room,
            subsequent_indent=room + "     ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _count(number: int, noun: str) -> str:
    if noun == Severity.INFO.value:
        return f"{number} info"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
