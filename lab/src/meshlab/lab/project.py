"""Project files and the values of its contract. The lab reads them as data and imports none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.env_file import read_env_file
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKER = Path("infra/contract.env")
DEFAULT_OVERLAY = "example"
_OVERLAY_OF = {"google-id-token": "keyless"}


@dataclass(frozen=True)
class Project:
    """A checkout of the project.

    Attributes:
        root: Its top directory.
        overlay: Directory of the kustomize overlay to run.
    """

    root: Path
    overlay: Path

    @classmethod
    def find(cls, *, root: Path | None = None, overlay: str | Path | None = None) -> Project:
        """Find the project around the working directory.

        No other checkout is taken in its place, such as the one that this package runs from: its answer would be about
        other files than those that the user looks at.

        Args:
            root: The top directory, when it should not be searched for.
            overlay: A name below `infra/mesh/overlays`, or a directory; by default that of the contract's `MESH_AUTH`.

        Raises:
            LabError: There is no project or no such overlay.
        """
        top = root or _search()
        if not (top / _MARKER).is_file():
            raise LabError(f"{top} holds no {_MARKER}: name the project's top directory with --project")
        if overlay is None:
            overlay = _OVERLAY_OF.get(read_env_file(top / _MARKER).get("MESH_AUTH", ""), DEFAULT_OVERLAY)
        candidates = [top / "infra/mesh/overlays" / overlay, Path(overlay)]
        for candidate in candidates:
            if (candidate / "kustomization.yaml").is_file():
                return cls(top, candidate)
        # `glob` yields nothing where the directory is missing.
        known = ", ".join(sorted(path.name for path in (top / "infra/mesh").glob("overlays/*"))) or "none"
        raise LabError(
            f"no overlay {str(overlay)!r} in {top}: expected a directory with a kustomization.yaml, or one of {known}"
        )

    @property
    def jwks_file(self) -> Path:
        """The function's public keys in the overlay, where it has any: the one file whose content the lab replaces."""
        return self.overlay / "keys/enrichment.json"

    @property
    def is_keyless(self) -> bool:
        """Whether the function has no key in the overlay, and calls with Google's ID token of its account."""
        return not self.jwks_file.is_file()

    @property
    def function_source(self) -> Path:
        """The function's entry points."""
        return self.root / "function/main.py"

    @property
    def table_file(self) -> Path:
        """The definition of the function's table."""
        return self.root / "function/enrichment/table.json"

    @property
    def pipeline_file(self) -> Path:
        """What the function does with events."""
        return self.root / "function/pipeline.toml"

    @property
    def policy_tests(self) -> Path:
        """The policy tests of the overlay's mesh; those of other meshes need other manifests."""
        own = self.root / "infra/policy-tests/overlays" / self.overlay.name
        return own if own.is_dir() else self.root / "infra/policy-tests/ingress"

    def contract(self) -> Mapping[str, str]:
        """Return the values of `infra/contract.env`, defaults filled in.

        Raises:
            LabError: It cannot be read, or values are missing or wrong.
        """
        from meshcontract import ContractError, load  # which the bench alone does not need

        try:
            return load(self.root / _MARKER)
        except ContractError as error:
            raise LabError(str(error)) from None


def _search() -> Path:
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / _MARKER).is_file():
            return directory
    raise LabError(
        f"{here} is not in a checkout of the project (there is no {_MARKER} here or above): go to one, or name it"
        " with --project"
    )
