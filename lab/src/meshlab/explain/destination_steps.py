"""Steps behind the route: the destination with its Service and DestinationRule, TLS with it, and who answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.verdicts.hop import tls_failure
from meshlab.explain.chosen_route import chosen_cluster
from meshlab.explain.explanation import Step
from meshlab.explain.manifest_places import place_of, place_of_manifest, safe
from meshlab.istio.model.destination_rules import policy_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.explanation import Place, State
    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.destination_rules import MergedRule
    from meshlab.istio.model.registry import MeshService

__all__ = ["destination_step", "upstream_tls_step"]

_UNKNOWN = ("PassthroughCluster", "BlackHoleCluster")


def destination_step(context: HopContext, state: State) -> Step | None:
    """Explain which Service, subset and endpoint were chosen."""
    line, hop = context.line, context.hop
    if state == "not reached":
        return Step("destination", state, "nothing was connected to")
    if hop.direction == "inbound":
        text = f"port {hop.port} of {hop.workload}: {hop.upstream_name or 'no connection'}"
        return Step("destination", state, text, (), (), line.flags if state == "refused" else "")
    cluster = chosen_cluster(context)
    if not cluster or cluster in _UNKNOWN:
        text = hop.upstream_name or "none"
        return Step("destination", state, text, (), (), line.flags if state == "refused" else "")
    number, subset, host = _parts(cluster)
    service = _service(context, host)
    text = (
        f"{host} port {number}{f', subset {subset}' if subset else ''}: {hop.upstream_name or 'no endpoint'}"
    )
    if state == "refused":
        text = f"{text}. {_why(context)}"
    return Step(
        "destination",
        state,
        text,
        tuple(dict.fromkeys(_places(context, service, host, subset))),
        (f"tried {line.attempts} times",) if line.attempts > 1 else (),
        "; ".join(filter(None, (line.flags, line.details))) if state == "refused" else "",
    )


def upstream_tls_step(context: HopContext, state: State) -> Step | None:
    """Explain TLS with the endpoint; `None` at the inbound side, where the application gets plaintext."""
    line = context.line
    if context.hop.direction == "inbound" or context.chain is None:
        return None
    if state == "not reached":
        return Step("upstream TLS", state, "nothing was connected to")
    places = tuple(_tls_places(context))
    if state == "refused":
        text = f"TLS with {context.hop.upstream_name or 'the endpoint'} failed: {tls_failure(line.upstream_failure)}"
        details = tuple(_expected_names(_cluster(context)))
        return Step("upstream TLS", state, text, places, details, line.upstream_failure)
    if not line.upstream_tls_version:
        return Step("upstream TLS", state, "the proxy adds no TLS", places)
    peer = f"the server's certificate is {line.upstream_peer}" if line.upstream_peer else "no SPIFFE identity"
    details = (f"cipher {line.upstream_tls_cipher}",)
    return Step("upstream TLS", state, f"{line.upstream_tls_version}, {peer}", places, details)


def _parts(cluster: str) -> tuple[str, str, str]:
    """Return port, subset and host of a cluster's name."""
    for separator in ("|", "_."):
        parts = cluster.split(separator, 3)
        if len(parts) == 4:
            return parts[1].strip("_."), parts[2].strip("_."), parts[3]
    return "", "", cluster


def _service(context: HopContext, host: str) -> MeshService | None:
    return context.mesh.visibility.scope_of(context.workload).by_hostname.get(host)


def _rule(context: HopContext, service: MeshService | None) -> MergedRule | None:
    if service is None:
        return None
    return context.mesh.visibility.scope_of(context.workload).rule_for(service, context.workload.labels)


def _places(context: HopContext, service: MeshService | None, host: str, subset: str) -> Iterator[Place]:
    if service is not None:
        for each in context.mesh.services:
            if service.is_kubernetes and (each.namespace, each.name) == (service.namespace, service.name):
                yield place_of_manifest(each.where.manifest)
        for entry in context.mesh.service_entries:
            if not service.is_kubernetes and entry.namespace == service.namespace and host in entry.hosts:
                yield place_of_manifest(entry.where.manifest)
    rule = _rule(context, service)
    for each_rule in rule.rules if rule else ():
        yield place_of_manifest(each_rule.where.manifest)
        for index, each_subset in enumerate(each_rule.subsets):
            if each_subset.name == subset:
                yield place_of(each_rule.where.key("subsets").item(index))


def _tls_places(context: HopContext) -> Iterator[Place]:
    number, subset, host = _parts(context.line.cluster)
    service = _service(context, host)
    rule = _rule(context, service)
    if rule and number.isdigit():
        tls = policy_for(rule, int(number), subset).tls
        if tls is not None:
            yield place_of(tls.where)


def _cluster(context: HopContext) -> Json:
    clusters = context.bootstrap.get("staticResources", {}).get("clusters", [])
    return next((each for each in clusters if each["name"] == context.line.cluster), {})


def _expected_names(cluster: Json) -> Iterator[str]:
    """Yield which names a server's certificate must have one of."""
    sockets = [cluster.get("transportSocket")]
    sockets += [each.get("transportSocket") for each in cluster.get("transportSocketMatches", [])]
    for socket in filter(None, sockets):
        common = (socket.get("typedConfig") or {}).get("commonTlsContext", {})
        checks = common.get("combinedValidationContext", {}).get("defaultValidationContext", {})
        matchers = [each["matcher"] for each in checks.get("matchTypedSubjectAltNames", [])]
        names = dict.fromkeys(str(value) for each in matchers for value in each.values())
        if names:
            yield f"names of which the server's certificate must have one: {', '.join(map(safe, names))}"


def _why(context: HopContext) -> str:
    flags = context.line.flags.split(",")
    if "UH" in flags:
        return "The cluster has no endpoint"
    if "NC" in flags:
        return "There is no such cluster: no Service or subset of that name that the proxy sees"
    return context.hop.reason
