"""Mutants under which every request ends as under the original, each with its proof.

A proof that rests on the manifests is a check of them, so an equivalent that is none any more fails its test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshlab.mutate.mutants import Mutant

Objects = Sequence[Mapping[str, Any]]

ROOT = "istio-system"


@dataclass(frozen=True)
class Equivalent:
    """A kind of mutants that change nothing.

    Attributes:
        mutants: A pattern of `str(mutant)`, which must match from the beginning.
        proof: Why no request meets a difference.
        holds: Whether the manifests are as the proof says.
    """

    mutants: str
    proof: str
    holds: Callable[[Mutant, Objects], bool] = lambda _mutant, _objects: True

    def covers(self, mutant: Mutant, objects: Objects) -> bool:
        """Return whether a mutant is one of them."""
        return re.match(self.mutants, str(mutant)) is not None and self.holds(mutant, objects)


def alone_in_its_namespace(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the manifests have one workload in the mutant's namespace."""
    found = [one for one in objects if one["kind"] == "Deployment" and _namespace(one) == mutant.namespace]
    return len(found) == 1


def audience_of_one_caller(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the rule of the policy's issuer admits its audience alone, at the same proxy."""
    rule = _token_rule(mutant, objects)
    return (
        is_about_audiences(mutant, objects)
        and rule is not None
        and rule["audiences"] == _audiences(mutant, objects)
    )


def is_about_audiences(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the condition that a mutant changes is the one on a token's audiences."""
    condition = rule_of(mutant, objects)["when"][int(mutant.path.split(".")[4])]
    return bool(condition["key"] == "request.auth.audiences")


def one_issuer(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the proxy of a policy verifies tokens of one issuer alone."""
    return len({rule["issuer"] for rule in _rules(mutant, objects)}) == 1


def keeps_routes_from_sidecars(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a VirtualService names no mesh, and no namespace with a sidecar in it."""
    spec = _original(mutant, objects)["spec"]
    gateways, namespaces = spec["gateways"], spec["exportTo"]
    sidecars = {_namespace(one) for one in objects if one["kind"] == "Deployment" and not _is_gateway(one)}
    return "mesh" not in gateways and "*" not in namespaces and not sidecars & set(namespaces)


def host_of_one_service(mutant: Mutant, objects: Objects) -> bool:
    """Return whether no other VirtualService has the mutant's hosts."""
    spec = _original(mutant, objects)["spec"]
    others = [one for one in objects if one["kind"] == "VirtualService" and one["spec"] is not spec]
    return not any(set(one["spec"]["hosts"]) & set(spec["hosts"]) for one in others)


def path_is_exact(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a match of a route that leads on asks for one whole path, and none else has the hosts."""
    route = _route_of(mutant, objects)
    match = route["match"][int(mutant.path.split(".")[4])]
    leads_on = "route" in route and "directResponse" not in route
    return leads_on and list(match["uri"]) == ["exact"] and host_of_one_service(mutant, objects)


def serves_its_own_namespaces(mutant: Mutant, objects: Objects) -> bool:
    """Return whether every VirtualService that binds to a gateway is of a namespace that the gateway names."""
    hosts = [host for server in _original(mutant, objects)["spec"]["servers"] for host in server["hosts"]]
    name = f"{mutant.namespace}/{mutant.name}"
    return all(
        f"{_namespace(one)}/{host}" in hosts
        for one in objects
        if one["kind"] == "VirtualService" and name in one["spec"]["gateways"]
        for host in one["spec"]["hosts"]
    )


def denied_by_the_root_namespace(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the root namespace has the same policy for every workload."""
    spec = _original(mutant, objects)["spec"]
    return mutant.namespace != ROOT and any(
        one["kind"] == "AuthorizationPolicy" and _namespace(one) == ROOT and one["spec"] == spec
        for one in objects
    )


def one_port_speaks_http(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a policy's rule is for HTTP, and one server of the gateways of its namespace takes HTTP."""
    (entry,) = rule_of(mutant, objects)["to"]
    http = [server for server in _servers(mutant, objects) if server["port"]["protocol"] in ("HTTP", "HTTPS")]
    return "methods" in entry["operation"] and len(http) == 1


def one_server_takes_the_name(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the rule's server names are those of one server of the gateway, and of no other."""
    (names,) = [
        set(condition["values"])
        for condition in rule_of(mutant, objects)["when"]
        if condition["key"] == "connection.sni"
    ]
    holders = [hosts for hosts in _hosts(mutant, objects) if hosts & names]
    return holders == [names]


def tls_has_its_own_port(mutant: Mutant, objects: Objects) -> bool:
    """Return whether one server passes TLS through, by exactly the server names of the rule."""
    servers = [server for server in _servers(mutant, objects) if server["port"]["protocol"] == "TLS"]
    return len(servers) == 1 and one_server_takes_the_name(mutant, objects)


def asks_by_the_hosts_own_name(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a DestinationRule asks its host by the host's own name."""
    spec = _original(mutant, objects)["spec"]
    return all(tls["sni"] == spec["host"] for tls in _tls(spec["trafficPolicy"]))


def every_route_names_a_subset(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a host is reached by subsets with TLS of their own, at gateways that take known mTLS alone."""
    spec = _original(mutant, objects)["spec"]
    subsets = {subset["name"] for subset in spec["subsets"] if _tls(subset.get("trafficPolicy", {}))}
    routes = [
        route["destination"].get("subset")
        for one in objects
        if one["kind"] == "VirtualService"
        for protocol in ("http", "tls", "tcp")
        for rule in one["spec"].get(protocol, ())
        for route in rule["route"]
        if route["destination"]["host"] == spec["host"] and _namespace(one) == mutant.namespace
    ]
    namespace = spec["host"].split(".")[1]
    servers = [
        server
        for one in objects
        if one["kind"] == "Gateway" and _namespace(one) == namespace
        for server in one["spec"]["servers"]
    ]
    exact = all("*" not in host for server in servers for host in server["hosts"])
    mutual = all(server["tls"]["mode"] == "ISTIO_MUTUAL" for server in servers)
    return bool(routes) and set(routes) <= subsets and exact and mutual


def known_to_the_gateway_alone(mutant: Mutant, objects: Objects) -> bool:
    """Return whether only gateways see an entry, and every route to its hosts names a port that it has."""
    spec = _original(mutant, objects)["spec"]
    inside = [one for one in objects if one["kind"] == "Deployment" and _namespace(one) == mutant.namespace]
    ports = {port["number"] for port in spec["ports"]}
    named = [
        route["destination"]["port"]["number"]
        for one in objects
        if one["kind"] == "VirtualService" and _namespace(one) == mutant.namespace
        for protocol in ("http", "tls", "tcp")
        for rule in one["spec"].get(protocol, ())
        for route in rule["route"]
        if route["destination"]["host"] in spec["hosts"]
    ]
    return spec["exportTo"] == ["."] and all(map(_is_gateway, inside)) and bool(named) and set(named) <= ports


def no_endpoint_is_labelled(mutant: Mutant, objects: Objects) -> bool:
    """Return whether no endpoint of an entry says that it has a sidecar."""
    endpoints = _original(mutant, objects)["spec"].get("endpoints", ())
    return not any("labels" in endpoint for endpoint in endpoints)


def a_route_takes_every_request(mutant: Mutant, objects: Objects) -> bool:
    """Return whether sidecars of the namespace have a route for the entry's hosts on its only port."""
    spec = _original(mutant, objects)["spec"]
    (port,) = spec["ports"]
    for one in objects:
        if one["kind"] != "VirtualService" or _namespace(one) != mutant.namespace:
            continue
        if one["spec"]["hosts"] != spec["hosts"] or "mesh" not in one["spec"]["gateways"]:
            continue
        rules = [*one["spec"].get("http", ()), *one["spec"].get("tls", ())]
        matches = [match for rule in rules for match in rule["match"]]
        whole = ({"port": port["number"]}, {"port": port["number"], "sniHosts": spec["hosts"]})
        return any(match in whole for match in matches)
    return False


def speaks_http(mutant: Mutant, objects: Objects) -> bool:
    """Return whether every port of an entry is for HTTP."""
    return all(port["protocol"] == "HTTP" for port in _original(mutant, objects)["spec"]["ports"])


def leads_to_exact_servers(mutant: Mutant, objects: Objects) -> bool:
    """Return whether an entry's endpoints are a gateway whose servers take whole names alone."""
    (endpoint,) = _original(mutant, objects)["spec"]["endpoints"]
    namespace = endpoint["address"].split(".")[1]
    hosts = [
        host
        for one in objects
        if one["kind"] == "Gateway" and _namespace(one) == namespace
        for server in one["spec"]["servers"]
        for host in server["hosts"]
    ]
    return bool(hosts) and not any("*" in host for host in hosts)


def policies_name_whole_servers(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the rules for TCP, in the gateway's namespace, let in whole server names alone."""
    rules = [
        rule
        for one in objects
        if one["kind"] == "AuthorizationPolicy" and _namespace(one) == mutant.namespace
        for rule in one["spec"].get("rules", ())
        if not any("methods" in entry["operation"] for entry in rule.get("to", ()))
    ]
    named = [
        condition.get("values", ())
        for rule in rules
        for condition in rule.get("when", ())
        if condition["key"] == "connection.sni"
    ]
    return (
        bool(named) and len(named) == len(rules) and not any("*" in name for names in named for name in names)
    )


def one_static_address(mutant: Mutant, objects: Objects) -> bool:
    """Return whether an entry leads to the one address that applications ask for."""
    spec = _original(mutant, objects)["spec"]
    return spec["resolution"] == "STATIC" and list(spec["addresses"]) == [
        one["address"] for one in spec["endpoints"]
    ]


def gateway_names_the_client(mutant: Mutant, objects: Objects) -> bool:
    """Return whether every server of the gateway takes the rule's clients alone, each by its certificate."""
    (source,) = rule_of(mutant, objects)["from"]
    names = [f"spiffe://{principal}" for principal in source["source"]["principals"]]
    servers = _servers(mutant, objects)
    return bool(servers) and all(
        server["tls"]["mode"] == "MUTUAL" and server["tls"].get("subjectAltNames") == names
        for server in servers
    )


def names_its_clients(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a Gateway compares the names of its clients' certificates."""
    return all(
        server["tls"].get("subjectAltNames") for server in _original(mutant, objects)["spec"]["servers"]
    )


def only_subsets(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a DestinationRule is of a gateway's Service and says nothing but for the routes that name it."""
    return "trafficPolicy" not in _original(mutant, objects)["spec"]


def sidecars_reach_any_host(_mutant: Mutant, objects: Objects) -> bool:
    """Return whether no Sidecar keeps the sidecars of the mesh from hosts that they do not know."""
    return not any(one["kind"] in ("Sidecar", "MeshConfig") for one in objects)


def rule_of(mutant: Mutant, objects: Objects) -> Mapping[str, Any]:
    """Return the rule of an AuthorizationPolicy that a mutant changes."""
    rule: Mapping[str, Any] = _original(mutant, objects)["spec"]["rules"][int(mutant.path.split(".")[2])]
    return rule


def _route_of(mutant: Mutant, objects: Objects) -> Mapping[str, Any]:
    route: Mapping[str, Any] = _original(mutant, objects)["spec"]["http"][int(mutant.path.split(".")[2])]
    return route


def _servers(mutant: Mutant, objects: Objects) -> list[Mapping[str, Any]]:
    """Return the servers of the Gateways beside a policy, for the same pods."""
    labels = _original(mutant, objects)["spec"]["selector"]["matchLabels"]
    return [
        server
        for one in objects
        if one["kind"] == "Gateway" and _namespace(one) == mutant.namespace
        if one["spec"]["selector"] == labels
        for server in one["spec"]["servers"]
    ]


def _hosts(mutant: Mutant, objects: Objects) -> list[set[str]]:
    return [{host.rpartition("/")[2] for host in server["hosts"]} for server in _servers(mutant, objects)]


def _tls(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [policy, *policy.get("portLevelSettings", ())]
    return [each["tls"] for each in found if "tls" in each]


def _is_gateway(one: Mapping[str, Any]) -> bool:
    annotations = one["spec"]["template"]["metadata"].get("annotations", {})
    return str(annotations.get("inject.istio.io/templates")) == "gateway"


def _token_rule(mutant: Mutant, objects: Objects) -> Mapping[str, Any] | None:
    original = _original(mutant, objects)
    number = int(mutant.path.split(".")[2])
    (source,) = original["spec"]["rules"][number]["from"]
    (principal,) = source["source"]["requestPrincipals"]
    issuer = principal.rpartition("/")[0]
    return next((rule for rule in _rules(mutant, objects) if rule["issuer"] == issuer), None)


def _audiences(mutant: Mutant, objects: Objects) -> list[str]:
    rule = _original(mutant, objects)["spec"]["rules"][int(mutant.path.split(".")[2])]
    return [
        value
        for condition in rule["when"]
        if condition["key"] == "request.auth.audiences"
        for value in condition["values"]
    ]


def _rules(mutant: Mutant, objects: Objects) -> list[Mapping[str, Any]]:
    labels = _original(mutant, objects)["spec"]["selector"]
    return [
        rule
        for one in objects
        if one["kind"] == "RequestAuthentication" and _namespace(one) == mutant.namespace
        if one["spec"]["selector"] == labels
        for rule in one["spec"]["jwtRules"]
    ]


def _original(mutant: Mutant, objects: Objects) -> Mapping[str, Any]:
    return next(
        one
        for one in objects
        if (one["kind"], _namespace(one), one["metadata"]["name"])
        == (mutant.kind, mutant.namespace, mutant.name)
    )


def _namespace(one: Mapping[str, Any]) -> str:
    return str(one["metadata"].get("namespace", ""))
