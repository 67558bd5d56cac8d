"""`${NAME}` in a case file: values that another file holds, such as the issuer of one environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from meshlab.bench.case import CasePlace
from meshlab.bench.case_file.problems import CaseProblem, near_miss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.bench.case_file.nodes import Cursor

__all__ = ["fill_in"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TEXT = "tag:yaml.org,2002:str"


def fill_in(root: Cursor, variables: Mapping[str, str]) -> list[CaseProblem]:
    """Replace `${NAME}` in every text of a file by the value of the variable. A value is text, whatever it looks like.

    Args:
        root: The file, which is changed.
        variables: The values.

    Returns:
        A problem for each variable that has no value.
    """
    problems: list[CaseProblem] = []

    for node in _scalars(root.node):
        if node.tag != _TEXT or "${" not in node.value:
            continue
        place = CasePlace(root.file, node.start_mark.line + 1)
        for name in dict.fromkeys(_VARIABLE.findall(node.value)):
            if name not in variables:
                hint = near_miss(name, variables)
                message = f"${{{name}}} has no value{hint}; name a KEY=VALUE file with --env-file"
                problems.append(CaseProblem(place, message, "meaning"))
        node.value = _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), node.value)
    return problems


def _scalars(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
