"""One object of a build, together with the names that it had before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshlab.kustomize.object_ids import ObjectId, checked, object_id
from meshlab.kustomize.yaml_values import clone_located
from meshlab.manifest import Manifest, to_manifest

__all__ = ["Resource"]


@dataclass(eq=False)
class Resource:
    """One object of a build. Transformers change its body in place.

    Attributes:
        body: The object.
        source: Where it came from, as in `Manifest`.
        line: Where it begins there, from 1; 0 where that is not known.
        needs_hash: Whether a hash of its content is appended to its name at the end.
        former: Namespace (effective), name and kind that it had before, oldest first.
        prefixes: The name prefixes that it got, innermost first.
        suffixes: The name suffixes that it got, innermost first.
        variables: Names of the `vars` that read a field of it.
    """

    body: dict[str, Any]
    source: str
    line: int = 0
    needs_hash: bool = False
    former: list[tuple[str, str, str]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: object, source: str, line: int) -> Resource:
        """Return a document as a resource with a body of its own.

        Raises:
            ManifestError: It is no object with a name.
        """
        return cls(clone_located(checked(document, source, line)), source, line)

    @property
    def api_version(self) -> str:
        """Return the `apiVersion` as written."""
        return str(self.body["apiVersion"])

    @property
    def group(self) -> str:
        """Return the API group; an empty string for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Return the version within the group."""
        return self.api_version.rpartition("/")[2]

    @property
    def kind(self) -> str:
        """Return the kind."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Return the current name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Return the current namespace as written, or an empty string."""
        return str(self.body["metadata"].get("namespace") or "")

    @property
    def current_id(self) -> ObjectId:
        """Return the identity as the object says now."""
        return object_id(self.api_version, self.kind, self.name, self.namespace)

    @property
    def former_ids(self) -> list[ObjectId]:
        """Return the identities that it had before, oldest first."""
        return [
            ObjectId(self.group, self.version, kind, name, namespace) for namespace, name, kind in self.former
        ]

    @property
    def ids(self) -> list[ObjectId]:
        """Return every identity that it has or had, oldest first."""
        return [*self.former_ids, self.current_id]

    @property
    def original_id(self) -> ObjectId:
        """Return its first identity."""
        return self.ids[0]

    def remember(self) -> None:
        """Record the current identity before a change to the name, namespace or kind."""
        identity = self.current_id
        self.former.append((identity.namespace, identity.name, identity.kind))

    def check(self) -> None:
        """Check that a change left what every object must have.

        Raises:
            ManifestError: It did not.
        """
        checked(self.body, self.source, self.line)

    def manifest(self) -> Manifest:
        """Return the object as a manifest.

        Raises:
            ManifestError: Kubernetes would not take its name or its namespace.
        """
        return to_manifest(self.body, self.source, line=self.line)

    def __str__(self) -> str:
        """Return the place and the qualified name, as error messages begin."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        qualified = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{place}: {self.kind} {qualified}"
