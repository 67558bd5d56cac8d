"""One case of a run, as a click shows it.

It reads the objects under `cases` of the JSON document that `bench.report.json_report` describes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.html_report.drawing.graph import OUTSIDE
from meshlab.html_report.drawing.request_lines import ANOTHER_MESH, NO_IDENTITY, Way
from meshlab.html_report.report import Block, Entry, Fact, Step
from meshlab.visible_text import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Json = Mapping[str, Any]

__all__ = [
    "blocks_of",
    "cell_text",
    "entry_of",
    "outcome_text",
    "sender_node",
    "sender_text",
    "token_text",
    "way_of",
]

_FROM_RUN = ("status", "app", "proxy", "subset", "policy", "rule")
"""Parts of an expectation that `got` has under the same name."""
_HOP_FACTS = (
    "reason", "listener", "filter_chain", "route", "cluster", "upstream", "client_certificate", "details",
)  # fmt: skip


def entry_of(case: Json, explanation: Sequence[Block] = ()) -> Entry:
    """Return what a click on a case shows.

    Args:
        case: The case.
        explanation: More parts, which say what each proxy decided; in place of the list of proxies.
    """
    return Entry(
        str(case["name"]),
        str(case["state"]),
        f"{case['file']}:{case['line']}",
        blocks_of(case, explanation),
        nodes=way_of(case).nodes,
        words=f"{case['request']} {sender_text(case)} {outcome_text(case)}",
    )


def blocks_of(case: Json, explanation: Sequence[Block] = ()) -> tuple[Block, ...]:
    """Return what a panel says of a case; the arguments are those of `entry_of`."""
    outcome = (outcome_text(case),)
    said = [part for part in explanation if part.lines != outcome]
    parts = (
        Block(facts=tuple(_asked(case))),
        Block("expected and got", rows=tuple(_compared(case))),
        Block("why", lines=tuple(_reasons(case))),
        *(said or (Block("the way", steps=tuple(_hops(case))),)),
        Block("answer", code=str((case.get("got") or {}).get("body", ""))),
    )
    return tuple(part for part in parts if part.facts or part.rows or part.lines or part.code or part.steps)


def way_of(case: Json) -> Way:
    """Return the way of a request, from its sender to what answered it."""
    got = case.get("got") or {}
    sender = case.get("from") or {}
    stopped, app = str(got.get("proxy") or ""), str(got.get("app") or "")
    nodes = [sender_node(sender), *(str(hop["proxy"]) for hop in case.get("hops", ())), app, stopped]
    return Way(
        tuple(dict.fromkeys(node for node in nodes if node)),
        ended=bool(stopped or app),
        stopped=stopped,
        bypasses="bypass" in sender,
    )


def sender_node(sender: Json) -> str:
    """Return the node that sends a request, from its `from`; empty where that is not known."""
    if "outside" in sender:
        return OUTSIDE
    if "mesh" in sender:
        return ANOTHER_MESH
    if "bypass" in sender:
        return NO_IDENTITY if sender["bypass"] == "none" else str(sender["bypass"])
    return str(sender.get("workload", ""))


def cell_text(case: Json) -> str:
    """Return what a cell of a matrix says: how the request ended, and how it should have."""
    state = case["state"]
    if state == "not_judged":
        return "not judged"
    if state == "error":
        return "error"
    ended = _ending(case.get("got") or {})
    if state != "failed":
        return ended
    wanted = _ending(case.get("expected") or {})
    return f"{ended}, not {wanted}" if wanted != ended else f"{ended}, differs"


def outcome_text(case: Json) -> str:
    """Return how a request ended, by whom and why, in a line."""
    got = case.get("got")
    if not got:
        return "; ".join(map(str, case.get("reasons", ()))) or "nothing was sent"
    who = f" by {got['app']}" if got.get("app") else ""
    who = who or (f" by the proxy of {got['proxy']}" if got.get("proxy") else "")
    why = f": {got['reason']}" if got.get("reason") else ""
    return f"{_ending(got)}{who}{why}"


def sender_text(case: Json) -> str:
    """Return who sends a request, in words."""
    sender = case.get("from") or {}
    if "outside" in sender:
        more = [f"from {sender['address']}"] if sender.get("address") else []
        more += ["with a client certificate"] if sender.get("certificate") else []
        return ", ".join([f"a client outside, at {sender['outside']}", *more])
    if "bypass" in sender:
        who = "a client without an identity" if sender["bypass"] == "none" else sender["bypass"]
        return f"{who}, past its sidecar, to {sender['to']} ({sender['mode']})"
    if "mesh" in sender:
        return f"{sender['mesh']} of another mesh (authority {sender['authority']}), to {sender['to']}"
    return str(sender.get("workload", ""))


def token_text(token: Json) -> str:
    """Return a token in words. It never holds the token itself."""
    if token.get("literal"):
        return "a text in place of a token"
    claims = ", ".join(f"{name} {in_words(value)}" for name, value in (token.get("claims") or {}).items())
    parts = [
        f"of {token['issuer']}" if token.get("issuer") else "a token",
        claims,
        str(token.get("flaw", "")),
    ]
    return ", ".join(part for part in parts if part)


def _ending(found: Json) -> str:
    if found.get("status") is not None:
        return str(found["status"])
    return "refused" if found.get("refused") else "answered"


def _asked(case: Json) -> Iterator[Fact]:
    if sender := sender_text(case):
        yield Fact("from", sender)
    yield Fact("request", str(case["request"]))
    for token in case.get("tokens", ()):
        yield Fact("token", token_text(token))
    yield Fact("outcome", outcome_text(case), "failed" if case["state"] == "failed" else "")


def _compared(case: Json) -> Iterator[tuple[str, str, str, bool]]:
    """Yield each part of the expectation: what was expected, what happened, and whether that is the same."""
    differing = {str(found["part"]): found for found in case.get("mismatches", ())}
    got = case.get("got") or {}
    if not got:
        return
    for part, wanted in _parts(case.get("expected") or {}):
        missed = differing.get(part) or (differing.get("received") if part.startswith("received") else None)
        if missed is None:
            yield part, wanted, wanted, True
        elif part in _FROM_RUN:
            yield part, wanted, str(got.get(part, _other_answerer(part, got))), False
        else:
            yield part, wanted, str(missed["got"]), False


def _other_answerer(part: str, got: Json) -> str:
    """Return who answered where it was another kind of thing than expected."""
    if part == "app" and got.get("proxy"):
        return f"the proxy of {got['proxy']}"
    return f"the application of {got['app']}" if part == "proxy" and got.get("app") else "none"


def _parts(expected: Json, inside: str = "") -> Iterator[tuple[str, str]]:
    for name, value in expected.items():
        part = f"{inside}{name}"
        if isinstance(value, dict):
            yield from _parts(value, f"{part}.")
        elif value is None:
            yield part, "absent"
        elif isinstance(value, list):
            yield part, " or ".join(map(str, value))
        else:
            yield part, "yes" if value is True else str(value)


def _reasons(case: Json) -> Iterator[str]:
    """Yield why a case was not judged or not run. What differs stands beside what was expected."""
    yield from map(str, case.get("reasons", ()))
    if not case.get("got") or not case.get("expected"):
        yield from (f"{found['part']}: {found['got']}" for found in case.get("mismatches", ()))


def _hops(case: Json) -> Iterator[Step]:
    for hop in case.get("hops", ()):
        status = hop.get("status")
        seen = [name for name in _HOP_FACTS if hop.get(name) and hop[name] != "via_upstream"]
        facts = tuple(Fact(name.replace("_", " "), str(hop[name])) for name in seen)
        passed = not hop.get("reason")
        title = f"{hop['proxy']}, {hop['direction']} {hop['port']}{f': {status}' if status else ''}"
        yield Step(title, "passed" if passed else "stopped", facts)
