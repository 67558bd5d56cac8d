"""Changes of Gateways and VirtualServices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import ANOTHER, with_value, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.mutate.edits import Body, Changes, Path

__all__ = ["gateway_changes", "virtual_service_changes"]


def gateway_changes(body: Body) -> Changes:
    """Yield the changes of a Gateway."""
    yield (), "removed", None
    if "selector" in body["spec"]:
        # Istio then binds the Gateway to every gateway of the mesh.
        yield ("spec", "selector"), "every gateway", without(body, ("spec", "selector"))
    for number, server in enumerate(body["spec"]["servers"]):
        here: Path = ("spec", "servers", number)
        if len(body["spec"]["servers"]) > 1:
            yield here, "removed", without(body, here)
        for index, host in enumerate(server["hosts"]):
            place = (*here, "hosts", index)
            if len(server["hosts"]) > 1:
                yield place, f"{host} removed", without(body, place)
            namespace, _, name = host.rpartition("/")
            if namespace not in ("", "*"):
                yield place, f"{host} from every namespace", with_value(body, place, f"*/{name}")
        yield (*here, "hosts"), "any host", with_value(body, (*here, "hosts"), [*server["hosts"], "*/*"])
        tls = server.get("tls", {})
        if tls:
            yield here, "plaintext", _plaintext(body, here, server)
        if "minProtocolVersion" in tls:
            place = (*here, "tls", "minProtocolVersion")
            yield place, "removed", without(body, place)
        if tls.get("mode") in ("MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"):
            # Istio refuses names of clients that are not asked for a certificate.
            kept = {name: value for name, value in tls.items() if name != "subjectAltNames"}
            changed = {**kept, "mode": "SIMPLE", "credentialName": tls.get("credentialName", "a-credential")}
            yield (*here, "tls", "mode"), "SIMPLE", with_value(body, (*here, "tls"), changed)
        if tls.get("mode") == "MUTUAL":
            yield (
                (*here, "tls", "mode"),
                "optional",
                with_value(body, (*here, "tls", "mode"), "OPTIONAL_MUTUAL"),
            )
        if "credentialName" in tls:
            place = (*here, "tls", "credentialName")
            yield place, "another", with_value(body, place, f"{ANOTHER}-{tls['credentialName']}")
        for name in ("subjectAltNames", "caCrl", "cipherSuites"):
            if name in tls:
                yield (*here, "tls", name), "removed", without(body, (*here, "tls", name))


def _plaintext(body: Body, here: Path, server: Mapping[str, Any]) -> Body:
    protocol = "TCP" if server["port"]["protocol"] == "TLS" else "HTTP"
    port = {**server["port"], "protocol": protocol}
    return with_value(without(body, (*here, "tls")), (*here, "port"), port)


def virtual_service_changes(body: Body) -> Changes:
    """Yield the changes of a VirtualService."""
    spec = body["spec"]
    yield (), "removed", None
    if "exportTo" in spec:
        yield ("spec", "exportTo"), "every namespace", with_value(body, ("spec", "exportTo"), ["*"])
        for index, namespace in enumerate(spec["exportTo"]):
            if len(spec["exportTo"]) > 1:
                place: Path = ("spec", "exportTo", index)
                yield place, f"{namespace} removed", without(body, place)
    for index, gateway in enumerate(spec.get("gateways", ())):
        if len(spec["gateways"]) > 1:
            yield (
                ("spec", "gateways", index),
                f"{gateway} removed",
                without(body, ("spec", "gateways", index)),
            )
    if "gateways" in spec and "mesh" not in spec["gateways"]:
        wider = [*spec["gateways"], "mesh"]
        yield ("spec", "gateways"), "mesh added", with_value(body, ("spec", "gateways"), wider)
    for protocol in ("http", "tls", "tcp"):
        for number, route in enumerate(spec.get(protocol, ())):
            here: Path = ("spec", protocol, number)
            if len(spec[protocol]) > 1:
                yield here, "removed", without(body, here)
            yield from _route(body, here, route)


def _route(body: Body, here: Path, route: Mapping[str, Any]) -> Changes:
    for name in ("timeout", "retries"):
        if name in route:
            yield (*here, name), "removed", without(body, (*here, name))
    for index, target in enumerate(route.get("route", ())):
        if "subset" in target["destination"]:
            place: Path = (*here, "route", index, "destination", "subset")
            yield place, "removed", without(body, place)
    if "match" in route and here[1] != "tls":
        yield (*here, "match"), "removed", without(body, (*here, "match"))
    for index, match in enumerate(route.get("match", ())):
        place = (*here, "match", index)
        if len(route["match"]) > 1:
            yield place, "removed", without(body, place)
        for name in match:
            if len(match) > 1 and name != "sniHosts":
                yield (*place, name), "removed", without(body, (*place, name))
        regex = match.get("uri", {}).get("regex", "")
        if "[^/;]+" in regex:
            wider = regex.replace("[^/;]+", "[^/]+")
            yield (*place, "uri", "regex"), "parameters", with_value(body, (*place, "uri", "regex"), wider)
            yield (*place, "uri", "regex"), "all below", with_value(body, (*place, "uri", "regex"), ".*")
    for direction in ("request", "response"):
        for index, header in enumerate(route.get("headers", {}).get(direction, {}).get("remove", ())):
            place = (*here, "headers", direction, "remove", index)
            yield place, f"{header} kept", without(body, place)
