"""Descriptions of callers and services: read, and checked against each other. All problems are shown at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshlab.env_file import read_env_file

from meshgen.contract import REFERENCE
from meshgen.ingress.agreement import problems_between
from meshgen.ingress.model import Caller, Ingress, Route, Service
from meshgen.sources import Description, DescriptionError, read_descriptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["overlays", "read_ingress"]

_CALLERS = "infra/mesh/callers"
_SERVICES = "infra/mesh/services"
_OVERLAYS = "infra/mesh/overlays"
_SCHEMAS = "infra/mesh/schema"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")  # part of names that may have 63 letters


def read_ingress(root: Path) -> Ingress:
    """Read all descriptions below a project's top directory.

    Raises:
        DescriptionError: With the problems of all files.
    """
    callers = sorted((root / _CALLERS).glob("*.yaml"))
    services = sorted((root / _SERVICES).glob("*/service.yaml"))
    problems = list(_strange_names(root, callers, services))
    found: list[list[Description]] = []
    for files, schema in ((callers, "caller"), (services, "service")):
        try:
            found.append(read_descriptions(files, root / _SCHEMAS / f"{schema}.schema.json"))
        except DescriptionError as error:
            problems += error.problems
    if problems:
        raise DescriptionError(problems)
    ingress = Ingress(tuple(map(_caller, found[0])), tuple(map(_service, found[1])))
    contract = read_env_file(root / "infra/contract.env")
    problems = [problem for one in (*found[0], *found[1]) for problem in _unknown_keys(one, contract)]
    problems += problems_between(ingress, contract)
    problems += _missing_keys(ingress, overlays(root))
    if problems:
        raise DescriptionError(sorted(set(problems)))
    return ingress


def _strange_names(root: Path, callers: list[Path], services: list[Path]) -> Iterator[str]:
    """Yield what stands beside the descriptions and would be left out, or could be no part of an object's name."""
    for path in sorted((root / _CALLERS).iterdir()):
        if path not in callers:
            yield f"{path}: is no description of a caller; name it NAME.yaml, or move it elsewhere."
        elif not _NAME.fullmatch(path.stem):
            yield f"{path}: a caller is named with lower-case letters, digits and hyphens."
    for path in sorted(path for path in (root / _SERVICES).iterdir() if path.is_dir()):
        if path / "service.yaml" not in services:
            yield f"{path}: has no service.yaml; describe the service there, or remove the directory."
        elif not _NAME.fullmatch(path.name):
            yield f"{path}: a service is named with lower-case letters, digits and hyphens."


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
