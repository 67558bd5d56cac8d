"""The good and bad objects beside each admission rule, as requests to the API server.

A case is a change to `workload.yaml` or `service.yaml`: `metadata` and `spec` are merged into the pod's (or the
Service's), `container` into its container; `beside`, `init` and `debug` add containers. Each case stands for many
requests: the pod in every object that can hold one, and the pod itself as it looks after injection.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests import yaml_text
from tests.infra.access.admission import Request

__all__ = ["ADMISSION", "GATEWAYS", "MESH", "OWN_OBJECTS", "RULES", "Case", "cases", "requests"]

MESH = Path(__file__).parents[3] / "infra/mesh"
ADMISSION = MESH / "access/admission"
RULES = sorted(path.parent.name for path in ADMISSION.glob("*/policy.yaml"))

Body = dict[str, Any]


def _own_objects() -> dict[str, Body]:
    found = {}
    for file in sorted(MESH.rglob("*.yaml")):
        if file.is_relative_to(ADMISSION):
            continue
        for body in yaml_text.read_all(file.read_text()):
            if isinstance(body, dict) and body.get("kind") in _OWN_KINDS and "namespace" in body["metadata"]:
                found[f"{file.relative_to(MESH)}: {body['metadata']['name']}"] = body
    return found


_OWN_KINDS = ("Deployment", "Service")

OWN_OBJECTS = _own_objects()
"""Every Deployment and Service of the project, patches left out, by file and name."""

GATEWAYS = sorted(
    body["metadata"]["namespace"]
    for body in OWN_OBJECTS.values()
    if body["kind"] == "Deployment"
    and body["spec"]["template"]["metadata"].get("annotations", {}).get("inject.istio.io/templates")
    == "gateway"
)
"""The namespaces of the project's gateways."""

_KEYS = {"name", "says", "only", "namespace", "namespace_labels", "operation", "user", "injected"}
_CHANGES = {"metadata", "spec", "container", "beside", "init", "debug"}

_INJECTED = {
    "initContainers": [
        {
            "name": "istio-init",
            "image": "registry.example/proxy:1",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
                "runAsUser": 0,
                "runAsGroup": 0,
                "runAsNonRoot": False,
            },
        }
    ],
    "containers": [
        {
            "name": "istio-proxy",
            "image": "registry.example/proxy:1",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsUser": 1337,
                "runAsGroup": 1337,
            },
        }
    ],
}
"""What the injector adds to a pod, where no CNI plugin does the work of istio-init."""


@dataclass(frozen=True)
class Case:
    """One object that a rule lets pass or refuses.

    Attributes:
        rule: The rule beside which it stands.
        good: Whether it may pass.
        value: The case as written.
    """

    rule: str
    good: bool
    value: Body

    def __str__(self) -> str:
        return f"{self.rule}: {self.value['name']}"


def cases(rule: str, *, good: bool) -> list[Case]:
    """Read the good or the bad cases of a rule."""
    file = ADMISSION / rule / ("good.yaml" if good else "bad.yaml")
    found = [Case(rule, good, value) for value in yaml_text.read(file.read_text())]
    for case in found:
        unknown = case.value.keys() - _KEYS - _CHANGES
        assert not unknown, f"{file}: {case}: {unknown}"
        assert good != ("says" in case.value), f"{file}: {case}: a bad case says what its author reads"
    return found


def requests(case: Case) -> list[Request]:
    """Return every request that a case stands for."""
    value = case.value
    namespace = value.get("namespace", "team-x")
    if case.rule == "services":
        service = _merged(
            _read("service.yaml"), {key: value[key] for key in value.keys() & {"metadata", "spec"}}
        )
        service["metadata"]["namespace"] = namespace
        user = value.get("user", "x@example.com")
        return [
            Request("", "services", service, namespace, operation, user=user)
            for operation in ("CREATE", "UPDATE")
        ]
    found = []
    only = value.get("only", "")
    if only in ("", "template"):
        found += _templates(_pod(value), namespace)
    if only in ("", "pod"):
        found.append(Request("", "pods", _whole(_injected(value, namespace), namespace), namespace))
    if only == "debug":
        body = _whole(_injected(value, namespace), namespace)
        found.append(Request("", "pods", body, namespace, "UPDATE", "ephemeralcontainers"))
    if "user" in value:
        found = [replace(request, user=value["user"]) for request in found]
    if "namespace_labels" in value:
        found = [replace(request, labels=value["namespace_labels"]) for request in found]
    if "operation" in value:
        found = [replace(request, operation=value["operation"]) for request in found]
    return found


def _pod(value: Body) -> Body:
    """Return a pod's metadata and spec."""
    template = copy.deepcopy(_read("workload.yaml")["spec"]["template"])
    safe = template["spec"]["containers"][0]
    changed: Body = _merged(template, {key: value[key] for key in value.keys() & {"metadata", "spec"}})
    changed["spec"]["containers"][0] = _merged(safe, value.get("container", {}))
    for key, place in (
        ("beside", "containers"),
        ("init", "initContainers"),
        ("debug", "ephemeralContainers"),
    ):
        added = [_merged(safe, container) for container in value.get(key, ())]
        if added:
            changed["spec"][place] = [*changed["spec"].get(place, ()), *added]
    return changed


def _templates(pod: Body, namespace: str) -> list[Request]:
    metadata = {"name": "app", "namespace": namespace}
    selector = {"matchLabels": {"app": "app"}}
    once = {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}
    specs: list[tuple[str, str, str, Body]] = [
        ("apps", "Deployment", "deployments", {"selector": selector, "template": pod}),
        ("apps", "ReplicaSet", "replicasets", {"selector": selector, "template": pod}),
        ("apps", "DaemonSet", "daemonsets", {"selector": selector, "template": pod}),
        (
            "apps",
            "StatefulSet",
            "statefulsets",
            {"selector": selector, "serviceName": "app", "template": pod},
        ),
        ("batch", "Job", "jobs", {"template": once}),
        (
            "batch",
            "CronJob",
            "cronjobs",
            {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": once}}},
        ),
        (
            "",
            "ReplicationController",
            "replicationcontrollers",
            {"selector": {"app": "app"}, "template": pod},
        ),
    ]
    bodies = [
        (group, resource, {"apiVersion": _version(group), "kind": kind, "metadata": metadata, "spec": spec})
        for group, kind, resource, spec in specs
    ]
    bodies.append(
        (
            "",
            "podtemplates",
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": pod},
        )
    )
    created = [Request(group, resource, body, namespace) for group, resource, body in bodies]
    return [*created, replace(created[0], operation="UPDATE")]


def _injected(value: Body, namespace: str) -> Body:
    """Return a pod as the injector leaves it: in a gateway's namespace it fills in the pod's own proxy."""
    pod = _pod(value)
    injected = value.get("injected", True)
    if namespace in GATEWAYS or injected is False:
        return pod
    added: Body = copy.deepcopy(_INJECTED)
    if injected == "native":
        added = {"initContainers": [*added["initContainers"], *added["containers"]]}
    spec = {key: [*containers, *pod["spec"].get(key, ())] for key, containers in added.items()}
    return {**pod, "spec": {**pod["spec"], **spec}}


def _whole(pod: Body, namespace: str) -> Body:
    metadata = {**pod["metadata"], "name": "app-0", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def _version(group: str) -> str:
    return f"{group}/v1" if group else "v1"


def _read(name: str) -> Body:
    return copy.deepcopy(_parsed(ADMISSION / name))


@cache
def _parsed(file: Path) -> Body:
    found: Body = yaml_text.read(file.read_text())
    return found


def _merged(base: Any, change: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON merge patch applied (RFC 7396)."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
