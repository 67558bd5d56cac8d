"""Label selectors of Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.istio.read.gateway_api.schema_values import entries, texts
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields

__all__ = ["LabelSelector", "read_label_selector"]

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True)
class Requirement:
    """One of `matchExpressions`."""

    key: str
    operator: Operator
    values: tuple[str, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it. A missing label meets `NotIn`, as in Kubernetes."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
        return self.key not in labels


@dataclass(frozen=True)
class LabelSelector:
    """Labels and conditions on labels; all of them must hold. Without any it takes everything."""

    labels: Mapping[str, str]
    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether it takes something with these labels."""
        return self.labels.items() <= labels.items() and all(
            each.matches(labels) for each in self.requirements
        )


def read_label_selector(fields: Fields, name: str) -> LabelSelector | None:
    """Read a label selector, `None` where the field is absent.

    Raises:
        ManifestError: An operator that Kubernetes does not have, or values that do not fit it.
    """
    if fields.raw(name) is None:
        return None
    selector = fields.mapping(name, ("matchLabels", "matchExpressions"))
    found = []
    for entry in entries(selector, "matchExpressions", ("key", "operator", "values")):
        operator = cast("Operator", entry.choice("operator", _OPERATORS, ""))
        values = texts(entry, "values")
        if bool(values) != (operator in ("In", "NotIn")):
            need = "needs" if operator in ("In", "NotIn") else "has no"
            raise entry.where.key("values").error(f"operator {operator} {need} values.")
        found.append(Requirement(entry.required("key"), operator, values))
    return LabelSelector(selector.string_map("matchLabels"), tuple(found))
