"""The references by name that kustomize knows without configuration.

They are the data of api/internal/konfig/builtinpluginconsts/namereference.go, arranged by the shape of pods. Kinds of
Istio are not among them: kustomize follows no name in a VirtualService unless a `configurations` file says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.kustomize.fieldspecs import FieldSpec
from meshlab.kustomize.name_references import NameReference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DEFAULT_REFERENCES"]

# Where the pod specification of a kind begins.
_PODS = {
    "Pod": "spec",
    "PodTemplate": "template/spec",
    "Deployment": "spec/template/spec",
    "ReplicaSet": "spec/template/spec",
    "ReplicationController": "spec/template/spec",
    "DaemonSet": "spec/template/spec",
    "StatefulSet": "spec/template/spec",
    "Job": "spec/template/spec",
    "CronJob": "spec/jobTemplate/spec/template/spec",
}
_WITH_CONFIGURATION = (
    "Pod",
    "PodTemplate",
    "Deployment",
    "ReplicaSet",
    "DaemonSet",
    "StatefulSet",
    "Job",
    "CronJob",
)
_WITH_ACCOUNT = ("Pod", "StatefulSet", "Deployment", "ReplicationController", "CronJob", "Job", "DaemonSet")
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"


def _in_pods(kinds: Iterable[str], *paths: str, version: str = "") -> Iterator[FieldSpec]:
    for kind in kinds:
        for path in paths:
            yield FieldSpec(f"{_PODS[kind]}/{path}", kind=kind, version=version if kind == "Pod" else "")


def _in(kind: str, *paths: str, group: str = "", version: str = "") -> Iterator[FieldSpec]:
    for path in paths:
        yield FieldSpec(path, kind=kind, group=group, version=version)


_SCALED = tuple(_in("HorizontalPodAutoscaler", "spec/scaleTargetRef/name"))

DEFAULT_REFERENCES = (
    *(
        NameReference(kind=kind, fields=_SCALED)
        for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
    ),
    NameReference(
        kind="ConfigMap",
        version="v1",
        fields=(
            *_in_pods(
                _WITH_CONFIGURATION,
                "volumes/configMap/name",
                "volumes/projected/sources/configMap/name",
                "containers/env/valueFrom/configMapKeyRef/name",
                "containers/envFrom/configMapRef/name",
                "initContainers/env/valueFrom/configMapKeyRef/name",
                "initContainers/envFrom/configMapRef/name",
                version="v1",
            ),
            *_in("Node", "spec/configSource/configMap"),
            *_in("Role", "rules/resourceNames"),
            *_in("ClusterRole", "rules/resourceNames"),
            *_in("Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap"),
        ),
    ),
    NameReference(
        kind="Secret",
        version="v1",
        fields=(
            *_in_pods(
                _WITH_CONFIGURATION,
                "volumes/secret/secretName",
                "volumes/projected/sources/secret/name",
                "containers/env/valueFrom/secretKeyRef/name",
                "containers/envFrom/secretRef/name",
                "initContainers/env/valueFrom/secretKeyRef/name",
                "initContainers/envFrom/secretRef/name",
                "imagePullSecrets/name",
                version="v1",
            ),
            *_in(
                "Ingress",
                "spec/tls/secretName",
                "metadata/annotations/ingress.kubernetes.io\\/auth-secret",
                "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret",
                "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret",
            ),
            *_in("ServiceAccount", "imagePullSecrets/name"),
            *_in(
                "StorageClass",
                "parameters/secretName",
                "parameters/adminSecretName",
                "parameters/userSecretName",
                "parameters/secretRef",
            ),
            *_in("Role", "rules/resourceNames"),
            *_in("ClusterRole", "rules/resourceNames"),
            *_in(
                "Service",
                "spec/template/spec/containers/env/valueFrom/secretKeyRef/name",
                group="serving.knative.dev",
                version="v1",
            ),
            *_in("PersistentVolume", "spec/azureFile/secretName"),
        ),
    ),
    NameReference(
        kind="Service",
        version="v1",
        fields=(
            *_in("StatefulSet", "spec/serviceName", group="apps"),
            *_in(
                "Ingress",
                "spec/rules/http/paths/backend/serviceName",
                "spec/backend/serviceName",
                "spec/rules/http/paths/backend/service/name",
                "spec/defaultBackend/service/name",
            ),
            *_in("APIService", "spec/service/name", group="apiregistration.k8s.io"),
            *_in("ValidatingWebhookConfiguration", "webhooks/clientConfig/service", group=_ADMISSION),
            *_in("MutatingWebhookConfiguration", "webhooks/clientConfig/service", group=_ADMISSION),
        ),
    ),
    NameReference(kind="Role", group=_RBAC, fields=tuple(_in("RoleBinding", "roleRef/name", group=_RBAC))),
    NameReference(
        kind="ClusterRole",
        group=_RBAC,
        fields=(
            *_in("RoleBinding", "roleRef/name", group=_RBAC),
            *_in("ClusterRoleBinding", "roleRef/name", group=_RBAC),
        ),
    ),
    NameReference(
        kind="ServiceAccount",
        version="v1",
        fields=(
            *_in("RoleBinding", "subjects", group=_RBAC),
            *_in("ClusterRoleBinding", "subjects", group=_RBAC),
            *_in_pods(_WITH_ACCOUNT, "serviceAccountName"),
        ),
    ),
    NameReference(
        kind="PersistentVolumeClaim",
        version="v1",
        fields=tuple(_in_pods(_WITH_ACCOUNT, "volumes/persistentVolumeClaim/claimName")),
    ),
    NameReference(
        kind="PersistentVolume",
        version="v1",
        fields=(
            *_in("PersistentVolumeClaim", "spec/volumeName"),
            *_in("ClusterRole", "rules/resourceNames"),
        ),
    ),
    NameReference(
        kind="StorageClass",
        version="v1",
        group="storage.k8s.io",
        fields=(
            *_in("PersistentVolume", "spec/storageClassName"),
            *_in("PersistentVolumeClaim", "spec/storageClassName"),
            *_in("StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
        ),
    ),
    NameReference(
        kind="PriorityClass",
        version="v1",
        group="scheduling.k8s.io",
        fields=tuple(_in_pods(_WITH_ACCOUNT, "priorityClassName")),
    ),
    # The group is written with a version in kustomize's own table, so that it selects nothing there either.
    NameReference(
        kind="IngressClass",
        version="v1",
        group="networking.k8s.io/v1",
        fields=tuple(_in("Ingress", "spec/ingressClassName")),
    ),
    NameReference(
        kind="ValidatingAdmissionPolicy",
        group=_ADMISSION,
        fields=tuple(_in("ValidatingAdmissionPolicyBinding", "spec/policyName", group=_ADMISSION)),
    ),
)
