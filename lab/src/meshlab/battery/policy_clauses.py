"""Rules of AuthorizationPolicies as clauses, for one port of one workload.

What a value means is what `istio.envoy.rbac` compiles it to. This module only helps to choose which values are worth
sending. The verdict is Envoy's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom, Clause, Requirement, TokenDemand
from meshlab.battery.policy_atoms import requirement_of
from meshlab.battery.policy_proxy import PolicyProxy
from meshlab.battery.request_values import PEER
from meshlab.battery.token_atoms import claim_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.istio.read.authorization_policy import AuthorizationPolicy, Rule, Values

__all__ = ["clauses_of", "peer_atoms"]

_HTTP_ONLY = ("hosts", "methods", "paths", "requestPrincipals", "request.")
_MOST_CLAUSES = 64


def clauses_of(policy: AuthorizationPolicy, proxy: PolicyProxy) -> Iterator[Clause]:
    """Yield the clauses of a policy's rules: one for each pair of a source and an operation."""
    name = f"{policy.attachment.namespace}/{policy.attachment.name}"
    for number, rule in enumerate(policy.rules):
        pairs = [
            (source, operation) for source in rule.sources or ({},) for operation in rule.operations or ({},)
        ]
        if len(pairs) > _MOST_CLAUSES:
            proxy.unread[f"{len(pairs) - _MOST_CLAUSES} more pairs of source and operation of {name}"] = None
        for source, operation in pairs[:_MOST_CLAUSES]:
            found = _clause(policy, rule, source, operation, proxy, f"policy {name}, rule {number}")
            if found is not None:
                yield found


def peer_atoms(policy: AuthorizationPolicy, trust_domains: tuple[str, ...]) -> Iterator[Atom]:
    """Yield the conditions of a policy on who connects."""
    proxy = PolicyProxy(0, http=True, trust_domains=trust_domains)
    for rule in policy.rules:
        keyed = [pair for source in rule.sources for pair in source.items()]
        keyed += [(condition.key, condition.values) for condition in rule.conditions]
        for key, values in keyed:
            found = requirement_of(key, values, policy.attachment.namespace, proxy)
            if found is not None and found.dimension == PEER:
                yield from found.atoms


def _clause(
    policy: AuthorizationPolicy,
    rule: Rule,
    source: Mapping[str, Values],
    operation: Mapping[str, Values],
    proxy: PolicyProxy,
    name: str,
) -> Clause | None:
    requirements: list[Requirement] = []
    is_open = True
    keyed = [*source.items(), *operation.items(), *((each.key, each.values) for each in rule.conditions)]
    for key, values in keyed:
        if not proxy.http and key.startswith(_HTTP_ONLY):
            # istiod drops an ALLOW rule that asks a connection for what only requests have.
            if policy.action == "ALLOW":
                return None
            continue
        if key in ("ports", "destination.port"):
            if (values.any_of and str(proxy.port) not in values.any_of) or str(proxy.port) in values.none_of:
                return None
            continue
        found = requirement_of(key, values, policy.attachment.namespace, proxy)
        if found is None:
            proxy.unread[f"the condition {key} of {name}"] = None
        elif found.dimension == PEER and proxy.peer is not None:
            is_open &= found.met_by(proxy.peer)
        else:
            requirements.append(found)
    return Clause(name, tuple(requirements), _demand(keyed), is_open)


def _demand(keyed: list[tuple[str, Values]]) -> TokenDemand:
    principals: list[str] = []
    audiences: list[str] = []
    claims: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    refused: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    for key, values in keyed:
        named = (*values.any_of, *values.none_of)
        if key in ("requestPrincipals", "request.auth.principal"):
            principals += named
        elif key == "request.auth.audiences":
            audiences += named
        elif (path := claim_names(key)) is not None:
            (claims if values.any_of else refused).append((path, named))
    return TokenDemand(tuple(principals), tuple(claims), tuple(audiences), tuple(refused))
