"""The files that follow from the descriptions of callers and services."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import yaml

from meshgen.contract import REFERENCE, replacements, targets
from meshgen.generated import GeneratedFile, is_generated, objects_file
from meshgen.ingress.cases import case_files
from meshgen.ingress.model import GATEWAY
from meshgen.ingress.overlay_files import is_changed, overlay_component
from meshgen.ingress.policies import gateway_policy, token_rules, workload_policy
from meshgen.ingress.reading import CALLERS_FILE, overlays, read_ingress, read_overlay_ingress
from meshgen.ingress.routes import gateway_hosts, virtual_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from meshgen.generated import Object
    from meshgen.ingress.model import Ingress

__all__ = ["ingress_files"]

_SOURCES = "infra/mesh/callers and infra/mesh/services"
_INGRESS = "infra/mesh/ingress"
_SERVICES = "infra/mesh/services"
_CASES = "infra/policy-tests/ingress/services"
_TOKENS_NOTE = (
    "What a token must be to count at all. Claims are known only to the proxy that verified them, so each proxy has a\n"
    "RequestAuthentication of its own. On its own it admits requests without any token: the policies demand one."
)
_POLICY_NOTE = """\
hosts: the Host header may carry a port, and Istio compares it as it stands; h:* would admit h:x@evil.
paths: {*} is exactly one segment.
notPaths: a dot segment with parameters (..;) is one segment to Envoy and the directory above to a servlet container.
when, audiences: callers of one issuer share its rule, and so its audiences; this asks for the caller's own.
when, upgrade: a WebSocket is a tunnel that no policy and no timeout looks into."""


def ingress_files(root: Path) -> list[GeneratedFile]:
    """Return the manifests and the policy tests of the internal gateway.

    Args:
        root: The project's top directory.

    Raises:
        DescriptionError: Descriptions are wrong.
        PlaceError: A reference to the contract stands where kustomize cannot replace it.
    """
    ingress = read_ingress(root)
    named: dict[str, list[Object]] = {**_at_gateway(ingress), **_at_workloads(ingress)}
    files = [
        objects_file(root / path, _source_of(path), objects, _note_of(objects))
        for path, objects in named.items()
    ]
    objects = [one for objects in named.values() for one in objects if one["kind"] != "Kustomization"]
    written = _written_by_hand(root)
    places = targets([*objects, *written, _gateway_with(gateway_hosts(ingress.services))])
    return [
        *files,
        *_listener_files(root, ingress, objects),
        _list_file(
            root / "infra/mesh/contract/generated/ingress.yaml",
            [*replacements(places), *_keys(ingress, objects)],
        ),
        *(
            file
            for overlay in overlays(root)
            for file in _overlay_files(root, overlay, ingress, objects, written)
        ),
        *case_files(root / _CASES, ingress.services, ingress, root),
    ]


def _overlay_files(
    root: Path, overlay: Path, shared: Ingress, objects: list[Object], written: list[Object]
) -> Iterator[GeneratedFile]:
    """Yield the files of one overlay: its keys, and what its own callers change."""
    if not (overlay / CALLERS_FILE).exists():
        yield _keys_file(overlay, shared, "infra/mesh/callers")
        return
    ingress = read_overlay_ingress(root, overlay, shared)
    own = [
        one
        for found in {**_at_gateway(ingress), **_at_workloads(ingress)}.values()
        for one in found
        if one["kind"] != "Kustomization"
    ]
    places = targets([*own, *written, _gateway_with(gateway_hosts(ingress.services))])
    source = str((overlay / CALLERS_FILE).relative_to(root))
    yield _keys_file(overlay, ingress, source)
    yield from overlay_component(
        overlay, source, objects, own, [_host_ports(own), *replacements(places), *_keys(ingress, own)]
    )
    changed = [
        service for service in ingress.services if is_changed(service.namespace, service.labels, objects, own)
    ]
    yield from case_files(
        root / f"infra/policy-tests/overlays/{overlay.name}/services", changed, ingress, root
    )


def _at_gateway(ingress: Ingress) -> dict[str, list[Object]]:
    files = {"request-authentication.yaml": [token_rules(ingress.callers)]}
    for caller, calls in groupby(ingress.calls(), lambda call: call.caller):
        files[f"caller-{caller.name}.yaml"] = [gateway_policy(list(calls))]
    return _kustomization(f"{_INGRESS}/generated", files)


def _at_workloads(ingress: Ingress) -> dict[str, list[Object]]:
    found = {
        f"{_SERVICES}/kustomization.yaml": [_kustomization_of([service.name for service in ingress.services])]
    }
    for service in ingress.services:
        calls = [call for call in ingress.calls() if call.service == service]
        files = {
            "virtual-service.yaml": [virtual_service(service)],
            "request-authentication.yaml": [token_rules([call.caller for call in calls], service)],
        }
        files |= {f"caller-{call.caller.name}.yaml": [workload_policy(call)] for call in calls}
        found |= _kustomization(f"{_SERVICES}/{service.name}/generated", files)
    return found


def _kustomization(directory: str, files: Mapping[str, list[Object]]) -> dict[str, list[Object]]:
    named = {f"{directory}/{name}": objects for name, objects in files.items()}
    return {**named, f"{directory}/kustomization.yaml": [_kustomization_of(files)]}


def _kustomization_of(resources: Iterable[str]) -> Object:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }


def _listener_files(root: Path, ingress: Ingress, objects: Iterable[Object]) -> Iterator[GeneratedFile]:
    """Yield what each component puts into its Gateway, and its Gateway's port into the policies."""
    ports = _host_ports(objects)
    hosts = {"op": "add", "path": "/spec/servers/0/hosts", "value": gateway_hosts(ingress.services)}
    for component in GATEWAY.components:
        directory = root / _INGRESS / component / "generated"
        yield _list_file(
            directory / "gateway-hosts.yaml",
            [hosts],
            "A VirtualService may bind a host only from the namespace in front of it.",
        )
        yield _list_file(
            directory / "host-ports.yaml", [ports], "The port of a Host header is that of the listener."
        )


def _host_ports(objects: Iterable[Object]) -> dict[str, Any]:
    """Return the replacement that puts the Gateway's port into the hosts of policies."""
    source = {"kind": "Gateway", "name": GATEWAY.name, "fieldPath": "spec.servers.0.port.number"}
    return {
        "source": source,
        "targets": [
            {
                "select": {"kind": one["kind"], **one["metadata"]},
                "fieldPaths": ["spec.rules.*.to.*.operation.hosts.1"],
                "options": {"delimiter": ":", "index": 1},
            }
            for one in objects
            if one["kind"] == "AuthorizationPolicy"
        ],
    }


def _gateway_with(hosts: list[str]) -> Object:
    return {
        "kind": "Gateway",
        "metadata": {"name": GATEWAY.name, "namespace": GATEWAY.namespace},
        "spec": {"servers": [{"hosts": hosts}]},
    }


def _keys(ingress: Ingress, objects: Iterable[Object]) -> Iterator[dict[str, Any]]:
    """Yield the replacements that put an overlay's public keys into both proxies' rules."""
    files = {caller.issuer: caller.jwks for caller in ingress.callers if caller.jwks}
    for name in sorted(set(files.values())):
        places = [
            {
                "select": {"kind": one["kind"], **one["metadata"]},
                "fieldPaths": [f"spec.jwtRules.{number}.jwks"],
            }
            for one in objects
            if one["kind"] == "RequestAuthentication"
            for number, rule in enumerate(one["spec"]["jwtRules"])
            if files.get(rule["issuer"]) == name
        ]
        yield {
            "source": {"kind": "ConfigMap", "name": "keys", "fieldPath": f"data.[{name}]"},
            "targets": places,
        }


def _keys_file(overlay: Path, ingress: Ingress, source: str) -> GeneratedFile:
    local = {"config.kubernetes.io/local-config": "true"}
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "configMapGenerator": [
            {
                "name": "keys",
                "files": sorted({caller.jwks for caller in ingress.callers if caller.jwks}),
                "# a source for the contract's replacements, never applied": None,
                "options": {"disableNameSuffixHash": True, "annotations": local},
            }
        ],
    }
    return objects_file(overlay / "keys/kustomization.yaml", source, [component])


def _written_by_hand(root: Path) -> list[Object]:
    """Return the hand-written objects of the gateway and the services that refer to the contract."""
    descriptions = set((root / _SERVICES).glob("*/service.yaml"))
    manifests = [path for where in (_INGRESS, _SERVICES) for path in sorted((root / where).rglob("*.yaml"))]
    found = []
    for path in manifests:
        text = path.read_text(encoding="utf-8")
        described = path in descriptions or path.name == "kustomization.yaml" or is_generated(path)
        if not described and REFERENCE.search(text):
            found += [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    return found


def _source_of(path: str) -> str:
    directory = path.removeprefix(f"{_SERVICES}/").partition("/")[0]
    if path.startswith(f"{_SERVICES}/") and directory != "kustomization.yaml":
        return f"infra/mesh/callers and {_SERVICES}/{directory}/service.yaml"
    return _SOURCES


def _note_of(objects: list[Object]) -> str:
    notes = {"RequestAuthentication": _TOKENS_NOTE, "AuthorizationPolicy": _POLICY_NOTE}
    return notes.get(objects[0]["kind"], "")


def _list_file(path: Path, items: Iterable[Mapping[str, Any]], note: str = "") -> GeneratedFile:
    return objects_file(path, _SOURCES, [list(items)], note)
