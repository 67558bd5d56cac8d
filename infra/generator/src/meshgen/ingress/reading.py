"""Descriptions of callers and services: read, and checked against each other. All problems are shown at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

__all__ = ["overlays", "read_ingress"]

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
    problems += _missing_keys(ingress, overlays(root))
    if problems:
        raise DescriptionError(sorted(set(problems)))
    return ingress


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


def _caller(source: Description) -> Caller:
    value = source.value
    return Caller(
        name=source.file.stem,
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
