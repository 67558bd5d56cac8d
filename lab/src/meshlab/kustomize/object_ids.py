"""Identity of objects in a build, and the fields that every object needs for it."""

from __future__ import annotations

from typing import Any

from meshlab.kustomize.scopes import is_cluster_scoped
from meshlab.manifest import ManifestError, Problem
from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import shown_value

__all__ = ["NO_NAMESPACE", "ObjectId", "checked", "object_id"]

# An effective namespace, as kustomize calls the one of objects that have none. No namespace can be called so.
NO_NAMESPACE = "_non_namespaceable_"
_DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class ObjectId:
    """Identity of one object.

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
        if self.namespace in (NO_NAMESPACE, _DEFAULT_NAMESPACE):
            return f"{self.kind} {self.name}"
        return f"{self.kind} {self.namespace}/{self.name}"


def object_id(api_version: str, kind: str, name: str, namespace: str) -> ObjectId:
    """Return the identity of an object from what its fields say."""
    group, _, version = api_version.rpartition("/")
    if is_cluster_scoped(api_version, kind):
        namespace = NO_NAMESPACE
    return ObjectId(group, version, kind, name, namespace or _DEFAULT_NAMESPACE)


def checked(document: object, source: str, line: int = 0) -> dict[str, Any]:
    """Return a document that is an object with a name.

    Any string is a name here, because a base may have a placeholder that a patch or a variable replaces.

    Args:
        document: What the YAML said.
        source: What to call its origin in messages.
        line: Where it begins there, from 1; 0 where that is not known.

    Raises:
        ManifestError: It has no `apiVersion`, `kind` or `metadata.name`, or its labels or annotations are no mapping.
    """
    if not isinstance(document, dict):
        found = type(document).__name__
        raise ManifestError(Problem(source, line, "", "", f"expected a Kubernetes object, found {found}."))
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        text = "the object has no metadata; give it a metadata.name."
        raise ManifestError(Problem(source, line, "", "", text))
    required = {"apiVersion": document.get("apiVersion"), "kind": document.get("kind")}
    required["metadata.name"] = metadata.get("name")
    for path, value in required.items():
        if not isinstance(value, str) or not value:
            raise ManifestError(
                Problem(source, line, "", path, f"expected a string, found {shown_value(value)}.")
            )
    for name, kind, text in (
        ("namespace", str, "a string"),
        ("labels", dict, "a mapping"),
        ("annotations", dict, "a mapping"),
    ):
        value = metadata.get(name)
        if value is not None and not isinstance(value, kind):
            subject = f"{document['kind']} {metadata['name']}"
            problem = f"expected {text}, found {shown_value(value)}."
            raise ManifestError(Problem(source, line, subject, f"metadata.{name}", problem))
    return document
