"""Configuration of the transformers: kustomize's defaults, and what `configurations` and `crds` add."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.kustomize import fields
from meshlab.kustomize.default_fields import DEFAULT_FIELDS
from meshlab.kustomize.default_references import DEFAULT_REFERENCES
from meshlab.kustomize.fieldspecs import FieldSpec, merged, read_field_spec
from meshlab.kustomize.name_references import NameReference, merged_references, read_name_reference
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULTS", "Configuration", "read_configuration"]

_REFERENCES = "nameReference"


@dataclass(frozen=True)
class Configuration:
    """The fields that the transformers change.

    Attributes:
        sections: Field specifications by the name of the section of a `configurations` file.
        references: Which fields hold names of which kinds.
    """

    sections: Mapping[str, tuple[FieldSpec, ...]] = field(default_factory=dict)
    references: tuple[NameReference, ...] = ()

    def fields(self, section: str) -> tuple[FieldSpec, ...]:
        """Return the field specifications of a section."""
        return self.sections.get(section, ())

    def plus(self, other: Configuration, where: str) -> Configuration:
        """Return both, merged.

        Raises:
            ManifestError: They disagree about whether a field is created.
        """
        sections = {
            name: merged(self.fields(name), other.fields(name), f"{where}: {name}")
            for name in {**self.sections, **other.sections}
        }
        return Configuration(
            sections, merged_references(self.references, other.references, f"{where}: {_REFERENCES}")
        )


DEFAULTS = Configuration(DEFAULT_FIELDS, DEFAULT_REFERENCES)


def read_configuration(document: object, where: str) -> Configuration:
    """Read a file that `configurations` lists.

    Raises:
        ManifestError: It has an unknown section, or a specification has an unknown field.
    """
    spec = fields.mapping(document, where)
    sections: dict[str, tuple[FieldSpec, ...]] = {}
    references: tuple[NameReference, ...] = ()
    for name, entries in spec.items():
        if name != _REFERENCES and name not in DEFAULT_FIELDS:
            known = ", ".join((*DEFAULT_FIELDS, _REFERENCES))
            raise ManifestError(f"{where}.{name}: kustomize has no such section; it has {known}.")
        for index, entry in enumerate(fields.listing(entries, f"{where}.{name}")):
            place = f"{where}.{name}[{index}]"
            if name == _REFERENCES:
                references = merged_references(references, (read_name_reference(entry, place),), place)
            else:
                sections[name] = merged(sections.get(name, ()), (read_field_spec(entry, place),), place)
    return Configuration(sections, references)
