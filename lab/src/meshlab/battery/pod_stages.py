"""Proxies of pods as stages: the policies there, and the tokens that they verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.clauses import Clause, Stage
from meshlab.battery.entry import peers_watched, tokens_watched
from meshlab.battery.policy_clauses import clauses_of
from meshlab.battery.policy_proxy import PolicyProxy
from meshlab.istio.model.mtls import mtls_mode

if TYPE_CHECKING:
    from meshlab.battery.arrival import Arrival
    from meshlab.istio import Mesh, Workload
    from meshlab.istio.read.request_authentication import JwtRule
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["PodStages", "pod_mode"]


def pod_mode(mesh: Mesh, workload: Workload, port: int) -> str:
    """Return the mTLS mode of a workload's port."""
    reached = mesh.attached_to(workload, mesh.peer_authentications)
    namespace, root = workload.ref.namespace, mesh.root_namespace
    return mtls_mode(reached, namespace=namespace, root_namespace=root, port=port)


class PodStages:
    """The stages of the pods of one mesh.

    Args:
        mesh: The mesh.
        unread: Receives what is not asked about.
    """

    def __init__(self, mesh: Mesh, unread: dict[str, None]) -> None:
        self._mesh = mesh
        self._unread = unread
        self._pods: dict[tuple[WorkloadRef, int, Arrival], Stage] = {}
        settings = mesh.settings
        self._domains = (settings.trust_domain, *settings.trust_domain_aliases)

    def token_rules(self, workload: Workload) -> tuple[JwtRule, ...]:
        """Return the rules that verify tokens at a workload's proxy."""
        policies = self._mesh.attached_to(workload, self._mesh.request_authentications)
        return tuple(rule for policy in policies for rule in policy.rules)

    def pod(self, workload: Workload, port: int, arrival: Arrival) -> Stage:
        """Return the proxy of a workload that is no gateway.

        Args:
            workload: The workload.
            port: The pod's port.
            arrival: How requests arrive there.
        """
        # Several routes may lead to one pod, and it is one place to be reached.
        key = (workload.ref, port, arrival)
        if key not in self._pods:
            self._pods[key] = self._new(workload, port, arrival)
        return self._pods[key]

    def _new(self, workload: Workload, port: int, arrival: Arrival) -> Stage:
        name = f"{workload.ref}:{port}"
        if not workload.injected:
            return Stage(name, str(workload.ref), swept=arrival.swept)
        rules = self.token_rules(workload)
        allow, deny = self.policies(workload, self.proxy(port, rules, arrival))
        watched = [*peers_watched(arrival.peer), *(tokens_watched(rules) if arrival.http else ())]
        return Stage(name, str(workload.ref), allow, deny, tuple(watched), (), arrival.swept, rules)

    def proxy(self, port: int, rules: tuple[JwtRule, ...], arrival: Arrival) -> PolicyProxy:
        """Return a proxy as its policies see it."""
        forwarded = arrival.forwarded
        return PolicyProxy(
            port,
            arrival.http,
            self._domains,
            rules,
            forwarded.passes,
            str(forwarded),
            arrival.peer,
            self._unread,
        )

    def policies(
        self, workload: Workload, proxy: PolicyProxy
    ) -> tuple[tuple[Clause, ...] | None, tuple[Clause, ...]]:
        """Return the clauses of ALLOW rules, `None` where no ALLOW policy applies, and those of all other rules."""
        allow: list[Clause] | None = None
        deny: list[Clause] = []
        for policy in self._mesh.attached_to(workload, self._mesh.authorization_policies):
            if policy.dry_run or policy.action == "AUDIT":
                continue
            if policy.action == "ALLOW":
                allow = [*(allow or []), *clauses_of(policy, proxy)]
            else:
                deny += clauses_of(policy, proxy)
        if allow is not None:
            allow.sort(key=lambda clause: not clause.open)
        return None if allow is None else tuple(allow), tuple(deny)
