"""`exportTo`: the namespaces that see an object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields

__all__ = ["EVERYWHERE", "NOWHERE", "read_export_to"]

EVERYWHERE, NOWHERE = "*", "~"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def read_export_to(spec: Fields, namespace: str, *, of_service: bool = False) -> tuple[str, ...]:
    """Read `exportTo` (`pkg/config/validation/validation.go#validateExportTo`).

    Args:
        spec: The object's spec.
        namespace: The object's namespace, which `.` stands for.
        of_service: Whether `~`, for no namespace at all, is allowed.

    Returns:
        Namespaces, `*` or `~`; empty where the mesh's default counts.

    Raises:
        ManifestError: What Istio's validation refuses.
    """
    found: list[str] = []
    where = spec.where.key("exportTo")
    for index, scope in enumerate(spec.strings("exportTo")):
        resolved = namespace if scope == "." else scope
        known = resolved == EVERYWHERE or (of_service and resolved == NOWHERE)
        if not known and not _NAMESPACE.fullmatch(resolved):
            raise where.item(index).error(f"{scope!r} is refused by Istio; write *, . or a namespace.")
        if resolved in found:
            raise where.item(index).error(f"{scope!r} stands here twice; keep one.")
        found.append(resolved)
    for alone in (EVERYWHERE, NOWHERE):
        if alone in found and len(found) > 1:
            raise where.error(f"has {alone} beside others; Istio takes {alone} alone.")
    return tuple(found)
