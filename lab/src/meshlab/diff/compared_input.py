"""One of the two inputs of a comparison: where it is, and what was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.inputs import Inputs
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio import MeshSettings

__all__ = ["NOTHING", "ComparedInput", "InputPlace"]

NOTHING = Inputs((), (), (), ())
"""The manifests of a side that does not exist."""


@dataclass(frozen=True)
class InputPlace:
    """Where one of the two inputs is.

    Attributes:
        path: A path, or `-` for standard input.
        revision: The revision that the path is read at; empty for the working tree.
        base_of: Another revision: the path is read where that one and `revision` parted.
        from_root: Whether the path counts from the root of the repository, as in `REVISION:PATH`.
        may_lack: Whether the path may be missing, because the other input is the same path at a revision.
    """

    path: str
    revision: str = ""
    base_of: str = ""
    from_root: bool = False
    may_lack: bool = False

    def __str__(self) -> str:
        """Return it as a user would write it, such as `main:overlays/production`."""
        if not self.revision:
            return self.path
        revision = f"{self.revision}...{self.base_of}" if self.base_of else self.revision
        return f"{revision}:{self.path}"


@dataclass(frozen=True)
class ComparedInput:
    """One of the two inputs, read.

    Attributes:
        name: What to call it.
        inputs: The manifests; none where the revision does not have the path.
        settings: The MeshConfig of its own file, if one is named.
        notes: What is to be known about it, one sentence each.
        lacks_path: Whether the path is not there, so that there are no manifests.
    """

    name: str
    inputs: Inputs
    settings: MeshSettings | None = None
    notes: tuple[str, ...] = ()
    lacks_path: bool = False
