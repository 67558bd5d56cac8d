"""The lists of Kubernetes' own kinds that a strategic merge patch merges by key instead of replacing them.

They are those that the OpenAPI document of Kubernetes 1.21, which kustomize carries, marks with
`x-kubernetes-patch-strategy: merge`. Lists of other kinds, Istio's among them, are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from meshlab.kustomize.scopes import is_built_in
from meshlab.quick_dataclass import dataclass

__all__ = ["DEFINITIONS", "NOTHING", "Schema", "SchemaOf", "built_in_schema"]


@dataclass(frozen=True)
class Schema:
    """How one field is merged.

    Attributes:
        keys: Of a list, the fields that distinguish its elements, or an empty tuple for a list of scalars that are
            merged by value. `None` where the list is replaced.
        fields: The schemas of the fields below; of a list, those of its elements.
    """

    keys: tuple[str, ...] | None = None
    fields: Mapping[str, Schema] = field(default_factory=dict)

    def below(self, name: str) -> Schema:
        """Return the schema of a field."""
        return self.fields.get(name, NOTHING)


NOTHING = Schema()
SchemaOf = Callable[[object, object], Schema | None]  # what finds the schema of an apiVersion and a kind


def built_in_schema(api_version: object, kind: object) -> Schema | None:
    """Return the schema of a kind, or `None` for one that is not Kubernetes' own."""
    if not isinstance(api_version, str) or not isinstance(kind, str) or not is_built_in(api_version, kind):
        return None
    return _KINDS.get(kind, _PLAIN)


def _list(*keys: str, **below: Schema) -> Schema:
    return Schema(keys, below)


def _map(**below: Schema) -> Schema:
    return Schema(None, below)


_METADATA = _map(finalizers=_list(), ownerReferences=_list("uid"))
_CONDITIONS = _map(conditions=_list("type"))
_CONTAINER = {
    "env": _list("name"),
    "volumeMounts": _list("mountPath"),
    "volumeDevices": _list("devicePath"),
}
_PORTS = _list("containerPort", "protocol")
_CLAIM = _map(metadata=_METADATA, status=_CONDITIONS)
_POD = _map(
    containers=_list("name", ports=_PORTS, **_CONTAINER),
    initContainers=_list("name", ports=_PORTS, **_CONTAINER),
    ephemeralContainers=_list("name", **_CONTAINER),
    volumes=_list("name", ephemeral=_map(volumeClaimTemplate=_map(metadata=_METADATA))),
    imagePullSecrets=_list("name"),
    hostAliases=_list("ip"),
    topologySpreadConstraints=_list("topologyKey", "whenUnsatisfiable"),
)
_TEMPLATE = _map(metadata=_METADATA, spec=_POD)
_PLAIN = _map(metadata=_METADATA)
_WORKLOAD = _map(metadata=_METADATA, spec=_map(template=_TEMPLATE), status=_CONDITIONS)
_WEBHOOKS = _map(metadata=_METADATA, webhooks=_list("name"))
_WITH_CONDITIONS = _map(metadata=_METADATA, status=_CONDITIONS)

_KINDS = {
    "Pod": _map(metadata=_METADATA, spec=_POD, status=_map(conditions=_list("type"), podIPs=_list("ip"))),
    "PodTemplate": _map(metadata=_METADATA, template=_TEMPLATE),
    **dict.fromkeys(("Deployment", "ReplicaSet", "ReplicationController", "DaemonSet", "Job"), _WORKLOAD),
    "StatefulSet": _map(
        metadata=_METADATA,
        # The list of claims is replaced, while its elements have a schema.
        spec=_map(template=_TEMPLATE, volumeClaimTemplates=Schema(None, _CLAIM.fields)),
        status=_CONDITIONS,
    ),
    "CronJob": _map(
        metadata=_METADATA, spec=_map(jobTemplate=_map(metadata=_METADATA, spec=_map(template=_TEMPLATE)))
    ),
    "Service": _map(metadata=_METADATA, spec=_map(ports=_list("port", "protocol")), status=_CONDITIONS),
    "ServiceAccount": _map(metadata=_METADATA, secrets=_list("name")),
    "MutatingWebhookConfiguration": _WEBHOOKS,
    "ValidatingWebhookConfiguration": _WEBHOOKS,
    "Node": _map(
        metadata=_METADATA,
        spec=_map(podCIDRs=_list()),
        status=_map(addresses=_list("type"), conditions=_list("type")),
    ),
    "CSINode": _map(metadata=_METADATA, spec=_map(drivers=_list("name"))),
    "ComponentStatus": _map(metadata=_METADATA, conditions=_list("type")),
    **dict.fromkeys(
        ("APIService", "Namespace", "PersistentVolumeClaim", "PodDisruptionBudget"), _WITH_CONDITIONS
    ),
}

# The definitions of Kubernetes that documents for custom kinds refer to.
DEFINITIONS = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": _METADATA,
    "io.k8s.api.core.v1.PodTemplateSpec": _TEMPLATE,
    "io.k8s.api.core.v1.PodSpec": _POD,
    "io.k8s.api.core.v1.Container": _map(ports=_PORTS, **_CONTAINER),
    "io.k8s.api.core.v1.PersistentVolumeClaim": _CLAIM,
    "io.k8s.api.core.v1.ServiceSpec": _KINDS["Service"].fields["spec"],
}
