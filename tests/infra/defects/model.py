"""One defect: the row that describes it, the change that brings it back, and what must then fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import with_value, without

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MESHES", "ROOT", "Body", "Change", "Check", "Defect", "Mesh", "Objects"]

ROOT = Path(__file__).parents[3]

Body = dict[str, Any]


@dataclass(frozen=True)
class Mesh:
    """Manifests and their policy tests.

    Attributes:
        manifests: The directory of a kustomization.
        cases: Its policy tests; empty where it has none.
        values: Values for `${NAME}` in the cases.
        mesh_config: A MeshConfig, which is changed like an object.
    """

    manifests: Path
    cases: tuple[Path, ...] = ()
    values: Path = ROOT / "infra/contract.env"
    mesh_config: Path | None = None


_BRIDGE = "infra/mesh/lambda-bridge"
MESHES = {
    "ingress": Mesh(ROOT / "infra/mesh/overlays/example", (ROOT / "infra/policy-tests/ingress",)),
    "egress": Mesh(
        ROOT / "infra/mesh/egress/overlays/example",
        (ROOT / "infra/policy-tests/egress/teams",),
        mesh_config=ROOT / "infra/mesh/platform/mesh-config.yaml",
    ),
    **{
        side: Mesh(
            ROOT / _BRIDGE / "overlays" / side,
            (ROOT / "infra/policy-tests/lambda-bridge" / side,),
            ROOT / _BRIDGE / "contract/bridge.env",
        )
        for side in ("gke", "eks")
    },
    "admission": Mesh(ROOT / "infra/mesh/access/admission"),
    "roles": Mesh(ROOT / "infra/mesh/access"),
    "bindings": Mesh(ROOT / "infra/mesh/access/bindings/example"),
}
"""What defects are brought back into."""


class Objects:
    """Objects by kind, namespace and name, such as `Gateway istio-egress/egress`, which a change edits."""

    def __init__(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        self._bodies: dict[str, Body] = {_name(body): dict(body) for body in bodies}

    @property
    def bodies(self) -> list[Body]:
        """The objects as they are now."""
        return list(self._bodies.values())

    def get(self, name: str) -> Body:
        """Return one object."""
        return self._bodies[name]

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind."""
        return [name for name in self._bodies if name.startswith(f"{kind} ")]

    def set(self, name: str, *path: str | int, value: object) -> None:
        """Write a value into a field."""
        self._bodies[name] = with_value(self._bodies[name], path, value)

    def remove(self, name: str, *path: str | int) -> None:
        """Remove a field, or an entry of a list."""
        self._bodies[name] = without(self._bodies[name], path)

    def append(self, name: str, *path: str | int, value: object) -> None:
        """Add an entry to a list."""
        found: Any = self._bodies[name]
        for key in path:
            found = found[key]
        self.set(name, *path, value=[*found, value])

    def drop(self, *names: str) -> None:
        """Remove objects."""
        for name in names:
            del self._bodies[name]

    def add(self, body: Mapping[str, Any]) -> None:
        """Add an object."""
        self._bodies[_name(body)] = dict(body)


def _name(body: Mapping[str, Any]) -> str:
    metadata = body["metadata"]
    return f"{body['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


Change = Callable[[Objects], None]
Check = Callable[[list[Body]], None]
"""Looks at the objects of a mesh; raises AssertionError where they are wrong."""


@dataclass(frozen=True)
class Defect:
    """A defect of a source document, brought back.

    Attributes:
        row: Its number in the list of defects.
        wrong: What the document's manifests do.
        mesh: The manifests that it is brought back into.
        change: Brings it back.
        cases: Names of policy tests that must then fail, each with a part of what the bench says that happened.
        checks: Tests of the objects that must then fail.
    """

    row: str
    wrong: str
    mesh: str
    change: Change
    cases: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()

    def __str__(self) -> str:
        return f"{self.row} {self.wrong}"
