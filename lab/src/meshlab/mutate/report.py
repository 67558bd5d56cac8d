"""A run of mutants as text for a person: survivors by object, each with the case that is missing, then the rest."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from meshlab.bench.report.terminal import print_on
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from meshlab.mutate.mutated import Mutated
    from meshlab.mutate.results import Result, State

__all__ = ["print_mutated", "summary"]

_STYLES: dict[State, str] = {
    "survived": "bold red",
    "caught": "green",
    "equivalent": "cyan",
    "same configuration": "cyan",
    "not judged": "yellow",
}
_TITLES: dict[State, str] = {
    "equivalent": "no request of the battery ends otherwise",
    "same configuration": "no Envoy is configured otherwise",
    "not judged": "Istio, Envoy or meshlab does not take it, or requests that could show it are not judged",
}
_MAX_REASON = 200


def print_mutated(mutated: Mutated, on: Console, *, verbose: bool = False) -> None:
    """Print a run.

    Args:
        mutated: The run.
        on: Where to.
        verbose: Also print what was caught and by which case, what changed no configuration, and the case of every
            survivor. Without it, survivors of one field have one case.
    """
    if survivors := mutated.having("survived"):
        print_on(on, Text("No case notices:", style="bold"))
        left_out = _print_objects(survivors, on, every_case=verbose)
        if left_out:
            print_on(
                on,
                Text(
                    f"  {_count(left_out, 'case')} left out: -v shows all, --cases-out FILE writes them",
                    "dim",
                ),
            )
    shown: tuple[State, ...] = ("equivalent", "not judged", *(("same configuration",) if verbose else ()))
    for state in shown:
        if found := mutated.having(state):
            print_on(on, Text(f"{state}: {_TITLES[state]}", style="bold"))
            _print_objects(found, on)
    if verbose and (caught := mutated.having("caught")):
        print_on(on, Text("caught", style="bold"))
        _print_objects(caught, on)
    if mutated.having("survived") or mutated.having("equivalent"):
        for sentence in mutated.not_covered:
            print_on(on, Text(f"not asked: {one_line(sentence)}"), soft_wrap=True)
    print_on(on, Text(summary(mutated), style="bold"), soft_wrap=True)


def summary(mutated: Mutated) -> str:
    """Return the counts in one line, such as `9 mutants: 1 survived, 8 caught; 12 a second`."""
    counts = ", ".join(f"{count} {state}" for state, count in mutated.counts.items() if count)
    number = len(mutated.results)
    parts = [f"{_count(number, 'mutant')}: {counts or 'nothing to change'}"]
    if number:
        parts.append(f"{mutated.per_second:.0f} a second")
    if mutated.chosen.only_break:
        parts.append(
            f"{mutated.chosen.only_break} that can let nothing more in were left out (--all asks them)"
        )
    if mutated.chosen.sampled_out:
        parts.append(f"{mutated.chosen.sampled_out} were not drawn (--seed {mutated.chosen.seed})")
    return "; ".join(parts)


def _print_objects(results: Iterable[Result], on: Console, *, every_case: bool = True) -> int:
    """Print results by object; return how many cases were left out, because another one of their field is shown."""
    left_out = 0
    for _, group in groupby(results, key=lambda result: id(result.mutant.manifest)):
        found = list(group)
        manifest = found[0].mutant.manifest
        place = f"{manifest.source}:{manifest.line}" if manifest.line else manifest.source
        print_on(on, Text(f"  {one_line(place)}: {one_line(manifest.subject)}"), soft_wrap=True)
        fields: set[str] = set()
        for result in found:
            shown = every_case or result.mutant.field not in fields
            fields.add(result.mutant.field)
            left_out += bool(result.missing and not shown)
            _print_result(result, on, with_case=shown)
    return left_out


def _print_result(result: Result, on: Console, *, with_case: bool = True) -> None:
    mutant, style = result.mutant, _STYLES[result.state]
    what = one_line(f"{mutant.field}: {mutant.change}")
    note = one_line(_note(result), _MAX_REASON)
    line = Text.assemble((f"  {mutant.line or '-':>6}  ", style), what, f"  ({note})" if note else "")
    print_on(on, line, soft_wrap=True)
    if result.missing and with_case:
        for text in (result.missing.needs + result.missing.text).rstrip("\n").split("\n"):
            print_on(on, Text(f"          {text}", style="cyan"), soft_wrap=True)


def _note(result: Result) -> str:
    if result.state == "survived":
        return result.reason or result.effect
    return f"by {result.caught_by}" if result.caught_by else result.reason


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
