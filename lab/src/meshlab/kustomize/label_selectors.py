"""Selectors over labels: `app=web`, `tier in (a, b)`, `!legacy`.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Requirement", "matches", "read_requirements"]

_TERM = re.compile(
    r"\s*(?:"
    r"(?P<absent>!)\s*(?P<gone>[\w./-]+)"
    r"|(?P<set>[\w./-]+)\s+(?P<among>in|notin)\s*\((?P<values>[^)]*)\)"
    r"|(?P<one>[\w./-]+)\s*(?P<is>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|(?P<present>[\w./-]+)"
    r")\s*(?:,|\Z)"
)


@dataclass(frozen=True)
class Requirement:
    """One condition on the labels of an object.

    Attributes:
        key: The label.
        values: What its value must be one of; `None` takes any value.
        negated: Whether the condition must not hold. A missing label meets a negated condition.
    """

    key: str
    values: frozenset[str] | None
    negated: bool


def read_requirements(text: str, where: str) -> tuple[Requirement, ...]:
    """Read a selector; an empty one has no requirements.

    Raises:
        ManifestError: It is not a selector.
    """
    found, position = [], 0
    while position < len(text.rstrip()):
        term = _TERM.match(text, position)
        if term is None:
            raise ManifestError(
                f"{where}: {text!r} is no label selector; write it like app=web,tier in (a,b)."
            )
        found.append(_requirement(term))
        position = term.end()
    return tuple(found)


def matches(requirements: tuple[Requirement, ...], labels: Mapping[str, object]) -> bool:
    """Return whether labels meet every requirement."""
    return all(_met(requirement, labels) for requirement in requirements)


def _met(requirement: Requirement, labels: Mapping[str, object]) -> bool:
    holds = requirement.key in labels and (
        requirement.values is None or labels[requirement.key] in requirement.values
    )
    return holds != requirement.negated


def _requirement(term: re.Match[str]) -> Requirement:
    if term["absent"]:
        return Requirement(term["gone"], None, negated=True)
    if term["set"]:
        values = frozenset(value.strip() for value in term["values"].split(","))
        return Requirement(term["set"], values, negated=term["among"] == "notin")
    if term["one"]:
        return Requirement(term["one"], frozenset({term["value"]}), negated=term["is"] == "!=")
    return Requirement(term["present"], None, negated=False)
