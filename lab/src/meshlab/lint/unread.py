"""Findings that something is missing, where an object that was not read may be what is missing.

One field that is not known costs the whole object. What names that object would then be reported as well, with advice
that is wrong. The object itself is a finding (ML000).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshlab.istio.read.pods import TEMPLATES
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rules import BY_CODE
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.manifest import Manifest, Problem

__all__ = ["Unread"]

_NAME = "metadata.name"
"""The field that is named where two files have one object. The first of them is read."""
_SUBSET = re.compile(r"subsets\[(\d+)\]")


@dataclass(frozen=True)
class Unread:
    """The objects that were not read.

    Attributes:
        problems: Why they were not.
        manifests: Every object.
        root_namespace: The namespace whose policies count everywhere.
    """

    problems: tuple[Problem, ...]
    manifests: tuple[Manifest, ...]
    root_namespace: str

    def may_explain(self, finding: Problem) -> bool:
        """Return whether a finding may be there only because some object was not read."""
        missed = BY_CODE[finding.code].missed
        if missed is None:
            return False
        found = [each for each in self._objects() if each.kind in missed.kinds]
        own = next((each for each in self.manifests if each.subject == finding.subject), None)
        if not found or own is None:
            return False
        if not missed.anywhere and own.namespace != self.root_namespace:
            found = [each for each in found if each.namespace in (own.namespace, self.root_namespace)]
        if finding.code == "ML205":
            return any(f"{each.namespace}/{each.name}" in finding.text for each in found)
        if finding.code == "ML310":
            return any(f" in {each.namespace};" in finding.text for each in found)
        wanted = _wanted_labels(own, finding)
        return any(wanted is None or wanted.items() <= _pod_labels(each).items() for each in found)

    def _objects(self) -> Iterator[Manifest]:
        subjects = {each.subject for each in self.problems if each.path != _NAME}
        return (each for each in self.manifests if each.subject in subjects)


def _wanted_labels(own: Manifest, finding: Problem) -> Mapping[str, Any] | None:
    """Return the labels for which a finding has found no pod; `None` for a finding about something else."""
    spec = mapping(own.body, "spec")
    if finding.code == "ML302":
        return mapping(spec, "selector", "matchLabels")
    if finding.code == "ML208":
        return mapping(spec, "workloadSelector", "labels")
    if finding.code == "ML101":
        return mapping(spec, "selector")
    if finding.code in ("ML402", "ML411") and (subset := _SUBSET.search(finding.path)):
        return mapping(listed(spec, "subsets")[int(subset[1])], "labels")
    return None


def _pod_labels(manifest: Manifest) -> Mapping[str, Any]:
    """Return the labels of the pods of a workload as written."""
    own = mapping(manifest.body, "metadata", "labels")
    if manifest.kind in ("WorkloadEntry", "WorkloadGroup"):
        return {**mapping(manifest.body, "spec", "labels"), **own}
    return mapping(manifest.body, *TEMPLATES.get((manifest.group, manifest.kind), ()), "metadata", "labels")
