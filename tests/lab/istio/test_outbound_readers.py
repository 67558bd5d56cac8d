"""ServiceEntry, WorkloadEntry, DestinationRule and Sidecar: what is read, and what is refused with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.istio.read.destination_rule import read_destination_rule
from meshlab.istio.read.service_entry import read_service_entry
from meshlab.istio.read.sidecar import read_sidecar
from meshlab.istio.read.workload_entry import read_workload_entry
from meshlab.manifest import Manifest, ManifestError, parse_manifests

from tests import yaml_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.istio.conftest import SmallMesh

READERS: dict[str, Callable[[Manifest], object]] = {
    "DestinationRule": read_destination_rule,
    "ServiceEntry": read_service_entry,
    "Sidecar": read_sidecar,
    "WorkloadEntry": read_workload_entry,
}


def manifest(kind: str, spec: str, namespace: str = "shop", **metadata: object) -> Manifest:
    document = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "it", "namespace": namespace, **metadata},
        "spec": yaml_text.read(spec),
    }
    (found,) = parse_manifests(yaml_text.write(document), "test.yaml")
    return found


def refusal(kind: str, spec: str) -> str:
    with pytest.raises(ManifestError) as caught:
        READERS[kind](manifest(kind, spec))
    assert str(caught.value).startswith("test.yaml:")
    return str(caught.value)


def test_a_service_entry_is_read_with_every_field() -> None:
    entry = read_service_entry(
        manifest(
            "ServiceEntry",
            """
            hosts: [api.partner.example]
            addresses: [192.0.2.10, 192.0.2.0/28]
            location: MESH_INTERNAL
            resolution: STATIC
            ports: [{number: 443, name: https, protocol: HTTPS, targetPort: 8443}, {number: 5, name: any}]
            endpoints: [{address: 203.0.113.1, ports: {https: 9443}, labels: {v: one}, serviceAccount: partner}]
            exportTo: [., team-x]
            subjectAltNames: [api.partner.example]
            """,
        )
    )
    https, sniffed = entry.ports
    assert (https.number, https.protocol, https.target) == (443, "tls", 8443)
    assert (sniffed.protocol, sniffed.target) == ("auto", None)
    (endpoint,) = entry.endpoints
    assert endpoint.ports == {"https": 9443}
    assert endpoint.takes_mtls
    assert not entry.external
    assert entry.export_to == ("shop", "team-x")
    assert entry.selector is None


def test_a_service_entry_without_location_and_resolution_is_external_and_goes_where_it_was_sent() -> None:
    entry = read_service_entry(
        manifest("ServiceEntry", "{hosts: [a.example], ports: [{number: 80, name: http, protocol: http}]}")
    )
    assert entry.external
    assert entry.resolution == "NONE"
    assert entry.auto_allocates


def test_a_label_turns_the_allocation_of_addresses_off() -> None:
    entry = read_service_entry(
        manifest(
            "ServiceEntry",
            "{hosts: [a.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}",
            labels={"networking.istio.io/enable-autoallocate-ip": "False"},
        )
    )
    assert not entry.auto_allocates


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{hosts: ['*'], ports: [{number: 80, name: h}]}", "hosts[0]: * is refused"),
        ("{ports: [{number: 80, name: h}]}", "spec.hosts: missing"),
        ("{hosts: [a.b], addresses: [nonsense]}", "addresses[0]: 'nonsense' is no IP address"),
        ("{hosts: [a.b], resolution: DNS, addresses: [10.0.0.0/8]}", "NONE and STATIC"),
        ("{hosts: [a.b], endpoints: [{address: 1.2.3.4}]}", "NONE has no endpoints"),
        ("{hosts: [a.b], resolution: STATIC, endpoints: [{address: b.c}]}", "STATIC needs an IP address"),
        ("{hosts: ['*.b'], resolution: DNS}", "cannot be looked up"),
        ("{hosts: [a.b], resolution: DYNAMIC_DNS}", "for wildcards alone"),
        ("{hosts: [a.b], ports: [{number: 80, name: h}, {number: 81, name: h}]}", "h stands here twice"),
        ("{hosts: [a.b], ports: [{number: 80, name: h}, {number: 80, name: i}]}", "80 stands here twice"),
        ("{hosts: [a.b], ports: [{number: 80, name: h, protocol: SPDY}]}", "'SPDY' is no protocol"),
        (
            "{hosts: [a.b, c.d], resolution: DNS, ports: [{number: 9, name: t, protocol: TCP}]}",
            "several hosts",
        ),
        (
            "{hosts: [a.b], resolution: STATIC, endpoints: [{address: 1.2.3.4, ports: {x: 1}}]}",
            "no port of that",
        ),
        ("{hosts: [a.b], exportTo: ['*', team]}", "* beside others"),
        ("{hosts: [a.b], exportTo: [., shop]}", "stands here twice"),
        ("{hosts: [a.b], colour: red}", "spec.colour: this field is not known"),
        (
            "{hosts: [a.b], resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 1.1.1.1}]}",
            "workloadSelector",
        ),
    ],
)
def test_a_service_entry_that_istio_refuses_is_refused(spec: str, words: str) -> None:
    assert words in refusal("ServiceEntry", spec)


def test_a_workload_entry_takes_mtls_when_it_has_a_service_account() -> None:
    entry = read_workload_entry(
        manifest("WorkloadEntry", "{address: 10.1.1.1, serviceAccount: vm, labels: {app: vm}}")
    )
    assert entry.endpoint.takes_mtls
    assert entry.endpoint.labels == {"app": "vm"}


def test_a_workload_entry_takes_none_without_one_or_when_its_label_says_so() -> None:
    assert not read_workload_entry(manifest("WorkloadEntry", "{address: 10.1.1.1}")).endpoint.takes_mtls
    labelled = manifest(
        "WorkloadEntry",
        "{address: 10.1.1.1, serviceAccount: vm}",
        labels={"security.istio.io/tlsMode": "disabled"},
    )
    assert not read_workload_entry(labelled).endpoint.takes_mtls


def test_a_workload_entry_on_a_unix_socket_is_refused() -> None:
    assert "Unix sockets are not compiled" in refusal("WorkloadEntry", "{address: 'unix:///tmp/socket'}")


def test_a_server_in_another_network_is_refused() -> None:
    assert "other networks" in refusal("WorkloadEntry", "{address: 10.1.1.1, network: far}")


def test_a_workload_group_is_passed_over(small: SmallMesh) -> None:
    group = yaml_text.write(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadGroup",
            "metadata": {"name": "vms", "namespace": "shop"},
            "spec": {"template": {"serviceAccount": "vm"}},
        }
    )
    mesh = small.mesh(group)
    assert not mesh.refusals
    assert "WorkloadGroup" in [passed.kind for passed in mesh.passed_over]


def test_a_destination_rule_is_read_with_its_subsets_and_ports() -> None:
    rule = read_destination_rule(
        manifest(
            "DestinationRule",
            """
            host: cart
            trafficPolicy:
              connectionPool: {http: {h2UpgradePolicy: UPGRADE}}
              outlierDetection: {consecutive5xxErrors: 1}
              tls: {mode: SIMPLE, sni: other.example, subjectAltNames: [other.example]}
              portLevelSettings: [{port: {number: 90}, loadBalancer: {simple: PASSTHROUGH}}]
            subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}]
            workloadSelector: {matchLabels: {app: front}}
            """,
        )
    )
    assert rule.host == "cart.shop.svc.cluster.local"
    assert rule.policy
    assert rule.policy.tls
    assert (rule.policy.tls.mode, rule.policy.tls.sni) == ("SIMPLE", "other.example")
    assert rule.policy.h2_upgrade is True
    assert rule.policy.ports[90].passthrough
    assert rule.policy.ports[90].tls is None
    (subset,) = rule.subsets
    assert subset.policy
    assert subset.policy.tls
    assert subset.policy.tls.mode == "ISTIO_MUTUAL"
    assert rule.selector == {"app": "front"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{trafficPolicy: {tls: {mode: DISABLE}}}", "spec.host: missing"),
        ("{host: 'a.*.b'}", "is not a host"),
        ("{host: a.b, trafficPolicy: {}}", "is empty, which Istio refuses"),
        ("{host: a.b, trafficPolicy: {tls: {mode: MUTUAL}}}", "clientCertificate: missing"),
        ("{host: a.b, trafficPolicy: {tls: {mode: STRICT}}}", "'STRICT' is not supported"),
        (
            "{host: a.b, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c, caCertificates: /f}}}",
            "beside credentialName",
        ),
        (
            "{host: a.b, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}}",
            "beside insecureSkipVerify",
        ),
        (
            "{host: a.b, trafficPolicy: {tunnel: {protocol: CONNECT, targetHost: x.y, targetPort: 443}}}",
            "tunnels through a forward proxy are not compiled",
        ),
        ("{host: a.b, trafficPolicy: {proxyProtocol: {version: V1}}}", "PROXY protocol"),
        ("{host: a.b, trafficPolicy: {tls: {mode: SIMPLE, caCrl: /f}}}", "revocation lists"),
        ("{host: a.b, subsets: [{name: a}, {name: a}]}", "'a' stands here twice"),
        ("{host: a.b, workloadSelector: {matchLabels: {a: b}}, exportTo: ['*']}", "own namespace alone"),
    ],
)
def test_a_destination_rule_that_istio_or_the_bench_cannot_take_is_refused(spec: str, words: str) -> None:
    assert words in refusal("DestinationRule", spec)


def test_a_sidecar_is_read_with_its_listeners() -> None:
    sidecar = read_sidecar(
        manifest(
            "Sidecar",
            """
            workloadSelector: {labels: {app: cart}}
            egress:
              - {port: {number: 9080, protocol: HTTP, name: one}, bind: 10.0.0.1, hosts: [shop/*]}
              - {hosts: ['./*', istio-system/*, ~/secret.example]}
            outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: out, port: {number: 80}}}
            """,
        )
    )
    one, rest = sidecar.egress
    assert one.port
    assert (one.port.number, one.port.protocol, one.bind) == (9080, "http", "10.0.0.1")
    assert rest.hosts == ((".", "*"), ("istio-system", "*"), ("~", "secret.example"))
    assert sidecar.outbound == "ALLOW_ANY"
    assert sidecar.egress_proxy
    assert sidecar.egress_proxy.host == "out.shop.svc.cluster.local"
    assert sidecar.egress_proxy.port == 80


def test_an_outbound_policy_without_a_mode_is_registry_only() -> None:
    assert read_sidecar(manifest("Sidecar", "{outboundTrafficPolicy: {}}")).outbound == "REGISTRY_ONLY"
    assert read_sidecar(manifest("Sidecar", "{egress: [{hosts: ['*/*']}]}")).outbound is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{workloadSelector: {labels: {a: b}}}", "which Istio refuses"),
        ("{egress: [{hosts: [cart]}]}", "write namespace/host"),
        ("{egress: [{hosts: [shop/cart]}]}", "short name"),
        ("{egress: [{port: {number: 80, protocol: HTTP}}]}", "hosts: missing"),
        ("{egress: [{hosts: ['*/*']}, {hosts: ['*/*'], port: {number: 80}}]}", "must stand last"),
        ("{egress: [{hosts: ['*/*'], captureMode: NONE}]}", "not compiled"),
        ("{egress: [{hosts: ['*/*'], bind: there}]}", "'there' is no IP address"),
        ("{egress: [{hosts: ['*/*'], port: {number: 80, protocol: HTTP_PROXY}}]}", "not compiled"),
        ("{ingress: [{defaultEndpoint: 127.0.0.1:80}]}", "port: missing"),
        ("{ingress: [{port: {number: 80}}, {port: {number: 80}}]}", "stands here twice"),
        (
            "{outboundTrafficPolicy: {egressProxy: {host: a.b, port: {number: 80}}}}",
            "egressProxy: is for mode ALLOW_ANY",
        ),
    ],
)
def test_a_sidecar_that_istio_or_the_bench_cannot_take_is_refused(spec: str, words: str) -> None:
    assert words in refusal("Sidecar", spec)
