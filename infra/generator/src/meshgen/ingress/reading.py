"""Descriptions of callers and services: read, and checked against each other. All problems are shown at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.yaml_reader import LocatedDict

from meshgen.contract import REFERENCE, misplaced
from meshgen.contract_file import contract_values
from meshgen.ingress.agreement import problems_between
from meshgen.ingress.model import Caller, Ingress, Route, Service
from meshgen.sources import (
    Description,
    DescriptionError,
    is_name,
    read_descriptions,
    shown,
    strange_files,
    validator_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["CALLERS_FILE", "overlays", "read_ingress", "read_overlay_ingress"]

CALLERS_FILE = "callers.yaml"
"""The file of an overlay that says what differs there from the callers of all overlays."""

_CALLERS = "infra/mesh/callers"
_SERVICES = "infra/mesh/services"
_OVERLAYS = "infra/mesh/overlays"
_SCHEMAS = "infra/mesh/schema"


def read_ingress(root: Path) -> Ingress:
    """Read all descriptions below a project's top directory.

    Raises:
        DescriptionError: With the problems of all files.
    """
    callers = sorted((root / _CALLERS).glob("*.yaml"))
    services = sorted((root / _SERVICES).glob("*/service.yaml"))
    problems = [*strange_files(root / _CALLERS, "a caller"), *_strange_services(root / _SERVICES)]
    found: list[list[Description]] = []
    for files, schema in ((callers, "caller"), (services, "service")):
        try:
            found.append(read_descriptions(files, root / _SCHEMAS / f"{schema}.schema.json"))
        except DescriptionError as error:
            problems += error.problems
    if problems:
        raise DescriptionError(problems)
    ingress = Ingress(tuple(map(_caller, found[0])), tuple(map(_service, found[1])))
    contract = contract_values(root)
    problems = [problem for one in (*found[0], *found[1]) for problem in _unknown_keys(one, contract)]
    for descriptions, schema in zip(found, ("caller", "service"), strict=True):
        problems += _wrong_values(descriptions, root / _SCHEMAS / f"{schema}.schema.json", contract)
    problems += problems_between(ingress, contract)
    shared = [overlay for overlay in overlays(root) if not (overlay / CALLERS_FILE).exists()]
    problems += _missing_keys(ingress, shared)
    if problems:
        raise DescriptionError(sorted(set(problems)))
    return ingress


def read_overlay_ingress(root: Path, overlay: Path, shared: Ingress) -> Ingress:
    """Read the callers and services of an overlay that has callers of its own.

    Args:
        root: The project's top directory.
        overlay: The overlay's directory.
        shared: The callers and services of all other overlays.

    Raises:
        DescriptionError: With the problems of the overlay's file, and of what follows from it.
    """
    schemas = root / _SCHEMAS
    (own,) = read_descriptions([overlay / CALLERS_FILE], schemas / "overlay-callers.schema.json")
    merged = dict(_overlay_callers(own, shared))
    problems = [*_unknown_names(own, shared, merged)]
    validator = validator_of(schemas / "caller.schema.json")
    problems += [
        (source.problem if error.absolute_path else own.problem)(
            f"callers.{name}: {error.message}.", *(error.absolute_path or ("callers", name))
        )
        for name, source in merged.items()
        for error in validator.iter_errors(source.value)
    ]
    if problems:
        raise DescriptionError(sorted(set(problems)))
    callers = {caller.name: caller for caller in shared.callers}
    callers |= {name: _caller(source, name) for name, source in merged.items()}
    ingress = Ingress(
        tuple(callers[name] for name in sorted(callers)),
        tuple(_with_callers(service, own) for service in shared.services),
    )
    contract = contract_values(root)
    problems = [problem for one in merged.values() for problem in _unknown_keys(one, contract)]
    problems += _wrong_values(merged.values(), schemas / "caller.schema.json", contract)
    problems += problems_between(ingress, contract)
    problems += _missing_keys(ingress, [overlay])
    if problems:
        raise DescriptionError(sorted(set(problems)))
    return ingress


def _overlay_callers(own: Description, shared: Ingress) -> Iterator[tuple[str, Description]]:
    """Yield each caller that differs in an overlay, with its fields: the overlay's in front, the issuer's keys last."""
    described, keys = own.value["callers"], own.value.get("keys", {})
    known = {caller.name: caller.source.value for caller in shared.callers}
    for name in sorted({*known, *described}):
        fields = described.get(name, {})
        value = {**known.get(name, {}), **fields}
        issuer = str(value.get("issuer"))
        if name not in described and issuer not in keys:
            continue
        merged = LocatedDict({**value, **({"keys": keys[issuer]} if issuer in keys else {})})
        merged.lines = {
            field: own.line("callers", name, field) if field in fields else own.line("callers", name)
            for field in merged
        }
        if issuer in keys:
            merged.lines = {**merged.lines, "keys": own.line("keys", issuer)}
        merged.duplicates = {}
        yield name, Description(own.file, merged)


def _unknown_names(own: Description, shared: Ingress, merged: Mapping[str, Description]) -> Iterator[str]:
    services = {service.name for service in shared.services}
    for name in own.value.get("services", {}):
        if name not in services:
            known = ", ".join(sorted(services)) or "none"
            yield own.problem(f"there is no service {name}; known are {known}.", "services", name)
    issuers = {str(source.value.get("issuer")) for source in merged.values()}
    for issuer in own.value.get("keys", {}):
        if issuer not in issuers:
            yield own.problem(f"no caller has the issuer {issuer}; remove its keys.", "keys", issuer)


def _with_callers(service: Service, own: Description) -> Service:
    further = own.value.get("services", {}).get(service.name)
    if not further:
        return service
    names = [*service.callers, *(name for name in further if name not in service.callers)]
    value = LocatedDict({**service.source.value, "callers": names})
    value.lines = dict.fromkeys(value, own.line("services", service.name))
    value.duplicates = {}
    return replace(service, source=Description(own.file, value), callers=tuple(names))


def _strange_services(directory: Path) -> Iterator[str]:
    """Yield the directories beside the services that describe none, or whose name cannot be used."""
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if not path.is_dir():
            continue
        if not (path / "service.yaml").exists():
            yield f"{path}: has no service.yaml; describe the service there, or remove the directory."
        elif not is_name(path.name):
            yield f"{shown(path)}: a service is named with at most 30 lower-case letters, digits and hyphens."


def overlays(root: Path) -> list[Path]:
    """Return the overlays that open the internal gateway: those with a directory for callers' keys."""
    return sorted(path.parent for path in (root / _OVERLAYS).glob("*/keys"))


def _caller(source: Description, name: str = "") -> Caller:
    value = source.value
    return Caller(
        name=name or source.file.stem,
        source=source,
        issuer=value["issuer"],
        subject=value["subject"],
        audience=value["audience"],
        claims=dict(value.get("claims", {})),
        jwks=value["keys"].get("jwks", ""),
        jwks_uri=value["keys"].get("jwksUri", ""),
        calls={service: tuple(routes) for service, routes in value["calls"].items()},
    )


def _service(source: Description) -> Service:
    value = source.value
    return Service(
        name=source.file.parent.name,
        source=source,
        host=value["host"],
        namespace=value["namespace"],
        labels=dict(value["labels"]),
        port=value["port"],
        routes={name: _route(name, route, value) for name, route in value["routes"].items()},
        callers=tuple(value["callers"]),
        websocket=value.get("websocket", False),
        keep_headers=tuple(value.get("keepHeaders", ())),
    )


def _route(name: str, value: Mapping[str, Any], service: Mapping[str, Any]) -> Route:
    timeout = value.get("timeout", service["timeout"])
    retries = value.get("retries", service.get("retries", {"attempts": 0, "perTryTimeout": timeout}))
    return Route(
        name=name,
        methods=tuple(value["methods"]),
        paths=tuple(value["paths"]),
        timeout=timeout,
        attempts=retries["attempts"],
        per_try_timeout=retries["perTryTimeout"],
    )


def _unknown_keys(source: Description, contract: Mapping[str, str]) -> Iterator[str]:
    for keys, text in _texts(source.value, ()):
        for match in REFERENCE.finditer(text):
            if match[1] not in contract:
                yield source.problem(f"{match[0]} is not in infra/contract.env; add it there.", *keys)
        if wrong := misplaced(text):
            yield source.problem(wrong, *keys)


def _wrong_values(
    descriptions: Iterable[Description], schema: Path, contract: Mapping[str, str]
) -> Iterator[str]:
    """Yield where a value of the contract is none that the description itself could have: `*` as a subject."""
    validator = validator_of(schema)
    for description in descriptions:
        for error in validator.iter_errors(_with_values(description.value, contract)):
            keys = tuple(error.absolute_path)
            place = ".".join(map(str, keys))
            yield description.problem(
                f"{place}: with the value of infra/contract.env: {error.message}.", *keys
            )


def _with_values(value: object, contract: Mapping[str, str]) -> object:
    """Return a description in which values stand in place of references."""
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: contract.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: _with_values(item, contract) for key, item in value.items()}
    return [_with_values(item, contract) for item in value] if isinstance(value, list) else value


def _texts(value: object, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*keys, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*keys, number))


def _missing_keys(ingress: Ingress, directories: list[Path]) -> Iterator[str]:
    for caller in ingress.callers:
        for overlay in directories if caller.jwks else ():
            if not (overlay / "keys" / caller.jwks).is_file():
                missing = f"keys/{caller.jwks}"
                problem = (
                    f"the overlay {overlay.name} has no {missing}; put the caller's public keys (JWKS) there."
                )
                yield caller.source.problem(problem, "keys", "jwks")
