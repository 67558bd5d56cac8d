"""An explanation as parts of a panel.

It reads one object under `explanations` of the JSON document that `explain.as_json` describes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.html_report.report import Block, Fact, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Json = Mapping[str, Any]

__all__ = ["explained"]

_STATES = {"passed": "passed", "refused": "stopped", "not reached": "unreached"}


def explained(explanation: Json) -> tuple[Block, ...]:
    """Return an explanation as parts of a panel: the decision, each proxy, and what would let the request in."""
    decision = explanation.get("decision") or {}
    said = () if decision.get("allowed") else (str(decision.get("text", "")),)
    hops = [_hop(hop) for hop in explanation.get("hops", ())]
    parts = (
        Block("who decided", lines=tuple(filter(None, said))),
        Block("doubts", lines=tuple(map(str, explanation.get("doubts", ())))),
        Block("step by step", steps=tuple(_deciding_opened(hops))),
        Block("what would let it in", steps=tuple(map(_change, explanation.get("changes", ())))),
    )
    return tuple(part for part in parts if part.lines or part.steps)


def _deciding_opened(hops: Sequence[Step]) -> Iterator[Step]:
    """Yield the proxies; open are those that refused the request, or the last one, which let it in."""
    refused = any(hop.tone == "stopped" for hop in hops)
    for number, hop in enumerate(hops, start=1):
        yield replace(hop, opened=hop.tone == "stopped" if refused else number == len(hops))


def _hop(hop: Json) -> Step:
    steps = tuple(map(_step, hop.get("steps", ())))
    refused = any(step.tone == "stopped" for step in steps)
    title = f"{hop['workload']}, {hop['direction']} {hop['port']}"
    return Step(title, "stopped" if refused else "passed", steps=steps)


def _step(step: Json) -> Step:
    tone = _STATES.get(str(step["state"]), "unreached")
    facts = [Fact("at", _place(place)) for place in step.get("places", ())]
    facts += [Fact("also", str(text)) for text in step.get("details", ())]
    facts += [Fact("Envoy", str(step["evidence"]))] if step.get("evidence") else []
    return Step(
        f"{step['name']}: {step['text']}",
        tone,
        tuple(facts),
        tuple(map(_policy, step.get("policies", ()))),
        opened=tone == "stopped" or bool(step.get("policies")),
    )


def _policy(policy: Json) -> Step:
    matched = policy["matched"]
    tone = _matched(matched)
    if matched:
        tone = "stopped" if policy["action"] == "DENY" and not policy.get("dry_run") else "matches"
    dry_run = " (dry run)" if policy.get("dry_run") else ""
    return Step(
        f"{policy['action']}{dry_run} {policy['name']}: {policy.get('text', '')}",
        tone,
        (Fact("at", _place(policy["place"])),),
        tuple(map(_rule, policy.get("rules", ()))),
        opened=bool(matched) or any(rule.get("failing") for rule in policy.get("rules", ())),
    )


def _rule(rule: Json) -> Step:
    note = f": {rule['note']}" if rule.get("note") else ""
    conditions = list(rule.get("conditions", ()))
    failing = list(rule.get("failing", ()))
    others = [number for number in range(len(conditions)) if number not in failing]
    return Step(
        f"rule {rule['index']}{note}",
        _matched(rule["matched"]),
        (Fact("at", _place(rule["place"])),),
        tuple(_conditions(conditions[number] for number in (*failing, *others))),
        opened=bool(failing) or bool(rule["matched"]),
    )


def _conditions(conditions: Iterable[Json]) -> Iterator[Step]:
    for condition in conditions:
        holds = condition["holds"]
        tone = "unreached" if holds is None else "holds" if holds else "lacks"
        not_one = "none" if condition.get("negated") else "one"
        wants = ", ".join(map(str, condition.get("wants", ()))) or "any value"
        facts = (Fact(f"wants {not_one} of", wants), Fact("saw", str(condition.get("saw", ""))))
        yield Step(str(condition["attribute"]), tone, facts)


def _change(change: Json) -> Step:
    parts = list(change.get("parts", ()))
    facts = [Fact("at", _place(part["place"])) for part in parts if part.get("place")]
    facts += [Fact("write", str(part["value"])) for part in parts if part.get("value")]
    if change.get("next_obstacle"):
        facts.append(Fact("then", str(change["next_obstacle"]), "failed"))
    if change.get("widening_note"):
        facts.append(Fact("note", str(change["widening_note"])))
    widens = tuple(
        Step(
            f"{found['caller']} to {found['target']}: {found['request']}",
            "opened",
            (Fact("so", str(found["text"])),) if found.get("text") else (),
        )
        for found in change.get("widens", ())
    )
    more = (Step(f"It would also let in {len(widens)} more", "opened", steps=widens),) if widens else ()
    title = "; ".join(str(part["text"]) for part in parts)
    return Step(title, "passed" if change.get("verified") else "not_judged", tuple(facts), more)


def _matched(matched: object) -> str:
    if matched is None:
        return "unreached"
    return "matches" if matched else "misses"


def _place(place: Json) -> str:
    position = f"{place['file']}:{place['line']}" if place.get("line") else str(place["file"])
    what = " ".join(str(place[part]) for part in ("subject", "path") if place.get(part))
    return f"{what} ({position})" if what else position
