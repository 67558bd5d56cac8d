"""One object of a build, together with the names that it had before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshlab.kustomize.scopes import is_cluster_scoped
from meshlab.kustomize.values import clone_located
from meshlab.manifest import Manifest, ManifestError, to_manifest

__all__ = ["NO_NAMESPACE", "ObjectId", "Resource", "object_id"]

# An effective namespace, as kustomize calls the one of objects that have none. No namespace can be called so.
NO_NAMESPACE = "_non_namespaceable_"
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class ObjectId:
    """What tells one object from another.

    Attributes:
        group: API group; an empty string for the core group.
        version: Version within the group.
        kind: Kind.
        name: Name.
        namespace: Effective namespace: `default` where none is written, `NO_NAMESPACE` for a cluster-scoped kind.
    """

    group: str
    version: str
    kind: str
    name: str
    namespace: str

    def __str__(self) -> str:
        """Return the kind and the qualified name."""
        if self.namespace in (NO_NAMESPACE, DEFAULT_NAMESPACE):
            return f"{self.kind} {self.name}"
        return f"{self.kind} {self.namespace}/{self.name}"


def object_id(api_version: str, kind: str, name: str, namespace: str) -> ObjectId:
    """Return the identity of an object from what its fields say."""
    group, _, version = api_version.rpartition("/")
    if is_cluster_scoped(api_version, kind):
        namespace = NO_NAMESPACE
    return ObjectId(group, version, kind, name, namespace or DEFAULT_NAMESPACE)


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
    def of(cls, manifest: Manifest) -> Resource:
        """Return a manifest as a resource with a body of its own.

        Raises:
            ManifestError: Its labels or annotations are no mapping.
        """
        resource = cls(clone_located(manifest.body), manifest.source, manifest.line)
        resource.manifest()
        return resource

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

    def manifest(self) -> Manifest:
        """Return the object as a manifest.

        Raises:
            ManifestError: It has no kind or name, or its labels or annotations are no mapping.
        """
        manifest = to_manifest(self.body, self.source, line=self.line)
        for name in ("labels", "annotations"):
            found = self.body["metadata"].get(name)
            if found is not None and not isinstance(found, dict):
                raise ManifestError(f"{manifest}: metadata.{name}: expected a mapping, found {found!r}.")
        return manifest

    def __str__(self) -> str:
        """Return the place and the qualified name, as error messages begin."""
        return str(to_manifest(self.body, self.source, line=self.line))
