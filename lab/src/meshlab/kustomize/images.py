"""`images`: names, tags and digests of container images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshlab.kustomize import fields
from meshlab.kustomize.fieldspecs import FieldSpec, find
from meshlab.kustomize.places import Place
from meshlab.manifest import ManifestError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.kustomize.resource import Resource

__all__ = ["set_image"]

# What may follow the name: a tag, and a digest of any algorithm (api/internal/image/image.go).
_TAG = r"(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?"
_LISTS = ("containers", "initContainers")


@dataclass(frozen=True)
class _Image:
    """One entry of `images`."""

    pattern: re.Pattern[str]
    new_name: str
    new_tag: str
    suffix: str
    digest: str

    def changed(self, image: str) -> str:
        if not self.pattern.search(image):
            return image
        name, tag, digest = _parts(image)
        if self.new_tag or self.digest:
            tag, digest = self.new_tag, self.digest
        elif self.suffix:
            tag, digest = tag + self.suffix, ""
        return (self.new_name or name) + (tag and f":{tag}") + (digest and f"@{digest}")


def set_image(entry: object, resources: Iterable[Resource], specs: Iterable[FieldSpec], where: str) -> None:
    """Apply one entry of `images`, in place.

    Every list called `containers` or `initContainers` is searched at any depth, then the configured fields. kustomize
    does both too, so that a `tagSuffix` is appended twice to the image of a container.

    Raises:
        ManifestError: An unknown field, or an image that is not a string.
    """
    image = _read(entry, where)
    known = tuple(specs)
    for resource in resources:
        if resource.kind == "CustomResourceDefinition":
            continue
        for place in _containers(resource.body):
            _change(place, image, resource)
        for spec in known:
            if spec.selects(resource.current_id):
                for place in find(resource, spec):
                    _change(place, image, resource)


def _read(entry: object, where: str) -> _Image:
    spec = fields.known(entry, ("name", "newName", "newTag", "tagSuffix", "digest"), where)
    texts = {key: fields.optional(value, f"{where}.{key}") for key, value in spec.items()}
    try:
        # kustomize takes the name as a regular expression.
        pattern = re.compile("^" + texts.get("name", "") + _TAG + r"\Z")
    except re.error as error:
        raise ManifestError(f"{where}.name: is no regular expression: {error}.") from None
    return _Image(
        pattern,
        texts.get("newName", ""),
        texts.get("newTag", ""),
        texts.get("tagSuffix", ""),
        texts.get("digest", ""),
    )


def _change(place: Place, image: _Image, resource: Resource) -> None:
    value = place.value
    if value is None:
        return
    if isinstance(value, dict | list):
        raise ManifestError(f"{resource}: image: expected a string, found {value!r}.")
    if isinstance(value, str):
        place.put(image.changed(value))


def _containers(value: Any) -> Iterator[Place]:  # noqa: ANN401 - any YAML value
    if isinstance(value, list):
        for item in value:
            yield from _containers(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _containers(item)
            for container in item if key in _LISTS and isinstance(item, list) else ():
                if isinstance(container, dict) and "image" in container:
                    yield Place(container, "image")


def _parts(image: str) -> tuple[str, str, str]:
    """Split an image into name, tag and digest. A colon before the first slash belongs to the port of the host."""
    start = max(image.find("/"), 0)
    head, _, digest = image[start:].partition("@")
    if ":" in head:
        head, _, tag = head.partition(":")
        return image[:start] + head, tag, digest
    return image[:start] + head, "", digest
