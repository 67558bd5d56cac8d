"""Changes of the kinds that say what proxies know of hosts, and how they speak to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import ANOTHER, with_value, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Changes, Path

__all__ = ["destination_rule_changes", "service_entry_changes", "sidecar_changes"]


def destination_rule_changes(body: Body) -> Changes:
    """Yield the changes of a DestinationRule."""
    spec = body["spec"]
    yield (), "removed", None
    yield from _export_to(body)
    yield from _traffic_policy(body, ("spec",), spec)
    for number, subset in enumerate(spec.get("subsets", ())):
        here: Path = ("spec", "subsets", number)
        if len(spec["subsets"]) > 1:
            yield here, "removed", without(body, here)
        yield from _traffic_policy(body, here, subset)


def service_entry_changes(body: Body) -> Changes:
    """Yield the changes of a ServiceEntry."""
    spec = body["spec"]
    yield (), "removed", None
    yield from _export_to(body)
    for index, host in enumerate(spec.get("hosts", ())):
        here: Path = ("spec", "hosts", index)
        if len(spec["hosts"]) > 1:
            yield here, f"{host} removed", without(body, here)
        parent = host.partition(".")[2]
        if "." in parent and "endpoints" in spec and not host.startswith("*"):
            yield here, f"*.{parent} for {host}", with_value(body, here, f"*.{parent}")
    for name in ("addresses", "endpoints"):
        if name in spec and not any(host.startswith("*") for host in spec.get("hosts", ())):
            yield ("spec", name), "removed", without(body, ("spec", name))
    if spec.get("location") == "MESH_EXTERNAL":
        yield ("spec", "location"), "inside", with_value(body, ("spec", "location"), "MESH_INTERNAL")
    yield ("spec", "resolution"), "NONE", _to_any_address(body)
    ports = spec.get("ports", [])
    numbers = {port["number"] for port in ports}
    for number, name, protocol in ((80, "http", "HTTP"), (443, "tls", "TLS")):
        if number not in numbers:
            more = [*ports, {"number": number, "name": f"{name}-{number}", "protocol": protocol}]
            yield ("spec", "ports"), f"{number} added", with_value(body, ("spec", "ports"), more)
    for index, port in enumerate(ports):
        if port.get("protocol") not in ("TCP", None):
            place: Path = ("spec", "ports", index)
            bytes_only = {**port, "name": port["name"], "protocol": "TCP"}
            yield place, "TCP", with_value(body, place, bytes_only)


def sidecar_changes(body: Body) -> Changes:
    """Yield the changes of a Sidecar."""
    spec = body["spec"]
    yield (), "removed", None
    if "outboundTrafficPolicy" in spec:
        place: Path = ("spec", "outboundTrafficPolicy")
        yield place, "removed", without(body, place)
        yield (*place, "mode"), "ALLOW_ANY", with_value(body, (*place, "mode"), "ALLOW_ANY")
    if "egress" in spec:
        yield ("spec", "egress"), "removed", without(body, ("spec", "egress"))
    for number, listener in enumerate(spec.get("egress", ())):
        here: Path = ("spec", "egress", number, "hosts")
        yield here, "every host", with_value(body, here, ["*/*"])
        for index, host in enumerate(listener.get("hosts", ())):
            if len(listener["hosts"]) > 1:
                yield (*here, index), f"{host} removed", without(body, (*here, index))
            namespace, _, name = host.partition("/")
            if name != "*":
                yield (
                    (*here, index),
                    f"{namespace}/* for {host}",
                    with_value(body, (*here, index), f"{namespace}/*"),
                )
            if namespace != "*":
                yield (*here, index), f"*/{name} for {host}", with_value(body, (*here, index), f"*/{name}")


def _export_to(body: Body) -> Changes:
    place: Path = ("spec", "exportTo")
    namespaces = body["spec"].get("exportTo")
    if namespaces is None:
        return
    yield place, "every namespace", with_value(body, place, ["*"])
    for index, namespace in enumerate(namespaces):
        if len(namespaces) > 1:
            yield (*place, index), f"{namespace} removed", without(body, (*place, index))


def _traffic_policy(body: Body, place: Path, holder: Mapping[str, Any]) -> Changes:
    if "trafficPolicy" in holder:
        yield (*place, "trafficPolicy"), "removed", without(body, (*place, "trafficPolicy"))
        for here, tls in _tls_settings(holder["trafficPolicy"], (*place, "trafficPolicy")):
            yield from _client_tls(body, here, tls)


def _client_tls(body: Body, place: Path, tls: Mapping[str, Any]) -> Changes:
    yield (*place, "mode"), "DISABLE", with_value(body, place, {"mode": "DISABLE"})
    if tls.get("mode") in ("MUTUAL", "ISTIO_MUTUAL"):
        server_only = {name: value for name, value in tls.items() if name != "credentialName"}
        yield (*place, "mode"), "SIMPLE", with_value(body, place, {**server_only, "mode": "SIMPLE"})
    for name in ("sni", "subjectAltNames", "credentialName", "caCertificates"):
        # Istio refuses mutual TLS without a certificate.
        if name in tls and (name != "credentialName" or tls.get("mode") != "MUTUAL"):
            yield (*place, name), "removed", without(body, (*place, name))
    for name in ("sni", "credentialName"):
        if name in tls:
            other = f"{ANOTHER}-{tls[name]}"
            yield (*place, name), "another", with_value(body, (*place, name), other)
    if tls.get("mode") != "ISTIO_MUTUAL":
        unchecked = with_value(body, (*place, "insecureSkipVerify"), True)
        if "subjectAltNames" in tls:
            unchecked = without(unchecked, (*place, "subjectAltNames"))
        yield (*place, "insecureSkipVerify"), "set", unchecked


def _tls_settings(policy: Mapping[str, Any], place: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if "tls" in policy:
        yield (*place, "tls"), policy["tls"]
    for number, port in enumerate(policy.get("portLevelSettings", ())):
        if "tls" in port:
            yield (*place, "portLevelSettings", number, "tls"), port["tls"]


def _to_any_address(body: Body) -> Body:
    changed = with_value(body, ("spec", "resolution"), "NONE")
    return without(changed, ("spec", "endpoints")) if "endpoints" in body["spec"] else changed
