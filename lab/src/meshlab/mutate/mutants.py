"""Changes of one object: each condition removed, and each made wider. Pure; the objects are plain mappings."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshlab.mutate.mesh_settings import mesh_config_changes
from meshlab.mutate.registry import destination_rule_changes, service_entry_changes, sidecar_changes
from meshlab.mutate.routing import gateway_changes, virtual_service_changes
from meshlab.mutate.security import (
    authorization_policy_changes,
    peer_authentication_changes,
    request_authentication_changes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshlab.mutate.edits import Body, Changes

__all__ = ["Mutant", "mutants_of"]


@dataclass(frozen=True)
class Mutant:
    """One object with one change.

    Attributes:
        kind: Its kind.
        namespace: Its namespace.
        name: Its name.
        path: The field, such as `spec.rules.0.from.0.source.principals`.
        change: What was done to it.
        body: The object as it is then; `None` where it is gone.
    """

    kind: str
    namespace: str
    name: str
    path: str
    change: str
    body: Body | None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}: {self.path}: {self.change}"


def mutants_of(body: Mapping[str, Any]) -> list[Mutant]:
    """Return the mutants of an object; none for a kind that decides no request."""
    kind = body["kind"]
    if kind not in _CHANGES:
        return []
    found = []
    metadata = body["metadata"]
    for path, change, changed in _CHANGES[kind](copy.deepcopy(dict(body))):
        place = ".".join(map(str, path)) or "the object"
        found.append(Mutant(kind, metadata.get("namespace", ""), metadata["name"], place, change, changed))
    return found


_CHANGES: dict[str, Callable[[Body], Changes]] = {
    "AuthorizationPolicy": authorization_policy_changes,
    "DestinationRule": destination_rule_changes,
    "Gateway": gateway_changes,
    "MeshConfig": mesh_config_changes,
    "PeerAuthentication": peer_authentication_changes,
    "RequestAuthentication": request_authentication_changes,
    "ServiceEntry": service_entry_changes,
    "Sidecar": sidecar_changes,
    "VirtualService": virtual_service_changes,
}
