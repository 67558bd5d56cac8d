"""Objects, transformer configuration and variables that a build has gathered so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshlab.kustomize.configuration import Configuration
from meshlab.kustomize.resource_list import append
from meshlab.manifest import ManifestError

if TYPE_CHECKING:
    from meshlab.kustomize.resource import Resource
    from meshlab.kustomize.variables import Variable

__all__ = ["Accumulator"]


@dataclass
class Accumulator:
    """What a kustomization and those below it make.

    Attributes:
        resources: The objects in the order in which the files list them.
        configuration: What the transformers change. That of a kustomization below counts above it too.
        variables: The `vars` by their name.
    """

    resources: list[Resource] = field(default_factory=list)
    configuration: Configuration = field(default_factory=Configuration)
    variables: dict[str, Variable] = field(default_factory=dict)

    def take(self, other: Accumulator, where: str) -> None:
        """Add what a kustomization below has made.

        Raises:
            ManifestError: It has an object or a variable that is here already, or contradicts the configuration.
        """
        append(self.resources, other.resources)
        self.configuration = self.configuration.plus(other.configuration, where)
        for name, variable in other.variables.items():
            if name in self.variables:
                raise ManifestError(
                    f"{variable.where}.name: {name} is defined in {self.variables[name].where} too; rename one."
                )
            self.variables[name] = variable
