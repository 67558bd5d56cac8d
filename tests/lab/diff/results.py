"""Results of a comparison made by hand, for its reports."""

from __future__ import annotations

from typing import Any

from meshlab.battery.battery import Question
from meshlab.diff.compare_meshes import Difference
from meshlab.diff.effect import Effect, change_of
from meshlab.diff.object_changes import object_changes
from meshlab.diff.result import Finding, Result
from meshlab.manifest import parse_manifests

from tests.lab.diff.verdicts import allowed, case, effect, refused

__all__ = ["ALLOWED", "REFUSED", "UNKNOWN", "difference", "finding", "result"]

ALLOWED, REFUSED = effect(allowed()), effect(refused())
UNKNOWN = Effect(unknown=("mesh.yaml:7: EnvoyFilter a/b: not supported",))
_POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
"""


def difference(
    old: Effect, new: Effect, *, name: str = "a case", asks: str = "GET cart.example/"
) -> Difference:
    """Return a request that ends otherwise."""
    return Difference(
        Question(case(name=name), "outside edge/door", "shop/cart", asks), old, new, change_of(old, new)
    )


def finding(
    old: Effect = REFUSED, new: Effect = ALLOWED, *, name: str = "a case", asks: str = "GET cart.example/"
) -> Finding:
    """Return a request that ends otherwise because of the one object of `result`."""
    return Finding(difference(old, new, name=name, asks=asks), (0,))


def result(*findings: Finding, unknown: int = 0, **more: object) -> Result:
    """Return a result with one changed object."""
    changed = object_changes(
        parse_manifests(_POLICY, "main:mesh.yaml"),
        parse_manifests(_POLICY.replace("[GET]", "[GET, POST]"), "mesh.yaml"),
    )
    not_known = tuple(difference(REFUSED, UNKNOWN, name=f"unknown {number}") for number in range(unknown))
    fields: dict[str, Any] = {
        "old": "main:mesh.yaml",
        "new": "mesh.yaml",
        "findings": findings,
        "not_known": not_known,
        "objects": tuple(changed),
        "compared": 10,
        "sent_again": 4,
        "not_covered": ("UDP is not asked.",),
    }
    return Result(**{**fields, **more})
