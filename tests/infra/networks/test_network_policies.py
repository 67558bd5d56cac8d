"""The NetworkPolicies of an environment let through what the mesh needs and nothing else, in both directions."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from meshgen.networks import generate_networks
from meshgen.sources import DescriptionError
from meshlab.kustomize import build

from tests import yaml_text
from tests.infra.networks import world
from tests.infra.networks.network_policies import DIRECTIONS, Connection, Pod, allowed, allows
from tests.infra.networks.world import (
    AGENT,
    API_SERVER,
    APP_X,
    APP_Y,
    BESIDE_GATEWAY,
    BESIDE_ISTIOD,
    DNS_SERVICE,
    GATEWAY,
    INGRESS,
    INTERNET,
    INTERNET_V6,
    ISTIOD,
    KUBE_DNS,
    LOCAL_CACHE,
    METADATA_V1,
    METADATA_V2,
    NODE_CACHE,
    OTHER_X,
    OTHER_Y,
    PRIVATE_APIS,
    PROFILE,
    RESTRICTED_APIS,
    ROOT,
    STRANGER,
    generated,
    policies_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DIRECTORY = ROOT / "infra/mesh/egress/network-policies/example"
EXAMPLE = [dict(found.body) for found in build(DIRECTORY)]
GUARDED = ("team-x", "team-y", "istio-egress", "istio-system")


def _open(connections: Iterator[Connection], policies: list[dict[str, Any]]) -> set[str]:
    return {str(found) for found in connections if allowed(policies, found)}


def _dns(*destinations: Pod | str) -> Iterator[tuple[Pod | str, str, int]]:
    for destination in destinations:
        yield destination, "UDP", 53
        yield destination, "TCP", 53


_NAMES = [*_dns(KUBE_DNS, NODE_CACHE, LOCAL_CACHE)]
_PROXY = [*_NAMES, (ISTIOD, "TCP", 15012)]
_GOOGLE = [(PRIVATE_APIS, "TCP", 443), (METADATA_V2, "TCP", 80)]  # team-x asks for it
_WAY_OUT = [(GATEWAY, "TCP", 8080), (GATEWAY, "TCP", 8443)]
_TCP = [port for protocol, port in world.PORTS if protocol == "TCP"]

LEAVES = {
    APP_X: [*_PROXY, *_GOOGLE, *_WAY_OUT, *((OTHER_X, "TCP", port) for port in _TCP)],
    OTHER_X: [*_PROXY, *_GOOGLE, *_WAY_OUT, *((APP_X, "TCP", port) for port in _TCP)],
    APP_Y: [*_PROXY, *_WAY_OUT, *((OTHER_Y, "TCP", port) for port in _TCP)],
    GATEWAY: [
        *_PROXY,
        *((end, "TCP", 443) for end in (INTERNET, INTERNET_V6, PRIVATE_APIS, RESTRICTED_APIS)),
    ],
    BESIDE_GATEWAY: _PROXY,
    ISTIOD: [*_NAMES, (API_SERVER, "TCP", 443), (PRIVATE_APIS, "TCP", 443)],  # keys of two callers
    BESIDE_ISTIOD: [*_NAMES, (API_SERVER, "TCP", 443)],
}
"""Everything that a pod of a guarded namespace reaches."""

ENTERS = {
    APP_X: [(OTHER_X, "TCP", port) for port in _TCP],
    APP_Y: [(OTHER_Y, "TCP", port) for port in _TCP],
    GATEWAY: [(pod, "TCP", port) for pod in (APP_X, OTHER_X, APP_Y, OTHER_Y) for port in (8080, 8443)],
    BESIDE_GATEWAY: [],
    ISTIOD: [
        *(
            (pod, "TCP", 15012)
            for pod in (APP_X, OTHER_X, APP_Y, OTHER_Y, GATEWAY, BESIDE_GATEWAY, INGRESS, PROFILE)
        ),
        (AGENT, "TCP", 15017),
    ],
    BESIDE_ISTIOD: [],
}
"""Everything that reaches a pod of a guarded namespace."""


@pytest.mark.parametrize("pod", LEAVES, ids=str)
def test_a_pod_reaches_this_and_nothing_else(pod: Pod) -> None:
    leaving = (found for found in world.connections() if found.source == pod)
    expected = {str(Connection(pod, end, port, protocol)) for end, protocol, port in LEAVES[pod]}
    assert _open(leaving, EXAMPLE) == expected


@pytest.mark.parametrize("pod", ENTERS, ids=str)
def test_a_pod_is_reached_by_this_and_nothing_else(pod: Pod) -> None:
    entering = (found for found in world.connections() if found.destination == pod)
    expected = {str(Connection(end, pod, port, protocol)) for end, protocol, port in ENTERS[pod]}
    assert _open(entering, EXAMPLE) == expected


def test_labels_alone_open_nothing_from_another_namespace() -> None:
    for port in (8080, 8443, 15012, 15017):
        assert not allowed(EXAMPLE, Connection(STRANGER, GATEWAY, port))
        assert not allowed(EXAMPLE, Connection(STRANGER, ISTIOD, port))
        assert not allowed(EXAMPLE, Connection(APP_X, STRANGER, port))


@pytest.mark.parametrize("namespace", GUARDED)
def test_the_default_alone_denies_both_directions(namespace: str) -> None:
    alone = [
        found
        for found in EXAMPLE
        if (found["metadata"]["namespace"], found["metadata"]["name"]) == (namespace, "default-deny")
    ]
    assert len(alone) == 1
    assert _open(world.connections([namespace]), alone) == set()


def test_every_policy_names_its_directions_and_its_reason() -> None:
    for found in EXAMPLE:
        spec = found["spec"]
        assert spec["policyTypes"], found["metadata"]
        assert ("ingress" not in spec) or "Ingress" in spec["policyTypes"]
        assert ("egress" not in spec) or "Egress" in spec["policyTypes"]
        assert len(found["metadata"]["annotations"]["kubernetes.io/description"]) > 30


def test_every_rule_names_peers_and_ports() -> None:
    for found in EXAMPLE:
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in found["spec"].get(direction, ()):
                assert rule[peers], found["metadata"]
                assert rule["ports"], found["metadata"]


# --- what an environment chooses: facts of the tutorial, each wrong there ---


_GOOGLE_CA = {
    "mode": "in-cluster",
    "certificates": "google",
    "apiServer": ["10.5.0.0/28"],
    "webhookCalls": "konnectivity",
}


@pytest.mark.parametrize(
    ("dns", "data_plane", "reached"),
    [
        ({"mode": "kube-dns"}, "v2", {KUBE_DNS}),
        ({"mode": "kube-dns"}, "v1", {KUBE_DNS}),
        ({"mode": "node-local"}, "v2", {KUBE_DNS, NODE_CACHE, LOCAL_CACHE}),
        (
            {"mode": "node-local", "serviceAddress": DNS_SERVICE},
            "v1",
            {KUBE_DNS, NODE_CACHE, LOCAL_CACHE, DNS_SERVICE},
        ),
        ({"mode": "cloud-dns"}, "v2", {METADATA_V2, LOCAL_CACHE}),
        ({"mode": "cloud-dns"}, "v1", {METADATA_V2, LOCAL_CACHE}),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
@pytest.mark.parametrize("source", [APP_X, APP_Y, GATEWAY, ISTIOD], ids=str)
def test_dns_goes_to_the_resolver_of_the_mode_and_not_to_all_of_kube_system(
    dns: dict[str, str], data_plane: str, reached: set[Pod | str], source: Pod, tmp_path: Path
) -> None:
    policies = policies_of(generated(tmp_path, dns=dns, dataPlane=data_plane))
    ends: tuple[Pod | str, ...] = (*world.PODS, *world.ADDRESSES)
    for protocol in ("UDP", "TCP"):
        found = {
            end
            for end in ends
            if end not in (APP_X, OTHER_X, APP_Y, OTHER_Y, source)
            and allowed(policies, Connection(source, end, 53, protocol))
        }
        assert found == reached


def test_node_local_dns_on_data_plane_v1_needs_the_address_of_the_service(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match="serviceAddress"):
        generated(tmp_path, dns={"mode": "node-local"}, dataPlane="v1")


@pytest.mark.parametrize(
    ("data_plane", "open_ends"), [("v2", {(METADATA_V2, 80)}), ("v1", {(METADATA_V1, 988)})]
)
def test_the_metadata_server_is_where_the_data_plane_sees_it(
    data_plane: str, open_ends: set[tuple[str, int]], tmp_path: Path
) -> None:
    policies = policies_of(generated(tmp_path, dataPlane=data_plane, dns={"mode": "kube-dns"}))
    found = {
        (address, port)
        for address in (METADATA_V1, METADATA_V2, "127.0.0.1")
        for port in (80, 443, 987, 988)
        if allowed(policies, Connection(APP_X, address, port))
    }
    assert found == open_ends


@pytest.mark.parametrize(
    ("choice", "served", "shut"),
    [("private", PRIVATE_APIS, RESTRICTED_APIS), ("restricted", RESTRICTED_APIS, PRIVATE_APIS)],
)
def test_one_range_serves_googles_apis_on_443(choice: str, served: str, shut: str, tmp_path: Path) -> None:
    policies = policies_of(generated(tmp_path, googleApis=choice, controlPlane=_GOOGLE_CA))
    for source in (APP_X, APP_Y, BESIDE_GATEWAY, ISTIOD):
        assert [port for port in _TCP if allowed(policies, Connection(source, served, port))] == [443]
        assert [port for port in _TCP if allowed(policies, Connection(source, shut, port))] == []


def test_googles_apis_are_open_to_teams_that_ask_for_them_and_to_proxies_that_need_them(
    tmp_path: Path,
) -> None:
    ends = [(PRIVATE_APIS, 443), (METADATA_V2, 80)]
    for end, port in ends:
        assert allowed(EXAMPLE, Connection(APP_X, end, port))
        assert not allowed(EXAMPLE, Connection(APP_Y, end, port))
    for number, control_plane in enumerate((_GOOGLE_CA, {"mode": "managed"})):
        policies = policies_of(generated(tmp_path / str(number), controlPlane=control_plane))
        for pod in (APP_X, APP_Y, GATEWAY, BESIDE_GATEWAY):
            assert all(allowed(policies, Connection(pod, end, port)) for end, port in ends)


_GOOGLES_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
_IN_CLUSTER = {**_GOOGLE_CA, "certificates": "istiod"}


def _reached(policies: list[dict[str, Any]], source: Pod) -> set[tuple[str, int]]:
    """Return the addresses that a pod reaches, without names and the API server."""
    ends = {found for found in world.ADDRESSES if found not in (API_SERVER, LOCAL_CACHE)}
    return {(end, port) for end in ends for port in _TCP if allowed(policies, Connection(source, end, port))}


@pytest.mark.parametrize("choice", ["private", "restricted"])
def test_istiod_reaches_googles_apis_where_a_caller_has_its_keys_there(choice: str, tmp_path: Path) -> None:
    served = {"private": PRIVATE_APIS, "restricted": RESTRICTED_APIS}[choice]
    callers = {"enrichment": "", "reports": _GOOGLES_KEYS}
    policies = policies_of(generated(tmp_path, callers, googleApis=choice))
    assert _reached(policies, ISTIOD) == {(served, 443)}
    assert _reached(policies, BESIDE_ISTIOD) == set()
    assert not allowed(policies, Connection(ISTIOD, served, 443, "UDP"))


def test_callers_whose_keys_lie_in_the_overlays_open_nothing(tmp_path: Path) -> None:
    policies = policies_of(generated(tmp_path, {"enrichment": ""}))
    assert _reached(policies, ISTIOD) == set()
    assert not [found for found in policies if found["metadata"]["name"] == "caller-keys"]


def test_istiod_reaches_other_issuers_in_the_ranges_that_the_environment_names(tmp_path: Path) -> None:
    callers = {
        "a": "https://idp.example:8443/keys",
        "b": "https://IdP.example/keys",
        "c": "https://in.example",
    }
    ranges = {"idp.example": ["93.184.215.0/28"], "in.example": ["10.9.0.0/28", "172.16.0.1/32"]}
    control_plane = {**_IN_CLUSTER, "jwksRanges": ranges}
    policies = policies_of(generated(tmp_path, callers, controlPlane=control_plane))
    inside = {("10.9.0.1", 443), ("172.16.0.1", 443)}
    assert _reached(policies, ISTIOD) == {(INTERNET, 443), (INTERNET, 8443), *inside}
    assert _reached(policies, BESIDE_ISTIOD) == set()
    for beyond in ("93.184.215.16", "10.9.0.16", "172.16.0.2"):
        assert not allowed(policies, Connection(ISTIOD, beyond, 443))


def test_a_reference_to_the_contract_stands_for_its_value(tmp_path: Path) -> None:
    generated(tmp_path, {"a": ""})
    caller = tmp_path / "infra/mesh/callers/a.yaml"
    caller.write_text("keys: {jwksUri: 'https://${GOOGLE_APIS_HOST}/certs'}\n")
    policies = [found for found in _bodies(tmp_path) if found["kind"] == "NetworkPolicy"]
    assert _reached(policies, ISTIOD) == {(PRIVATE_APIS, 443)}


def test_a_managed_control_plane_gets_no_way_to_keys(tmp_path: Path) -> None:
    callers = {"a": _GOOGLES_KEYS, "b": "https://idp.example/keys"}
    policies = policies_of(generated(tmp_path, callers, controlPlane={"mode": "managed"}))
    assert _reached(policies, ISTIOD) == set()


@pytest.mark.parametrize(
    "address",
    [
        "https://idp.example/keys",
        "https://www.googleapis.com:8443/oauth2/v3/certs",
        "https://www.googleapis.com.evil.example/certs",
        "https://www.googleapis.com@evil.example/certs",
        "https://notgoogleapis.com/certs",
        "https://accounts.google.com/certs",
        "https://192.0.2.7/keys",
    ],
)
def test_an_issuer_elsewhere_needs_a_range(address: str, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError) as caught:
        generated(tmp_path, {"reports": address})
    (problem,) = caught.value.problems
    assert re.match(r".*/environments/tried\.yaml:\d+: controlPlane: ", problem)
    assert "infra/mesh/callers/reports.yaml" in problem
    assert "jwksRanges" in problem


@pytest.mark.parametrize("address", ["https://idp.example:port/keys", "https://[idp/keys", "https:///keys"])
def test_an_address_of_keys_that_names_no_host_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError) as caught:
        generated(tmp_path, {"reports": address})
    (problem,) = caught.value.problems
    assert re.match(r".*/callers/reports\.yaml:\d+: keys\.jwksUri: ", problem)


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ({"idp.example": ["0.0.0.0/0"]}, "idp.example.0: 0.0.0.0/0 is wider than /24"),
        ({"idp.example": ["93.184.0.0/16"]}, "idp.example.0: 93.184.0.0/16 is wider than /24"),
        ({"idp.example": ["169.254.169.254/32"]}, "idp.example.0: 169.254.169.254/32 holds no address"),
        ({"idp.example": []}, "idp.example: "),
        ({"idp.example": ["10.9.0.0/28"], "b.example": ["10.9.1.0/28"]}, "b.example: no caller"),
        ({"idp.example": ["10.9.0.0/28"], "www.googleapis.com": ["10.9.1.0/28"]}, "www.googleapis.com: "),
    ],
    ids=str,
)
def test_ranges_of_issuers_are_narrow_and_needed(
    ranges: dict[str, list[str]], says: str, tmp_path: Path
) -> None:
    callers = {"a": "https://idp.example/keys", "b": _GOOGLES_KEYS}
    with pytest.raises(DescriptionError) as caught:
        generated(tmp_path, callers, controlPlane={**_IN_CLUSTER, "jwksRanges": ranges})
    (problem,) = caught.value.problems
    assert f": controlPlane.jwksRanges.{says}" in problem


def test_a_managed_control_plane_needs_no_port_of_istiod(tmp_path: Path) -> None:
    policies = policies_of(generated(tmp_path, controlPlane={"mode": "managed"}))
    for pod in world.PODS:
        for port in (15010, 15012, 15017):
            assert not allowed(policies, Connection(pod, ISTIOD, port))
    assert allowed(policies, Connection(APP_X, PRIVATE_APIS, 443))


def test_an_api_server_that_reaches_pods_itself_calls_webhooks_from_its_range(tmp_path: Path) -> None:
    control_plane = {**_GOOGLE_CA, "webhookCalls": "direct"}
    policies = policies_of(generated(tmp_path, controlPlane=control_plane))
    assert allowed(policies, Connection(API_SERVER, ISTIOD, 15017))
    assert not allowed(policies, Connection(API_SERVER, ISTIOD, 15012))
    assert not allowed(policies, Connection(AGENT, ISTIOD, 15017))
    assert not allowed(policies, Connection("10.6.0.2", ISTIOD, 15017))


def test_a_further_namespace_of_the_mesh_reaches_istiod_once_it_is_named(tmp_path: Path) -> None:
    assert not allowed(EXAMPLE, Connection(STRANGER, ISTIOD, 15012))
    policies = policies_of(generated(tmp_path, namespaces=["new"]))
    assert allowed(policies, Connection(STRANGER, ISTIOD, 15012))
    assert not allowed(policies, Connection(STRANGER, GATEWAY, 8443))


def test_the_example_names_every_namespace_whose_proxies_need_istiod() -> None:
    """A namespace that is not named is cut off from istiod by the default of istio-system."""
    injected = set()
    for file in (ROOT / "infra/mesh").rglob("*.yaml"):
        if file.is_relative_to(ROOT / "infra/mesh/lambda-bridge"):
            continue  # clusters of their own
        for body in yaml_text.read_all(file.read_text()):
            if isinstance(body, dict) and body.get("kind") == "Namespace":
                labels = body["metadata"].get("labels", {})
                if labels.keys() & {"istio-injection", "istio.io/rev"}:
                    injected.add(body["metadata"]["name"])
    assert injected
    refused = [
        name for name in sorted(injected) if not allowed(EXAMPLE, Connection(Pod(name), ISTIOD, 15012))
    ]
    assert refused == []


def test_a_team_that_is_added_gets_its_policies_and_the_gateways(tmp_path: Path) -> None:
    without = policies_of(generated(tmp_path / "a"))
    assert not allowed(without, Connection(Pod("team-z"), GATEWAY, 8443))
    teams = tmp_path / "a/infra/mesh/egress/teams"
    (teams / "team-z.yaml").write_text("namespace: team-z\nhosts: []\n")
    files = {file.path.name for file in generate_networks(tmp_path / "a")}
    assert "team-z.yaml" in files


def _bodies(root: Path) -> list[dict[str, Any]]:
    return [body for file in generate_networks(root) for body in yaml_text.read_all(file.text)]


def test_the_gateway_leaves_on_the_ports_of_the_teams_hosts_alone(tmp_path: Path) -> None:
    generated(tmp_path)
    teams = tmp_path / "infra/mesh/egress/teams"
    for text, ports in (
        ("namespace: team-z\nhosts:\n  - {host: a.example, tls: passthrough, port: 9999}\n", {443, 9999}),
        ("namespace: team-z\n", {443}),
    ):
        (teams / "team-z.yaml").write_text(text)
        policies = [found for found in _bodies(tmp_path) if found["kind"] == "NetworkPolicy"]
        leaves = {port for _, port in world.PORTS if allowed(policies, Connection(GATEWAY, INTERNET, port))}
        assert leaves == ports


def test_a_gateway_without_hosts_leaves_nowhere(tmp_path: Path) -> None:
    generated(tmp_path)
    for file in (tmp_path / "infra/mesh/egress/teams").glob("*.yaml"):
        file.write_text(f"namespace: {file.stem}\n")
    names = [body["metadata"]["name"] for body in _bodies(tmp_path) if body["kind"] == "NetworkPolicy"]
    assert "teams" in names
    assert "internet" not in names


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dns": {"mode": "other"}}, "dns.mode"),
        ({"googleApis": "public"}, "googleApis"),
        ({"dataPlane": 2}, "dataPlane"),
        ({"controlPlane": {"mode": "in-cluster"}}, "controlPlane"),
        ({"teamGroup": "team@example.com"}, "teamGroup"),
        ({"administrators": None}, "administrators"),
        ({"more": 1}, "more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_description_that_is_wrong_names_the_field(
    changes: dict[str, object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DescriptionError, match=says):
        generated(tmp_path, **changes)


# --- nothing in a policy is there in vain ---


def _name(value: object) -> str:
    return value if isinstance(value, str) and ":" in value else ""


def _mutants() -> Iterator[tuple[str, list[dict[str, Any]], str]]:
    """Return the example's policies with one of them weaker or stronger."""
    for number, policy in enumerate(EXAMPLE):
        name = f"{policy['metadata']['namespace']}/{policy['metadata']['name']}"
        for what, changed in _changes(policy):
            policies = [*EXAMPLE[:number], *changed, *EXAMPLE[number + 1 :]]
            yield f"{name}: {what}", policies, policy["metadata"]["namespace"]


def _changes(policy: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if policy["metadata"]["name"] != "default-deny" or policy["metadata"]["namespace"] in (
        "istio-egress",
        "istio-system",
    ):
        # In a team's namespace the other policies isolate every pod in both directions as well. Its default is there
        # for the day on which one of them is taken away; that it denies alone is a test above.
        yield "taken away", []
    if policy["spec"]["podSelector"]:
        yield "for every pod", [_with(policy, "podSelector", {})]
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for place, rule in enumerate(policy["spec"].get(direction, ())):
            for part in (peers, "ports"):
                yield f"{direction} {place} without {part}", [_with(policy, direction, None, place, part)]
            for index, peer in enumerate(rule[peers]):
                label = f"{direction} {place} peer {index}"
                yield f"{label} taken away", [_with(policy, direction, None, place, peers, index)]
                if "namespaceSelector" in peer:
                    yield (
                        f"{label} of any namespace",
                        [_with(policy, direction, None, place, peers, index, "namespaceSelector")],
                    )
                if peer.get("podSelector") and "namespaceSelector" in peer:
                    yield (
                        f"{label} with any label",
                        [_with(policy, direction, None, place, peers, index, "podSelector")],
                    )
                for excepted in range(len(peer.get("ipBlock", {}).get("except", ()))):
                    yield (
                        f"{label} without exception {excepted}",
                        [_with(policy, direction, None, place, peers, index, "ipBlock", "except", excepted)],
                    )
            for index, port in enumerate(rule["ports"]):
                yield (
                    f"{direction} {place} port {index} taken away",
                    [_with(policy, direction, None, place, "ports", index)],
                )
                if "port" in port:
                    yield (
                        f"{direction} {place} port {index} of any number",
                        [_with(policy, direction, None, place, "ports", index, "port")],
                    )


def _with(policy: dict[str, Any], field: str, value: object, *path: int | str) -> dict[str, Any]:
    """Return a policy with a field set, or with what is at the path below it taken away (a namespace: any)."""
    changed = copy.deepcopy(policy)
    if not path:
        changed["spec"][field] = value
        return changed
    place: Any = changed["spec"][field]
    for step in path[:-1]:
        place = place[step]
    if path[-1] == "namespaceSelector":
        place["namespaceSelector"] = {}
    else:
        del place[path[-1]]
    return changed


@cache
def _connections(namespace: str) -> list[Connection]:
    return list(world.connections([namespace]))


@cache
def _allowed_by_the_example(connection: Connection, direction: str) -> bool:
    return allows(EXAMPLE, connection, direction)


@pytest.mark.parametrize(("name", "policies", "namespace"), list(_mutants()), ids=_name)
def test_a_condition_that_is_removed_or_widened_is_noticed(
    name: str, policies: list[dict[str, Any]], namespace: str
) -> None:
    # What one end lets through, the other often refuses as well. Here each end stands for itself.
    assert any(
        _allowed_by_the_example(found, direction) != allows(policies, found, direction)
        for found in _connections(namespace)
        for direction in DIRECTIONS
    ), name


def test_the_committed_files_follow_from_the_descriptions() -> None:
    assert [file.path for file in generate_networks(ROOT) if file.path.read_text() != file.text] == []


def _opened(objects: Iterable[dict[str, Any]]) -> set[int]:
    """Return the ports between teams and gateway."""
    return {
        port["port"]
        for found in objects
        if found["metadata"]["name"] in ("egress-gateway", "teams")
        for direction in ("ingress", "egress")
        for rule in found["spec"].get(direction, ())
        for port in rule["ports"]
    }


def test_namespace_labels_and_ports_of_the_gateway_are_those_of_its_service(tmp_path: Path) -> None:
    assert _opened(EXAMPLE) == {8080, 8443}
    generated(tmp_path)
    service = tmp_path / "infra/mesh/egress/gateway/service.yaml"
    changes = {
        "targetPort: 8080": "targetPort: 9080",
        "istio: egressgateway": "istio: other",
        "-egress\n": "-out\n",
    }
    text = service.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    service.write_text(text)
    written = {
        file.path.relative_to(tmp_path / "infra/mesh").as_posix(): list(yaml_text.read_all(file.text))
        for file in generate_networks(tmp_path)
    }
    policies = [body for name, found in written.items() if "network-policies" in name for body in found]
    assert _opened(found for found in policies if found["kind"] == "NetworkPolicy") == {9080, 8443}
    assert "egress/network-policies/tried/istio-out.yaml" in written
    assert "istio-egress" not in str(written)
    assert "egressgateway" not in str(written)


def test_a_choice_of_googles_apis_that_the_contract_does_not_share_is_refused(tmp_path: Path) -> None:
    generated(tmp_path, googleApis="restricted")
    contract = tmp_path / "infra/contract.env"
    for value in ("GOOGLE_APIS_HOST=private.googleapis.com\n", ""):
        contract.write_text(value)
        with pytest.raises(DescriptionError) as caught:
            generate_networks(tmp_path)
        (problem,) = caught.value.problems
        assert re.match(r".*/environments/tried\.yaml:\d+: googleApis: this means restricted\.", problem)
        assert ("private.googleapis.com" if value else "missing") in problem
