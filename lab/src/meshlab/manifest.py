"""A Kubernetes object as written: where it stands, and what it says.

YAML is read the way `kubectl` reads it, with one difference: what YAML 1.1 and YAML 1.2 readers disagree on
is refused rather than guessed, because a policy must mean the same to every tool that reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Manifest", "ManifestError", "parse_manifests", "parse_yaml", "to_manifest"]


class ManifestError(Exception):
    """A manifest was refused.

    The message starts with the file, then names the object and the field, says what is wrong with it and what
    to do about it.
    """


@dataclass(frozen=True)
class Manifest:
    """One Kubernetes object.

    Attributes:
        api_version: `apiVersion` as written, such as `security.istio.io/v1`.
        kind: `kind` as written.
        name: `metadata.name`.
        namespace: `metadata.namespace`, or an empty string where there is none.
        body: The whole object. Treat it as read-only.
        source: The file it came from; with `#N` where it is the Nth document of a file with several.
    """

    api_version: str
    kind: str
    name: str
    namespace: str
    body: Mapping[str, Any]
    source: str

    @property
    def group(self) -> str:
        """The API group: an empty string for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version within the group, such as `v1`."""
        return self.api_version.rpartition("/")[2]

    def __str__(self) -> str:
        """The file, the kind and the qualified name, as error messages begin."""
        qualified = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.source}: {self.kind} {qualified}"


def parse_manifests(text: str, source: str) -> list[Manifest]:
    """Read the objects of one YAML file, in their order.

    Args:
        text: The file's content; any number of documents.
        source: What to call the file in error messages.

    Returns:
        One manifest per document that is not empty.

    Raises:
        ManifestError: The text is not YAML, or a document is not a Kubernetes object.
    """
    documents = [document for document in parse_yaml(text, source) if document is not None]
    if len(documents) == 1:
        return [to_manifest(documents[0], source)]
    return [to_manifest(document, f"{source}#{number}") for number, document in enumerate(documents, start=1)]


def to_manifest(document: object, source: str) -> Manifest:
    """Name a parsed object.

    Args:
        document: What the YAML said.
        source: What to call its origin in error messages.

    Raises:
        ManifestError: It has no `apiVersion`, `kind` or `metadata.name`, or is a `List`.
    """
    if not isinstance(document, dict):
        raise ManifestError(f"{source}: expected a Kubernetes object, found {type(document).__name__}.")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        raise ManifestError(f"{source}: the object has no metadata; give it a metadata.name.")
    named = {
        "apiVersion": document.get("apiVersion"),
        "kind": document.get("kind"),
        "metadata.name": metadata.get("name"),
        "metadata.namespace": metadata.get("namespace", ""),
    }
    for field, value in named.items():
        if not isinstance(value, str) or not (value or field == "metadata.namespace"):
            raise ManifestError(f"{source}: {field}: expected a string, found {value!r}.")
    if document["kind"] == "List":
        raise ManifestError(f"{source}: kind: List is not read; write its items as documents of their own.")
    return Manifest(
        api_version=document["apiVersion"],
        kind=document["kind"],
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        body=document,
        source=source,
    )


def parse_yaml(text: str, source: str) -> list[object]:
    """Read every document of a YAML text with the strict loader.

    Args:
        text: The YAML.
        source: What to call it in error messages.

    Raises:
        ManifestError: Not YAML, a duplicate or non-string key, or a scalar that readers disagree on.
    """
    try:
        return list(yaml.load_all(text, Loader=_StrictLoader))
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise ManifestError(f"{source}:{line} {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ManifestError(f"{source}: not YAML: {error}.") from None


class _StrictLoader(yaml.CSafeLoader):
    """Safe YAML with Kubernetes' types, unique string keys, and no scalar that two readers read differently."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's API


def _resolve(tag: str, pattern: str, first: str) -> None:
    _StrictLoader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), list(first) or [""])


_AMBIGUOUS = "!ambiguous"
_resolve("tag:yaml.org,2002:null", "~|null|Null|NULL|", "~nN")
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_resolve("tag:yaml.org,2002:bool", "true|True|TRUE|false|False|FALSE", "tTfF")
# A leading zero means octal to Kubernetes, as in defaultMode: 0440.
_resolve("tag:yaml.org,2002:int", "[-+]?(?:0|[1-9][0-9]*|0[0-7]+|0x[0-9a-fA-F]+)", "-+0123456789")
_resolve("tag:yaml.org,2002:float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")
_resolve(_AMBIGUOUS, "y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF", "yYnNoO")
_resolve(_AMBIGUOUS, r"[-+]?(?:0[0-9]*[89][0-9]*|0o[0-7]+|0b[01_]+|[0-9][0-9_]*_[0-9_]*)", "-+0123456789")
_resolve(_AMBIGUOUS, r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789")
_resolve("tag:yaml.org,2002:merge", "<<", "<")


def _refuse_ambiguous(loader: _StrictLoader, node: yaml.ScalarNode) -> object:
    raise yaml.constructor.ConstructorError(
        None, None, f"{node.value} is read differently by different YAML readers; quote it", node.start_mark
    )


def _unique_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[str, object]:
    found: dict[str, object] = {}
    for key_node, value_node in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            problem = "the merge key << is not read; write the fields out"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            problem = f"the key {key!r} is not a string; quote it"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        if key in found:
            problem = f"the key {key} stands here twice; the first would be lost"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_StrictLoader.add_constructor(_AMBIGUOUS, _refuse_ambiguous)
_StrictLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)
