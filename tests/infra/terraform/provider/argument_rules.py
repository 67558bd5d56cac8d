"""Rules between arguments, which Terraform leaves to a provider: allowed values, bounds, and what excludes what.

The schema says them with keys that Terraform's own output does not have (`values`, `conflicts_with`). A path in such
a list is counted from the resource, and `.0.` in it means "in the block".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["UNKNOWN", "Problem", "problems"]

Step = str | int
Path = tuple[Step, ...]


class _Unknown:
    """A value that is known only after apply."""


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Problem:
    """An argument that the provider refuses.

    Attributes:
        path: Names of blocks and arguments, and the numbers of blocks in between.
        text: What is wrong.
    """

    path: Path
    text: str


def problems(block: Mapping[str, Any], configuration: Mapping[str, Any]) -> list[Problem]:
    """Return everything that a provider would refuse in one resource, data source or provider block.

    Args:
        block: The schema's block.
        configuration: The configuration, as decoded from msgpack; values that are not known yet are `UNKNOWN`.
    """
    present = _present(block, configuration)
    return list(_problems(block, present, (), present))


def _present(block: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without its empty lists of blocks: an empty list counts as set for arguments alone."""
    present = dict(found)
    for name, rules in block.get("block_types", {}).items():
        nested = found.get(name)
        if isinstance(nested, dict):
            present[name] = _present(rules["block"], nested)
        elif isinstance(nested, list):
            inner = [_present(rules["block"], one) if isinstance(one, dict) else one for one in nested]
            present[name] = inner or None
    return present


def _problems(
    block: Mapping[str, Any], found: Mapping[str, Any], at: Path, root: Mapping[str, Any]
) -> Iterator[Problem]:
    for name, rules in block.get("attributes", {}).items():
        value = found.get(name)
        path = (*at, name)
        if value is not None and not rules.get("required") and not rules.get("optional"):
            yield Problem(path, "is read-only: the service decides it.")
            continue
        yield from _value_problems(rules, value, path)
        yield from _relation_problems(rules, path, root)
    for name, rules in block.get("block_types", {}).items():
        path = (*at, name)
        yield from _relation_problems(rules, path, root)
        nested = found.get(name)
        if rules["nesting_mode"] == "single":
            if isinstance(nested, dict):
                yield from _problems(rules["block"], nested, path, root)
        elif isinstance(nested, list):
            for number, one in enumerate(nested):
                if isinstance(one, dict):
                    yield from _problems(rules["block"], one, (*path, number), root)


def _value_problems(rules: Mapping[str, Any], value: object, path: Path) -> Iterator[Problem]:
    if value is None or value is UNKNOWN:
        return
    elements: Sequence[object]
    if isinstance(value, dict):
        elements = list(value.values())
    elif isinstance(value, list):
        elements = value
        if len(value) < rules.get("min_items", 0):
            yield Problem(path, f"has {len(value)} elements, and needs at least {rules['min_items']}.")
        if len(value) > rules.get("max_items", len(value)):
            yield Problem(path, f"has {len(value)} elements, and takes at most {rules['max_items']}.")
    else:
        elements = [value]
    for element in elements:
        if element is None or element is UNKNOWN:
            continue
        # The provider takes an empty string as unset: `load_balancing_scheme = ""` is how its own page writes the
        # endpoint of Private Service Connect.
        is_unset = element == "" and rules.get("optional", False)
        if "values" in rules and element not in rules["values"] and not is_unset:
            yield Problem(path, f"is {element!r}, and takes {', '.join(map(str, rules['values']))}.")
        if "range" in rules and (text := _outside(element, *rules["range"])):
            yield Problem(path, text)


def _outside(element: object, least: float | None, most: float | None) -> str:
    number = float(str(element))
    if least is not None and number < least:
        return f"is {element}, and takes {least} or more."
    if most is not None and number > most:
        return f"is {element}, and takes {most} or less."
    return ""


def _relation_problems(rules: Mapping[str, Any], path: Path, root: Mapping[str, Any]) -> Iterator[Problem]:
    here = _is_set(root, path)

    def state(other: str) -> bool | None:
        return _is_set(root, _beside(path, other))

    for other in rules.get("conflicts_with", ()):
        if here and state(other):
            yield Problem(path, f"conflicts with {other}.")
    for other in rules.get("required_with", ()):
        if here and state(other) is False:
            yield Problem(path, f"needs {other} beside it.")
    if group := rules.get("exactly_one_of"):
        states = [state(other) for other in group]
        if states.count(True) > 1 or (True not in states and None not in states):
            yield Problem(path, f"needs exactly one of {', '.join(group)}, and has {states.count(True)}.")
    if group := rules.get("at_least_one_of"):
        states = [state(other) for other in group]
        if True not in states and None not in states:
            yield Problem(path, f"needs at least one of {', '.join(group)}.")


def _beside(path: Path, other: str) -> Path:
    """Return the path of another argument, with the blocks' numbers of this one where both lie in the same blocks."""
    steps: list[Step] = [int(step) if step.isdigit() else step for step in other.split(".")]
    for number, step in enumerate(path[: len(steps)]):
        if isinstance(step, str) and step != steps[number]:
            break
        steps[number] = step
    return tuple(steps)


def _is_set(value: object, path: Path) -> bool | None:
    """Return whether an argument is not null or a block is present; None where that is not known yet."""
    for step in path:
        if value is UNKNOWN:
            return None
        if isinstance(step, int):
            if isinstance(value, list):
                if step >= len(value):
                    return False
                value = value[step]
            # A block of which there is at most one has no number.
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return False
    return None if value is UNKNOWN else value is not None
