"""Shared part of all routes: what they attach to, which hosts they are for, and names of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.istio.read.gateway_api.references import ParentRef, read_parents
from meshlab.istio.read.gateway_api.schema_values import checked_spec, hostnames, unimplemented
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = ["Route", "check_rule_names", "read_route_fields", "route_spec"]

_NO_DEFAULT_GATEWAYS = {
    "useDefaultGateways": "Istio does not implement it; routes attach by parentRefs alone."
}


@dataclass(frozen=True)
class Route:
    """What routes of all protocols have in common.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        parents: What it attaches to.
        hostnames: The hosts that it is for, for a TLSRoute the server names that clients ask for; none for all.
        not_implemented: Fields that Istio does not implement, each with what follows.
        where: Its spec.
    """

    namespace: str
    name: str
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


def route_spec(manifest: Manifest, fields: Iterable[str] = ("parentRefs", "hostnames", "rules")) -> Fields:
    """Return the spec of a route.

    Args:
        manifest: The route.
        fields: The fields that its kind has.

    Raises:
        ManifestError: It has another field.
    """
    return checked_spec(manifest, tuple(fields), passed_over=_NO_DEFAULT_GATEWAYS)


def read_route_fields(manifest: Manifest, spec: Fields) -> dict[str, Any]:
    """Return the fields of `Route` by name, for the constructor of one kind of route.

    Raises:
        ManifestError: The schema refuses a parent or a host name.
    """
    return {
        "namespace": manifest.namespace,
        "name": manifest.name,
        "parents": read_parents(spec, manifest.namespace),
        "hostnames": hostnames(spec),
        "not_implemented": unimplemented(spec, _NO_DEFAULT_GATEWAYS),
        "where": spec.where,
    }


def check_rule_names(names: Iterable[tuple[str | None, Where]]) -> None:
    """Refuse two rules of one name.

    Raises:
        ManifestError: There are two.
    """
    seen: set[str] = set()
    for name, where in names:
        if name is not None and name in seen:
            raise where.key("name").error(f"{name!r} stands here twice; rename one.")
        seen.add(name or "")
