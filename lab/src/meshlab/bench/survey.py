"""Facts about a mesh that `meshlab init` writes its first cases from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["ClientCertificate", "Endpoint", "Entrance", "Issuer", "PolicyRule", "Survey"]


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate that a gateway takes from its clients.

    Attributes:
        authority: The authority that signs it, as case files name it.
        uris: Its URI names.
        dns: Its DNS names.
    """

    authority: str
    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entrance:
    """A host that a gateway serves.

    Attributes:
        gateway: The gateway workload.
        scheme: `http` or `https`.
        host: A host name without wildcard.
        port: The port as clients outside write it.
        paths: Paths that its routes match, one for each route at most.
        certificate: A client's certificate that it takes; `None` where it asks for none.
    """

    gateway: WorkloadRef
    scheme: str
    host: str
    port: int
    paths: tuple[str, ...] = ()
    certificate: ClientCertificate | None = None


@dataclass(frozen=True)
class Endpoint:
    """A Service's port that a workload answers on.

    Attributes:
        workload: The workload.
        host: The Service's full host name.
        port: The Service's port.
        target: The pod's port behind it.
        http: Whether it speaks HTTP.
    """

    workload: WorkloadRef
    host: str
    port: int
    target: int
    http: bool


@dataclass(frozen=True)
class Issuer:
    """An issuer of tokens, and the workloads whose proxies check them."""

    name: str
    workloads: tuple[WorkloadRef, ...]


@dataclass(frozen=True)
class PolicyRule:
    """One rule of an AuthorizationPolicy on one workload.

    Attributes:
        policy: `NAMESPACE/NAME`.
        workload: The workload that the policy selects.
        methods: Methods that it names, without wildcards.
        paths: Paths that match those that it names.
        issuer: The issuer of a token that an ALLOW rule asks for; empty where it asks for none.
        claims: The claims of that token, by name.
    """

    policy: str
    workload: WorkloadRef
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    issuer: str = ""
    claims: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Survey:
    """A mesh as its callers see it.

    Attributes:
        entrances: The hosts of all gateways.
        endpoints: The ports of all workloads that a Service selects.
        senders: Workloads with a sidecar, which can send.
        issuers: The issuers of RequestAuthentications.
        rules: The rules of AuthorizationPolicies, workload by workload.
        left_out: What no request can ask about, one sentence each.
    """

    entrances: tuple[Entrance, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    senders: tuple[WorkloadRef, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    left_out: tuple[str, ...] = ()
