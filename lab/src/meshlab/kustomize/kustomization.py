"""The kustomization file: found, read, checked, and brought into today's spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.file_access import Files, name
from meshlab.manifest import ManifestError, documents_of, parse_yaml
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILE_NAMES", "Kustomization", "read_kustomization"]

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_API_VERSIONS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_READ = (
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "bases",
    "components",
    "configurations",
    "crds",
    "openapi",
    "generatorOptions",
    "configMapGenerator",
    "secretGenerator",
    "patchesStrategicMerge",
    "patches",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "labels",
    "commonLabels",
    "commonAnnotations",
    "patchesJson6902",
    "replicas",
    "images",
    "imageTags",
    "replacements",
    "vars",
    "sortOptions",
    "buildMetadata",
)
_CHART = "charts are not rendered; run `helm template`, and list its output under resources"
_PLUGIN = "plugins are not run; use the fields of the kustomization instead, or build with kustomize"
_REFUSED = {
    "helmCharts": _CHART,
    "helmChartInflationGenerator": _CHART,
    "helmGlobals": _CHART,
    "generators": _PLUGIN,
    "transformers": _PLUGIN,
    "validators": _PLUGIN,
}
# kustomize reads names of fields whatever their case.
_SPELLINGS = {known.lower(): known for known in (*_READ, *_REFUSED)}


@dataclass(frozen=True)
class Kustomization:
    """One kustomization file.

    Attributes:
        directory: The directory that it is in.
        path: Its path, for messages.
        kind: Kustomization or Component.
        spec: Its fields.
        files: Where what it refers to is read.
    """

    directory: Path
    path: str
    kind: str
    spec: dict[str, Any]
    files: Files

    def load(self, reference: str, where: str) -> str:
        """Return the text of a file that the kustomization refers to."""
        return self.files.read(self.files.within(self.directory, reference, where))

    def documents(self, reference: str, where: str) -> list[object]:
        """Return the documents of a YAML file that the kustomization refers to."""
        path = self.files.within(self.directory, reference, where)
        return [document for document, _ in documents_of(self.files.read(path), name(path))]

    def strings(self, field: str) -> list[str]:
        """Return a field that is a list of strings."""
        return fields.string_list(self.spec.get(field), f"{self.path}: {field}")

    def text(self, field: str) -> str:
        """Return a field that is a string, empty where it is missing."""
        return fields.optional(self.spec.get(field), f"{self.path}: {field}")

    def pairs(self, field: str) -> dict[str, str]:
        """Return a field that is a mapping of strings."""
        return fields.string_map(self.spec.get(field), f"{self.path}: {field}")

    def entries(self, field: str) -> list[tuple[object, str]]:
        """Return the entries of a field that is a list, each with its place for messages."""
        listed = fields.listing(self.spec.get(field), f"{self.path}: {field}")
        return [(entry, f"{self.path}: {field}[{index}]") for index, entry in enumerate(listed)]


def read_kustomization(directory: Path, files: Files) -> Kustomization:
    """Read the kustomization file of a directory.

    Raises:
        ManifestError: There is none or more than one, or it has a field outside the subset.
    """
    candidates = [directory / candidate for candidate in FILE_NAMES if (directory / candidate).is_file()]
    if len(candidates) != 1:
        raise ManifestError(
            f"{name(directory)}: holds {len(candidates)} of {', '.join(FILE_NAMES)}; one is needed."
        )
    path = name(candidates[0])
    documents = parse_yaml(files.read(candidates[0]), path)
    if len(documents) != 1:
        raise ManifestError(f"{path}: holds {len(documents)} documents; a kustomization is one.")
    written = fields.mapping(documents[0], path)
    spec = {_SPELLINGS.get(key.lower(), key): value for key, value in written.items()}
    for field in spec:
        if field in _REFUSED:
            raise ManifestError(f"{path}: {field}: {_REFUSED[field]}.")
    fields.known(spec, _READ, path)
    kind = spec.get("kind") or "Kustomization"
    if not isinstance(kind, str) or kind not in _API_VERSIONS:
        raise ManifestError(f"{path}: kind: {kind!r} is neither Kustomization nor Component.")
    if (spec.get("apiVersion") or _API_VERSIONS[kind]) != _API_VERSIONS[kind]:
        raise ManifestError(f"{path}: apiVersion: write {_API_VERSIONS[kind]}.")
    # Fields of before, which kustomize still reads.
    for old, new in (("bases", "resources"), ("imageTags", "images")):
        if spec.get(old) is not None:
            listed = fields.listing(spec.get(new), f"{path}: {new}")
            spec[new] = [*listed, *fields.listing(spec[old], f"{path}: {old}")]
    return Kustomization(directory, path, kind, spec, files)
