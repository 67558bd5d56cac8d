"""Parts of the manifests that a case can exercise: rules, conditions, routes and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.istio.read.authorization_policy import OPERATION_FIELDS, SOURCE_FIELDS
from meshlab.istio.read.fields import Where
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.istio.model.mesh import Mesh
    from meshlab.istio.read.authorization_policy import AuthorizationPolicy, Rule, Values
    from meshlab.istio.read.virtual_service import VirtualService

__all__ = ["KINDS", "Item", "ItemPlace", "Kind", "items_of", "place_of"]

Kind = Literal["rule", "condition", "route", "server"]
KINDS: tuple[Kind, ...] = ("rule", "condition", "route", "server")


@dataclass(frozen=True)
class ItemPlace:
    """A place in the manifests.

    Attributes:
        file: The file.
        line: The line in it, from 1.
        object: The object, as `Kind namespace/name`.
        path: The field, such as `spec.rules[0]`.
    """

    file: str
    line: int
    object: str
    path: str


@dataclass(frozen=True)
class Item:
    """Something that a case can exercise.

    Attributes:
        kind: What it is.
        place: Where it stands.
        owner: Where its object begins.
        text: What it says, in a few words.
        rule: For a condition, where its rule stands.
    """

    kind: Kind
    place: ItemPlace
    owner: ItemPlace
    text: str = ""
    rule: ItemPlace | None = None


def items_of(mesh: Mesh) -> list[Item]:
    """Return everything in a mesh that a case can exercise, each once, in the order of the objects."""
    found = [
        *(item for policy in mesh.authorization_policies for item in _of_policy(policy)),
        *(item for service in mesh.virtual_services for item in _of_virtual_service(service)),
        *(
            _item("server", server.where, ", ".join(host.key for host in server.hosts))
            for gateway in mesh.gateways
            for server in gateway.servers
        ),
    ]
    return list({(item.kind, item.place): item for item in found}.values())


def place_of(where: Where) -> ItemPlace:
    """Return the place of a field."""
    found = where.manifest.problem(where.keys, "")
    return ItemPlace(found.source, found.line, found.subject, found.path)


def _item(kind: Kind, where: Where, text: str = "", rule: ItemPlace | None = None) -> Item:
    return Item(kind, place_of(where), place_of(Where(where.manifest)), text, rule)


def _of_policy(policy: AuthorizationPolicy) -> Iterator[Item]:
    manifest = Where(policy.attachment.where.manifest)
    if not policy.rules:
        # It keeps out what no other policy lets in.
        yield _item("rule", manifest.key("spec"), f"{policy.action} without rules")
    for index, rule in enumerate(policy.rules):
        where = manifest.key("spec", "rules").item(index)
        yield _item("rule", where, policy.action)
        for condition, text in _conditions(rule, where):
            yield _item("condition", condition, text, place_of(where))


def _conditions(rule: Rule, where: Where) -> Iterator[tuple[Where, str]]:
    for index, source in enumerate(rule.sources):
        yield from _of_entry(source, where.key("from").item(index).key("source"), SOURCE_FIELDS)
    for index, operation in enumerate(rule.operations):
        yield from _of_entry(operation, where.key("to").item(index).key("operation"), OPERATION_FIELDS)
    for index, condition in enumerate(rule.conditions):
        below = where.key("when").item(index)
        if condition.values.any_of:
            yield below.key("values"), f"{condition.key}: {_listed(condition.values.any_of)}"
        if condition.values.none_of:
            yield below.key("notValues"), f"{condition.key}, none of: {_listed(condition.values.none_of)}"


def _of_entry(
    entry: Mapping[str, Values], below: Where, fields: Sequence[str]
) -> Iterator[tuple[Where, str]]:
    for name in fields:
        values = entry.get(name)
        if values and values.any_of:
            yield below.key(name), _listed(values.any_of)
        if values and values.none_of:
            yield below.key(f"not{name[0].upper()}{name[1:]}"), _listed(values.none_of)


def _of_virtual_service(service: VirtualService) -> Iterator[Item]:
    for entry in service.http:
        if entry.delegate is not None:
            continue  # the routes of the other VirtualService take its place
        # A delegate's matches are joined with those of the entry that delegates.
        if len(entry.matches) > 1 and not service.is_delegate:
            for index in range(len(entry.matches)):
                yield _item("route", entry.where.key("match").item(index), entry.name)
        else:
            yield _item("route", entry.where, "" if service.gateway_api else entry.name)
    for name, entries in (("tls", service.tls), ("tcp", service.tcp)):
        for index in range(len(entries)):
            yield _item("route", service.where.key(name).item(index))


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values)
