"""Loading of a mesh from manifests: every object is read, and refusals are kept beside what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from meshlab.istio.model.assumed import assumed_gateways
from meshlab.istio.model.gateway_api import Converted, GatewayApi, convert
from meshlab.istio.model.hidden_services import hidden_services
from meshlab.istio.model.ingress_listeners import with_ingress
from meshlab.istio.model.mesh import Mesh
from meshlab.istio.model.networks import across_networks
from meshlab.istio.model.notes import notes_on
from meshlab.istio.model.owned_pods import without_owned
from meshlab.istio.model.stated_addresses import stated_addresses
from meshlab.istio.model.tied_entries import tied_entries
from meshlab.istio.model.trust import Refusal, Scope, scope_of
from meshlab.istio.model.uncaptured_traffic import past_sidecars
from meshlab.istio.model.virtual_machines import policies_of_machines
from meshlab.istio.model.visibility import Visibility
from meshlab.istio.model.workload import proxy_of, workload_of
from meshlab.istio.read.authorization_policy import read_authorization_policy
from meshlab.istio.read.destination_rule import read_destination_rule
from meshlab.istio.read.fields import REVISION, Where, collected_problems
from meshlab.istio.read.gateway import read_gateway
from meshlab.istio.read.gateway_api import (
    read_backend_tls_policy,
    read_gateway_class,
    read_grpc_route,
    read_http_route,
    read_kubernetes_gateway,
    read_listener_set,
    read_reference_grant,
    read_tcp_route,
    read_tls_route,
)
from meshlab.istio.read.gateway_api.schema_values import metadata_map
from meshlab.istio.read.ingress import INGRESS, may_be_served
from meshlab.istio.read.mesh_config import MeshSettings, is_mesh_config, read_mesh_settings
from meshlab.istio.read.namespaces import injects_by_namespace
from meshlab.istio.read.object_kinds import GATEWAY_API, NETWORKING, classify, is_old_version, refusal
from meshlab.istio.read.peer_authentication import read_peer_authentication
from meshlab.istio.read.pods import TEMPLATES, read_pod
from meshlab.istio.read.proxy_config import read_proxy_config_object
from meshlab.istio.read.request_authentication import read_request_authentication
from meshlab.istio.read.revisions import check_revision
from meshlab.istio.read.service_entry import read_service_entry
from meshlab.istio.read.services import read_service
from meshlab.istio.read.sidecar import read_sidecar
from meshlab.istio.read.telemetry import read_telemetry
from meshlab.istio.read.virtual_service import read_virtual_service
from meshlab.istio.read.workload_entry import read_workload_entry
from meshlab.manifest import ManifestError
from meshlab.visible_text import shown_value
from meshlab.yaml_reader import LocatedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshlab.istio.read.pods import Pod
    from meshlab.istio.read.service_entry import ServiceEntry
    from meshlab.istio.read.services import Service
    from meshlab.manifest import Manifest, Problem

__all__ = ["KnownReads", "load_mesh"]

_Object = TypeVar("_Object")

_SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
"""Namespaces in which Istio never injects (`pkg/kube/inject#IgnoredNamespaces`)."""


def load_mesh(
    manifests: Iterable[Manifest],
    settings: MeshSettings | None = None,
    *,
    inject_unknown_namespaces: bool = False,
    known: KnownReads | None = None,
) -> Mesh:
    """Read the manifests of a mesh.

    Args:
        manifests: Everything that would be applied.
        settings: The mesh-wide settings; by default those of a MeshConfig among the manifests, else Istio's defaults.
        inject_unknown_namespaces: Whether pods of a namespace that the manifests do not hold get a sidecar.
        known: What became of some of the objects before, and is not read again.

    Returns:
        The mesh. What is not known is in its `refusals`, with the traffic that it could change.
    """
    every = list(manifests)
    refusals: list[Refusal] = []
    has_settings = settings is not None
    if settings is None:
        settings = _settings_among(every, refusals)
    rest = [manifest for manifest in every if not is_mesh_config(manifest)]
    reader = _Reader(rest, settings, refusals, known or KnownReads(()), has_settings=has_settings)
    return reader.mesh(inject_unknown_namespaces=inject_unknown_namespaces)


def _settings_among(manifests: list[Manifest], refusals: list[Refusal]) -> MeshSettings:
    """Return the settings of the MeshConfig among the manifests; what is refused of it may change all traffic."""
    written = [manifest for manifest in manifests if is_mesh_config(manifest)]
    found: list[tuple[Manifest, MeshSettings]] = []
    for manifest in written:
        with collected_problems() as problems:
            found.append((manifest, read_mesh_settings(manifest)))
        if problems:
            refusals.append(Refusal(tuple(problems), (Scope(),)))
    for manifest, settings in found[1:]:
        if settings != found[0][1]:
            problem = f"{found[0][0]} has other mesh-wide settings; keep one of them."
            refusals.append(Refusal((manifest.problem((), problem),), (Scope(),)))
    return found[0][1] if found else MeshSettings()


class KnownReads:
    """What became of objects that are read many times, each beside others: a reader looks at one object alone.

    Args:
        manifests: These objects. Those that are read beside them are read anew each time.
    """

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        self._manifests = {id(manifest): manifest for manifest in manifests}
        self._found: dict[tuple[int, object], tuple[list[Any], list[Problem]]] = {}

    def read(
        self, manifest: Manifest, read: Callable[[Manifest], _Object]
    ) -> tuple[list[_Object], list[Problem]]:
        """Return what a reader makes of an object, and what is wrong with it.

        Args:
            manifest: The object.
            read: The reader.
        """
        key = (id(manifest), read)
        if key not in self._found:
            made = _read(manifest, read)
            if id(manifest) not in self._manifests:
                return made
            self._found[key] = made
        return self._found[key]


def _read(manifest: Manifest, read: Callable[[Manifest], _Object]) -> tuple[list[_Object], list[Problem]]:
    if unreadable := list(_unreadable_metadata(manifest)):
        return [], unreadable
    found: list[_Object] = []
    with collected_problems() as problems:
        problems += _duplicate_keys(manifest)
        found.append(read(manifest))
    return found, problems


class _Reader:
    def __init__(
        self,
        manifests: list[Manifest],
        settings: MeshSettings,
        refusals: list[Refusal],
        known: KnownReads,
        *,
        has_settings: bool,
    ) -> None:
        self._known = known
        self._manifests = manifests
        self._settings = settings
        self._has_settings = has_settings
        self._refusals = refusals
        self._notes: list[Problem] = []
        self._to_read: list[Manifest] = []
        self._passed_over: list[Manifest] = []
        self._elsewhere: list[Manifest] = []
        for manifest in self._each_once():
            disposition = classify(manifest)
            if disposition in ("read", "refused") and not self._is_read_by_istiod(manifest):
                continue
            match disposition:
                case "read":
                    self._to_read.append(manifest)
                    if is_old_version(manifest):
                        self._notes.append(
                            manifest.problem(
                                ("apiVersion",),
                                f"{manifest.version} is an old version; write v1.",
                                code="ML001",
                            )
                        )
                case "refused" if self._is_known_otherwise(manifest):
                    self._passed_over.append(manifest)
                case "refused":
                    self._refuse(manifest, refusal(manifest).problems)
                case "passed over":
                    self._passed_over.append(manifest)
                case "not enforced":
                    self._elsewhere.append(manifest)

    def _is_read_by_istiod(self, manifest: Manifest) -> bool:
        """Return whether the mesh's istiod reads an object; one of another revision has a note, and acts nowhere."""
        try:
            if check_revision(manifest, self._settings.revision):
                return True
        except ManifestError as error:
            self._refuse(manifest, error.problems)
            return False
        reason = f"is for an istiod of another revision; this mesh's is {self._settings.revision}."
        self._notes.append(manifest.problem(("metadata", "labels", REVISION), reason, code="ML002"))
        self._passed_over.append(manifest)
        return False

    def _is_known_otherwise(self, manifest: Manifest) -> bool:
        """Return whether a kind that is refused decides nothing in this object.

        The endpoints that a cluster writes only repeat what is read, and other controllers serve most Ingress objects.
        """
        if (manifest.group, manifest.kind) == INGRESS:
            return not may_be_served(manifest, self._settings.ingress, self._manifests)
        if manifest.kind not in ("Endpoints", "EndpointSlice"):
            return self._has_settings and manifest.group in ("sailoperator.io", "maistra.io")
        name = manifest.name
        if manifest.kind == "EndpointSlice":
            name = metadata_map(manifest, "labels").get("kubernetes.io/service-name", "")
        return any(
            (other.group, other.kind, other.namespace, other.name)
            == ("", "Service", manifest.namespace, name)
            and isinstance(spec := other.body.get("spec"), dict)
            and spec.get("selector")
            for other in self._manifests
        )

    def mesh(self, *, inject_unknown_namespaces: bool) -> Mesh:
        services = self._read("Service", read_service)
        entries = self._read("ServiceEntry", read_service_entry)
        written = without_owned(
            [
                pod
                for manifest in self._to_read
                if (manifest.group, manifest.kind) in TEMPLATES
                for pod in self._one(manifest, read_pod)
            ]
        )
        converted = self._gateway_api(services, entries, written)
        services += converted.services
        gateways = [*self._read("Gateway", read_gateway, NETWORKING), *converted.gateways]
        pods = [*written, *converted.pods]
        injects = {
            manifest.name: setting
            for manifest in self._to_read
            if manifest.kind == "Namespace"
            for setting in self._one(manifest, injects_by_namespace)
        } | dict.fromkeys(_SYSTEM_NAMESPACES, False)
        workloads = [
            workload_of(
                pod,
                proxy_of(pod, injects, unknown_namespace=inject_unknown_namespaces),
                services,
                gateways,
                entries,
            )
            for pod in self._each_pod_once(pods)
        ]
        workload_entries = self._read("WorkloadEntry", read_workload_entry)
        self._read("ProxyConfig", read_proxy_config_object)
        assumed = assumed_gateways(gateways, workloads, services)
        mesh = Mesh(
            settings=self._settings,
            workloads=tuple(sorted([*workloads, *assumed], key=lambda workload: workload.ref)),
            services=tuple(services),
            gateways=tuple(gateways),
            virtual_services=(
                *self._read("VirtualService", read_virtual_service),
                *converted.virtual_services,
            ),
            request_authentications=tuple(self._read("RequestAuthentication", read_request_authentication)),
            authorization_policies=tuple(self._read("AuthorizationPolicy", read_authorization_policy)),
            peer_authentications=tuple(self._read("PeerAuthentication", read_peer_authentication)),
            telemetries=tuple(self._read("Telemetry", read_telemetry)),
            service_entries=tuple(entries),
            workload_entries=tuple(workload_entries),
            destination_rules=(
                *self._read("DestinationRule", read_destination_rule),
                *converted.destination_rules,
            ),
            sidecars=tuple(self._read("Sidecar", read_sidecar)),
            stated_addresses=stated_addresses(
                (workload.ref for workload in workloads), pods, workload_entries
            ),
            passed_over=tuple(self._passed_over),
            not_enforced=(
                *(
                    f"{manifest}: a cluster's network enforces it, the bench does not."
                    for manifest in self._elsewhere
                ),
                *(
                    f"{service.where.manifest}: spec.loadBalancerSourceRanges: {_LIMITED}"
                    for service in services
                    if service.limits_sources
                ),
            ),
            refusals=tuple(self._refusals),
        )
        unclear = (
            *hidden_services(mesh),
            *tied_entries(mesh),
            *across_networks(mesh, self._manifests),
            *policies_of_machines(mesh),
            *past_sidecars(mesh, pods),
        )
        mesh = replace(mesh, refusals=(*mesh.refusals, *unclear))
        known = Visibility(mesh)
        opened = (with_ingress(workload, known.sidecar_of(workload)) for workload in mesh.workloads)
        mesh = replace(mesh, workloads=tuple(opened))
        accounts = {
            (manifest.namespace, manifest.name)
            for manifest in self._to_read
            if manifest.kind == "ServiceAccount"
        } | {(pod.ref.namespace, pod.service_account) for pod in converted.pods}
        notes = (*self._notes, *converted.notes, *notes_on(mesh, pods, accounts, injects))
        return _with_notes(mesh, notes)

    def _gateway_api(
        self, services: Iterable[Service], service_entries: Iterable[ServiceEntry], pods: Iterable[Pod]
    ) -> Converted:
        """Convert the objects of the Gateway API; what istiod makes of them joins the other objects."""
        labels = {
            manifest.name: metadata_map(manifest, "labels")
            for manifest in self._to_read
            if (manifest.group, manifest.kind) == ("", "Namespace")
        }
        mentioned: dict[str, Mapping[str, str]] = {
            manifest.namespace: {} for manifest in self._manifests if manifest.namespace
        }
        api = GatewayApi(
            classes=self._read("GatewayClass", read_gateway_class),
            gateways=self._read("Gateway", read_kubernetes_gateway, GATEWAY_API),
            listener_sets=self._read("ListenerSet", read_listener_set, GATEWAY_API),
            http_routes=self._read("HTTPRoute", read_http_route, GATEWAY_API),
            grpc_routes=self._read("GRPCRoute", read_grpc_route, GATEWAY_API),
            tls_routes=self._read("TLSRoute", read_tls_route, GATEWAY_API),
            tcp_routes=self._read("TCPRoute", read_tcp_route, GATEWAY_API),
            grants=self._read("ReferenceGrant", read_reference_grant, GATEWAY_API),
            tls_policies=self._read("BackendTLSPolicy", read_backend_tls_policy, GATEWAY_API),
            services=list(services),
            service_entries=list(service_entries),
            namespaces={**mentioned, **labels},
            config_maps={
                (manifest.namespace, manifest.name): _data_keys(manifest)
                for manifest in self._manifests
                if (manifest.group, manifest.kind) == ("", "ConfigMap")
            },
            workloads=frozenset((pod.ref.namespace, pod.ref.name) for pod in pods),
            class_defaults={
                metadata_map(manifest, "labels")[_CLASS_DEFAULTS]: (
                    Where(manifest),
                    _data_keys(manifest),
                )
                for manifest in self._manifests
                if (manifest.group, manifest.kind) == ("", "ConfigMap")
                and manifest.namespace == self._settings.root_namespace
                and _CLASS_DEFAULTS in metadata_map(manifest, "labels")
            },
        )
        converted = convert(api)
        for manifest, problem in converted.refused:
            self._refuse(manifest, [problem])
        self._passed_over += converted.passed_over
        return converted

    def _read(
        self, kind: str, read: Callable[[Manifest], _Object], group: str | None = None
    ) -> list[_Object]:
        return [
            found
            for manifest in self._to_read
            if manifest.kind == kind and group in (None, manifest.group)
            for found in self._one(manifest, read)
        ]

    def _one(self, manifest: Manifest, read: Callable[[Manifest], _Object]) -> Iterator[_Object]:
        """Read one object; what is refused is not yielded, and is kept."""
        found, problems = self._known.read(manifest, read)
        if problems:
            self._refuse(manifest, problems)
        else:
            yield from found

    def _refuse(self, manifest: Manifest, problems: Iterable[Problem]) -> None:
        scopes = self._scope(manifest)
        self._refusals.append(Refusal(tuple(problems), scopes))

    def _scope(self, manifest: Manifest) -> tuple[Scope, ...]:
        selector = self._settings.ingress.selector
        return scope_of(manifest, self._settings.root_namespace, self._manifests, ingress_selector=selector)

    def _each_once(self) -> Iterator[Manifest]:
        seen: dict[tuple[str, str, str, str], Manifest] = {}
        for manifest in self._manifests:
            key = (manifest.group, manifest.kind, manifest.namespace, manifest.name)
            if key not in seen:
                seen[key] = manifest
                yield manifest
            elif classify(manifest) in ("read", "refused") and manifest.body != seen[key].body:
                first = seen[key]
                place = f"{first.source}:{first.line}" if first.line else first.source
                problem = f"{place} has the same object; keep one."
                scopes = (
                    *self._scope(manifest),
                    *self._scope(first),
                )
                self._refusals.append(Refusal((manifest.problem(("metadata", "name"), problem),), scopes))

    def _each_pod_once(self, pods: Iterable[Pod]) -> Iterator[Pod]:
        seen: dict[object, Pod] = {}
        for pod in pods:
            if pod.ref not in seen:
                seen[pod.ref] = pod
                yield pod
            else:
                problem = f"{seen[pod.ref].kind} {pod.ref} has the same name; workloads are named by it, so rename one."
                self._refuse(pod.where.manifest, [Where(pod.where.manifest).error(problem).problems[0]])


def _with_notes(mesh: Mesh, notes: Iterable[Problem]) -> Mesh:
    return replace(mesh, notes=tuple(notes))


def _unreadable_metadata(manifest: Manifest) -> Iterator[Problem]:
    metadata = manifest.body.get("metadata")
    for name in ("labels", "annotations"):
        value = metadata.get(name) if isinstance(metadata, dict) else None
        if value is not None and not isinstance(value, dict):
            yield manifest.problem(("metadata", name), f"expected a mapping, found {shown_value(value)}.")


def _data_keys(manifest: Manifest) -> frozenset[str]:
    """Return the keys of a ConfigMap's data."""
    data = manifest.body.get("data")
    return frozenset(map(str, data)) if isinstance(data, dict) else frozenset()


def _duplicate_keys(manifest: Manifest) -> Iterator[Problem]:
    def walk(value: object, keys: tuple[str | int, ...]) -> Iterator[Problem]:
        if isinstance(value, LocatedDict):
            for key in value.duplicates:
                yield manifest.problem(
                    (*keys, key), "stands here twice, and the first would be lost; keep one."
                )
        if isinstance(value, dict):
            for key, item in value.items():
                yield from walk(item, (*keys, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from walk(item, (*keys, index))

    yield from walk(manifest.body, ())


_CLASS_DEFAULTS = "gateway.istio.io/defaults-for-class"
_LIMITED = "the load balancer enforces it, the bench does not."
