"""The fields that kustomize's transformers change without configuration.

They are the data of api/internal/konfig/builtinpluginconsts of kustomize, arranged by the shape of workloads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.fieldspecs import FieldSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DEFAULT_FIELDS"]

# Group, version and kind of the workloads whose pods get the labels and annotations of the workload.
_WORKLOADS = (
    ("", "v1", "ReplicationController"),
    ("", "", "Deployment"),
    ("", "", "ReplicaSet"),
    ("", "", "DaemonSet"),
    ("apps", "", "StatefulSet"),
    ("batch", "", "Job"),
)
_AFFINITY = "spec/template/spec/affinity"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels"
_CONTAINER_VALUES = ("args", "command", "env/value", "volumeMounts/mountPath")
# Where the variables of `vars` are read in a pod: the kind, and where its pod specification begins.
_PODS_WITH_VARIABLES = {
    "CronJob": "spec/jobTemplate/spec/template/spec",
    "DaemonSet": "spec/template/spec",
    "Deployment": "spec/template/spec",
    "Job": "spec/template/spec",
    "Pod": "spec",
    "ReplicaSet": "spec/template/spec",
    "StatefulSet": "spec/template/spec",
}


def _metadata(name: str, workloads: Iterable[tuple[str, str, str]]) -> Iterator[FieldSpec]:
    yield FieldSpec(f"metadata/{name}", create=True)
    for group, version, kind in workloads:
        yield FieldSpec(f"spec/template/metadata/{name}", group, version, kind, create=True)
    for path in ("spec/jobTemplate/metadata", "spec/jobTemplate/spec/template/metadata"):
        yield FieldSpec(f"{path}/{name}", "batch", "", "CronJob", create=True)


def _selectors() -> Iterator[FieldSpec]:
    for kind in ("Service", "ReplicationController"):
        yield FieldSpec("spec/selector", "", "v1", kind, create=True)
    for group, kind in (("", "Deployment"), ("", "ReplicaSet"), ("", "DaemonSet"), ("apps", "StatefulSet")):
        yield FieldSpec("spec/selector/matchLabels", group, "", kind, create=True)
    for kind in ("Deployment", "StatefulSet"):
        for affinity in ("podAffinity", "podAntiAffinity"):
            for terms in (_PREFERRED, _REQUIRED):
                yield FieldSpec(f"{_AFFINITY}/{affinity}/{terms}", "apps", "", kind)
        path = "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels"
        yield FieldSpec(path, "apps", "", kind)
    yield FieldSpec("spec/selector/matchLabels", "batch", "", "Job")
    yield FieldSpec("spec/jobTemplate/spec/selector/matchLabels", "batch", "", "CronJob")
    yield FieldSpec("spec/selector/matchLabels", "policy", "", "PodDisruptionBudget")
    for path in ("spec/podSelector", "spec/ingress/from/podSelector", "spec/egress/to/podSelector"):
        yield FieldSpec(f"{path}/matchLabels", "networking.k8s.io", "", "NetworkPolicy")


def _variables() -> Iterator[FieldSpec]:
    for kind, pod in _PODS_WITH_VARIABLES.items():
        for containers in ("containers", "initContainers"):
            for value in _CONTAINER_VALUES:
                yield FieldSpec(f"{pod}/{containers}/{value}", kind=kind)
        if kind not in ("CronJob", "StatefulSet"):
            yield FieldSpec(f"{pod}/volumes/nfs/server", kind=kind)
    yield FieldSpec("spec/jobTemplate/spec/template/volumes/nfs/server", kind="CronJob")
    yield FieldSpec("spec/volumeClaimTemplates/spec/nfs/server", kind="StatefulSet")
    yield FieldSpec("spec/nfs/server", kind="PersistentVolume")
    yield FieldSpec("spec/template/metadata/annotations", kind="Deployment")
    for path in ("spec/rules/host", "spec/tls/hosts", "spec/tls/secretName"):
        yield FieldSpec(path, kind="Ingress")
    for path in ("spec/ports/port", "spec/ports/targetPort"):
        yield FieldSpec(path, kind="Service")
    yield FieldSpec("metadata/labels")
    yield FieldSpec("metadata/annotations")


_LABELS = tuple(_metadata("labels", _WORKLOADS))
_VOLUME_CLAIMS = (
    FieldSpec("spec/volumeClaimTemplates[]/metadata/labels", "apps", "", "StatefulSet", create=True),
)
# Annotations take a StatefulSet of any group, labels one of apps.
_ANNOTATED = tuple(
    ("", version, kind) if kind == "StatefulSet" else (group, version, kind)
    for group, version, kind in _WORKLOADS
)

DEFAULT_FIELDS: dict[str, tuple[FieldSpec, ...]] = {
    "namePrefix": (FieldSpec("metadata/name"),),
    "nameSuffix": (FieldSpec("metadata/name"),),
    "namespace": (
        FieldSpec("metadata/name", kind="Namespace", create=True),
        FieldSpec("spec/service/namespace", "apiregistration.k8s.io", "", "APIService", create=True),
        FieldSpec(
            "spec/conversion/webhook/clientConfig/service/namespace",
            group="apiextensions.k8s.io",
            kind="CustomResourceDefinition",
        ),
    ),
    "commonLabels": (*_selectors(), *_LABELS, *_VOLUME_CLAIMS),
    "labels": (),
    "templateLabels": _LABELS,
    "volumeClaimTemplateLabels": _VOLUME_CLAIMS,
    "commonAnnotations": tuple(_metadata("annotations", _ANNOTATED)),
    "varReference": tuple(_variables()),
    "images": (
        *(
            FieldSpec(f"{pod}{path}", create=True)
            for pod in ("spec/", "spec/template/spec/")
            for path in ("containers[]/image", "initContainers[]/image", "volumes[]/image/reference")
        ),
        FieldSpec("spec/jobTemplate/spec/template/spec/volumes[]/image/reference", create=True),
    ),
    "replicas": tuple(
        FieldSpec("spec/replicas", kind=kind, create=True)
        for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
    ),
}
