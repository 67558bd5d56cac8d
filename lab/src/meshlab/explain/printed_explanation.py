"""Explanations as a tree in a terminal, readable without colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

from meshlab.bench.report.outcome_texts import printable
from meshlab.bench.report.terminal import print_on

if TYPE_CHECKING:
    from rich.console import Console

    from meshlab.explain.explanation import (
        ChangePart,
        ConditionExplanation,
        Explanation,
        HopExplanation,
        Place,
        PolicyExplanation,
        RuleExplanation,
        Step,
        SuggestedChange,
    )

__all__ = ["print_explanation"]

_STYLES = {"passed": "green", "refused": "bold red", "not reached": "dim"}
_MAX_LINE = 600
_WIDENINGS_SHOWN = 8


def print_explanation(explanation: Explanation, on: Console, *, verbose: bool = False) -> None:
    """Print one explanation.

    Args:
        explanation: The explanation.
        on: Where to.
        verbose: Also print every condition, what was not reached, and Envoy's own words for every step.
    """
    print_on(on, _tree(explanation, verbose=verbose))
    on.print()


def _tree(explanation: Explanation, *, verbose: bool) -> Tree:
    tree = Tree(_line(f"{explanation.name}  ({explanation.case})", "bold"), guide_style="dim")
    tree.add(_line(f"{explanation.request}, from {explanation.sender}"))
    decision = explanation.decision
    if decision:
        word = "allowed" if decision.allowed else "refused"
        text = decision.text if decision.text.startswith(f"{word} ") else f"{word}: {decision.text}"
        tree.add(_line(text, "bold green" if decision.allowed else "bold red"))
    for doubt in explanation.doubts:
        tree.add(_line(f"{'not judged' if decision else 'not sent'}: {doubt}", "yellow"))
    for number, hop in enumerate(explanation.hops, start=1):
        _add_hop(tree, number, hop, verbose=verbose)
    if explanation.changes:
        changes = tree.add(_line("what would let it in", "bold"))
        for change in explanation.changes:
            _add_change(changes, change)
    return tree


def _add_hop(tree: Tree, number: int, hop: HopExplanation, *, verbose: bool) -> None:
    branch = tree.add(_line(f"{number}. {hop.workload} {hop.direction} {hop.port}", "bold"))
    missing: list[str] = []
    named: set[Place] = set()
    for step in hop.steps:
        if step.state == "not reached" and not verbose:
            missing.append(step.name)
            continue
        _add_step(branch, step, named, verbose=verbose)
    if missing:
        branch.add(_line(f"not reached: {', '.join(missing)}", "dim"))


def _add_step(branch: Tree, step: Step, named: set[Place], *, verbose: bool) -> None:
    state = "" if step.state == "passed" else f"{step.state}: "
    line = Text.assemble(
        (f"{step.name}: ", ""), (f"{state}{printable(step.text, _MAX_LINE)}", _STYLES[step.state])
    )
    below = branch.add(line)
    shown_below = {policy.place for policy in step.policies}
    for place in step.places:
        if place not in shown_below and (verbose or place not in named):
            below.add(_place(place))
            named.add(place)
    shown = verbose or step.state == "refused"
    for detail in step.details if shown else ():
        below.add(_line(detail))
    if step.evidence and (verbose or (step.state == "refused" and step.name != "answer")):
        below.add(_line(f"Envoy: {step.evidence}", "dim"))
    for policy in step.policies:
        denies = step.state == "refused" and policy.action in ("DENY", "CUSTOM") and not policy.dry_run
        _add_policy(below, policy, verbose=verbose, why_matched=denies)


def _add_policy(branch: Tree, policy: PolicyExplanation, *, verbose: bool, why_matched: bool) -> None:
    dry_run = " (dry run)" if policy.dry_run else ""
    head = f"{policy.action}{dry_run} {policy.name}: {policy.text}"
    below = branch.add(Text.assemble(head, (f"  {printable(policy.place.position)}", "cyan")))
    for rule in policy.rules:
        if policy.matched is None and not verbose:
            continue
        _add_rule(below, rule, every=verbose or (why_matched and rule.matched is True))


def _add_rule(branch: Tree, rule: RuleExplanation, *, every: bool) -> None:
    word = {True: "matches", False: "does not match", None: "not reached"}[rule.matched]
    note = f"; {rule.note}" if rule.note else ""
    below = branch.add(
        Text.assemble(f"rule {rule.index} {word}{note}", (f"  {printable(rule.place.position)}", "cyan"))
    )
    conditions = rule.conditions if every else rule.failing[:1]
    for condition in conditions:
        below.add(_condition(condition))
    hidden = len(rule.failing) - 1
    if not every and hidden > 0:
        below.add(_line(f"and {hidden} more; -v shows every condition", "dim"))


def _condition(condition: ConditionExplanation) -> Text:
    word = {True: "holds", False: "does not hold", None: "not reached"}[condition.holds]
    wants = " or ".join(condition.wants)
    negation = "none of " if condition.negated else ""
    path = condition.place.path.removeprefix("spec.")
    return Text.assemble(
        (f"{printable(path)} ", ""),
        (word, {True: "green", False: "red", None: "dim"}[condition.holds]),
        f": saw {printable(condition.saw)}, wants {negation}{printable(wants)}",
        (f"  {printable(condition.place.position)}", "cyan"),
    )


def _add_change(branch: Tree, change: SuggestedChange) -> None:
    first, *others = change.parts
    below = branch.add(_line(first.text, "bold" if change.verified else ""))
    _add_part(below, first)
    for part in others:
        _add_part(below.add(_line(f"and {part.text}", "bold" if change.verified else "")), part)
    if change.verified:
        below.add(_line("with it the request gets in", "green"))
    if change.next_obstacle:
        below.add(_line(f"not enough: {change.next_obstacle}", "yellow"))
    if change.widens:
        requests = "another request" if len(change.widens) == 1 else f"{len(change.widens)} other requests"
        wider = below.add(_line(f"it lets in {requests}, too:", "yellow"))
        for each in change.widens[:_WIDENINGS_SHOWN]:
            wider.add(_line(f"{each.caller}: {each.request}, to {each.target}"))
        if len(change.widens) > _WIDENINGS_SHOWN:
            wider.add(_line(f"and {len(change.widens) - _WIDENINGS_SHOWN} more; --json has all"))
    if change.widening_note:
        below.add(_line(change.widening_note, "dim"))


def _add_part(branch: Tree, part: ChangePart) -> None:
    if part.place:
        branch.add(_place(part.place))
    if part.value:
        branch.add(Text("\n".join(map(_without_controls, part.value.splitlines()))))


def _place(place: Place) -> Text:
    return Text.assemble(
        f"{printable(place.subject)} {printable(place.path)}".strip(),
        (f"  {printable(place.position)}", "cyan"),
    )


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text, _MAX_LINE), style=style)


def _without_controls(text: str) -> str:
    # Leading spaces are part of YAML, which `printable` would drop.
    return f"{' ' * (len(text) - len(text.lstrip()))}{printable(text)}"
