"""Explanations as one JSON document, for programs and for the report to look at.

Keys are stable: new ones may be added, and `version` counts changes that are not additions. What is empty is left out.

| key | value |
|---|---|
| `version` | 1 |
| `exit_code` | the exit code of the command; not in the document of a report |
| `explanations` | one object for each request, in order |

| object | keys |
|---|---|
| both sides, in a report of `diff` | `old`, `new` |
| side | `explanation`, `note` (why there is none, or how it ended otherwise) |
| explanation | `name`, `case` (`FILE:LINE`), `sender`, `request`, `decision`, `hops`, `doubts`, `changes` |
| decision | `allowed`, `status`, `by`, `proxy`, `step`, `policy`, `rule`, `text` |
| hop | `workload`, `direction`, `port`, `steps` |
| step | `name`, `state` (`passed`, `refused`, `not reached`), `text`, `places`, `details`, `evidence`, `policies` |
| policy | `place`, `name`, `action`, `dry_run`, `matched` (`null` where it was not reached), `text`, `rules` |
| rule | `place`, `index`, `matched`, `note`, `conditions`, `failing` (indices of `conditions`) |
| condition | `place`, `attribute`, `negated`, `wants`, `saw`, `holds` |
| place | `file`, `line`, `subject`, `path` |
| change | `parts`, `verified`, `next_obstacle`, `widens`, `widening_note` |
| part of a change | `kind` (`manifest`, `caller`), `text`, `place`, `value` |
| widening | `caller`, `target`, `request`, `text` |
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from meshlab.explain.explanation import RuleExplanation
from meshlab.visible_text import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import DataclassInstance

    from meshlab.explain.changed_requests import BothSides
    from meshlab.explain.explanation import Explanation

__all__ = ["explanations_as_json", "explanations_as_text", "sides_as_json"]

_VERSION = 1
_ALWAYS = ("matched", "holds", "allowed", "status", "index", "verified")


def explanations_as_json(explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Return the document as data."""
    return {"version": _VERSION, "explanations": [_plain(each) for each in explanations]}


def explanations_as_text(explanations: Sequence[Explanation], exit_code: int = 0) -> str:
    """Return the document of a command as text, with its exit code."""
    document = explanations_as_json(explanations)
    return json_text({"version": document.pop("version"), "exit_code": exit_code} | document)


def sides_as_json(sides: Sequence[BothSides]) -> list[dict[str, Any]]:
    """Return the explanations of changed requests as data, one object for each request."""
    return [_plain(each) for each in sides]


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, RuleExplanation):
        failing = tuple(value.conditions.index(condition) for condition in value.failing)
        return _fields(value) | ({"failing": list(failing)} if failing else {})
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _fields(value: DataclassInstance) -> dict[str, Any]:
    found = ((field.name, getattr(value, field.name)) for field in fields(value) if field.name != "failing")
    return {name: _plain(inner) for name, inner in found if name in _ALWAYS or not _is_unset(inner)}


def _is_unset(value: object) -> bool:
    # Not `in`: 0 equals False, and a rule may have the index 0.
    return value is None or value is False or value == "" or value == ()
