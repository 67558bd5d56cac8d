"""Whatever the compiler does not know it refuses, wherever it stands."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.istio.conftest import SmallMesh

# One of everything that is read, so that every mapping on the way is visited.
COMPLETE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - name: main
      port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: door-tls, minProtocolVersion: TLSV1_2}
      hosts: [shop/cart.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.example]
  gateways: [edge/door]
  exportTo: [edge]
  http:
    - name: all
      match:
        - name: one
          uri: {prefix: /}
          scheme: {exact: https}
          method: {exact: GET}
          authority: {exact: cart.example}
          headers: {x-a: {exact: b}, "@request.auth.claims[sub]": {exact: me}}
          withoutHeaders: {x-c: {exact: d}}
          queryParams: {q: {exact: r}}
          port: 443
          gateways: [edge/door]
          sourceLabels: {app: door}
          sourceNamespace: edge
          statPrefix: one
      route:
        - destination: {host: cart, port: {number: 80}, subset: v1}
          weight: 1
          headers: {request: {set: {x-s: a}, add: {x-s: b}, remove: [x-r]}, response: {remove: [x-r]}}
      rewrite: {uriRegexRewrite: {match: a, rewrite: b}, authority: c}
      mirror: {host: cart}
      mirrorPercentage: {value: 50}
      mirrorPercent: 50
      fault:
        delay: {percentage: {value: 1}, fixedDelay: 1s}
        abort: {percentage: {value: 1}, httpStatus: 500}
      corsPolicy:
        allowOrigins: [{exact: https://a.example}]
        allowMethods: [GET]
        allowHeaders: [x-a]
        exposeHeaders: [x-b]
        maxAge: 5s
        unmatchedPreflights: IGNORE
      timeout: 2s
      retries: {attempts: 1, perTryTimeout: 1s, retryOn: reset, backoff: 1s}
    - match: [{uri: {prefix: /copies}}]
      route: [{destination: {host: cart}}]
      mirrors: [{destination: {host: cart}, percentage: {value: 1}}]
    - match: [{uri: {prefix: /elsewhere}}]
      redirect: {prefixRewrite: /b, authority: c, scheme: https, port: 443, redirectCode: 302}
    - match: [{uri: {prefix: /teapot}}]
      directResponse: {status: 418, body: {string: tea}}
    - delegate: {name: other, namespace: shop}
  tls:
    - match: [{sniHosts: [cart.example], destinationSubnets: [10.0.0.0/8], port: 443, gateways: [edge/door]}]
      route: [{destination: {host: cart, port: {number: 80}}, weight: 1}]
  tcp:
    - match: [{destinationSubnets: [10.0.0.0/8], port: 443, sourceLabels: {app: door}, sourceNamespace: edge}]
      route: [{destination: {host: cart, port: {number: 80}}, weight: 1}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  mtls: {mode: STRICT}
  portLevelMtls: {"8080": {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  jwtRules:
    - issuer: me
      audiences: [us]
      jwks: JWKS
      forwardOriginalToken: true
      fromHeaders: [{name: Authorization, prefix: "Bearer "}]
      outputClaimToHeaders: [{header: x-sub, claim: sub}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: ALLOW
  rules:
    - from: [{source: {principals: [a], requestPrincipals: [b/c]}}]
      to: [{operation: {methods: [GET], paths: [/a]}}]
      when: [{key: source.ip, values: [10.0.0.0/8]}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  accessLogging: [{providers: [{name: envoy}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: web}]
"""
FREE = (
    "add",
    "annotations",
    "labels",
    "matchLabels",
    "portLevelMtls",
    "queryParams",
    "selector",
    "set",
    "sourceLabels",
    "withoutHeaders",
)
"""Mappings whose keys are the user's to choose."""


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(COMPLETE))


def mappings(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        # `headers` of a match is free, `headers` of a rule is not.
        is_free = path and (path[-1] in FREE or (path[-1] == "headers" and "request" not in value))
        if not is_free or "matchLabels" in value:
            yield path
        for key, item in value.items():
            yield from mappings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from mappings(item, (*path, index))


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path


def at(body: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any YAML
    for part in path:
        body = body[part]
    return body


PERCENTAGES = [("percentage", "value"), ("mirrorPercentage", "value")]
MAPPINGS = [(number, path) for number, document in enumerate(documents()) for path in mappings(document)]
LEAVES = [
    (number, path)
    for number, document in enumerate(documents())
    for path in leaves(document)
    if path[0] == "spec" and path[-1] not in ("targetPort",) and path[-2:] not in PERCENTAGES
]


def label(value: object) -> str | None:
    return ".".join(map(str, value)) if isinstance(value, tuple) else None


def texts(small: SmallMesh, bodies: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(body).replace('"JWKS"', json.dumps(small.jwks)) for body in bodies]


def test_the_complete_example_is_accepted(small: SmallMesh) -> None:
    assert small.mesh(*texts(small, documents()))


@pytest.mark.parametrize(("number", "path"), MAPPINGS, ids=label)
def test_an_unknown_field_is_refused_by_its_path(
    small: SmallMesh, number: int, path: tuple[str | int, ...]
) -> None:
    bodies = copy.deepcopy(documents())
    at(bodies[number], path)["surprise"] = "x"

    message = small.refusal(*texts(small, bodies))

    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*path, "surprise"))
    assert f"{dotted.removeprefix('.')}:" in message


@pytest.mark.parametrize(("number", "path"), LEAVES, ids=label)
def test_a_value_of_another_type_is_refused_by_its_path(
    small: SmallMesh, number: int, path: tuple[str | int, ...]
) -> None:
    bodies = copy.deepcopy(documents())
    at(bodies[number], path[:-1])[path[-1]] = 1.5

    assert "expected" in small.refusal(*texts(small, bodies))


@pytest.mark.parametrize(
    ("api_version", "kind", "says"),
    [
        *[("networking.istio.io/v1", kind, f"{kind} is not supported") for kind in ("ProxyConfig",)],
        ("networking.istio.io/v1alpha3", "EnvoyFilter", "EnvoyFilter is not supported"),
        ("extensions.istio.io/v1alpha1", "WasmPlugin", "runs no plugins"),
        ("gateway.networking.k8s.io/v1alpha2", "BackendLBPolicy", "it is not compiled"),
        ("networking.istio.io/v2", "Gateway", "write networking.istio.io/v1."),
        ("networking.istio.io/v1", "Surprise", "it is not compiled"),
    ],
)
def test_a_kind_that_may_decide_a_request_and_is_not_compiled_is_refused(
    small: SmallMesh, api_version: str, kind: str, says: str
) -> None:
    text = f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: x, namespace: shop}}, spec: {{}}}}"

    assert says in small.refusal(text)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("networking.k8s.io/v1", "Gateway"),
        ("kubeflow.org/v1", "Notebook"),
    ],
)
def test_what_never_touches_a_request_is_passed_over(small: SmallMesh, api_version: str, kind: str) -> None:
    text = (
        f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: x, namespace: shop}}, anything: {{}}}}"
    )

    mesh = small.mesh(text)

    assert replace(mesh, passed_over=()) == small.mesh()
    assert [manifest.kind for manifest in mesh.passed_over] == [kind]


def test_the_same_object_twice_is_refused_with_both_places(small: SmallMesh) -> None:
    text = small.base("Service", "cart").replace("cart", "twice")

    other = small.changed(text, "spec.ports.0.port", 81)

    assert "test.yaml:1 has the same object" in small.refusal(text, other)
    # The same object word for word, as when a file is named twice, says nothing new.
    assert small.mesh(text, text) == small.mesh(text)


def test_a_policy_without_a_namespace_is_refused(small: SmallMesh) -> None:
    text = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: x}, spec: {}}"

    assert "metadata.namespace: missing" in small.refusal(text)


@pytest.mark.parametrize(
    ("api_version", "name"),
    [
        ("networking.istio.io/v1beta1", "VirtualService"),
        ("networking.istio.io/v1alpha3", "VirtualService"),
        ("networking.istio.io/v1alpha3", "Gateway"),
    ],
)
def test_an_old_version_is_read_alike_and_noted(small: SmallMesh, api_version: str, name: str) -> None:
    current = small.base(name, "cart" if name == "VirtualService" else "door")
    mesh = small.mesh(small.changed(current, "apiVersion", api_version))

    assert mesh.refusals == ()
    (note,) = mesh.notes
    assert "is an old version; write v1" in str(note)


def test_all_that_is_wrong_is_shown_at_once(small: SmallMesh) -> None:
    bodies = copy.deepcopy(documents())
    bodies[0]["spec"]["surprise"] = 1
    bodies[0]["spec"]["servers"][0]["surprise"] = 1
    bodies[4]["spec"]["rules"][0]["surprise"] = 1

    lines = small.refusal(*texts(small, bodies)).splitlines()
    assert len([line for line in lines if "this field is not known" in line]) == 3


def test_a_field_that_stands_twice_is_refused(small: SmallMesh) -> None:
    text = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: x, namespace: shop}
spec:
  mtls: {mode: STRICT}
  mtls: {mode: DISABLE}
"""
    assert small.refusal(text).startswith(
        "test.yaml:7: PeerAuthentication shop/x: spec.mtls: stands here twice"
    )


@pytest.mark.parametrize("place", ["labels", "annotations"])
def test_a_label_or_annotation_that_istio_acts_on_is_refused(small: SmallMesh, place: str) -> None:
    text = small.changed(
        small.base("VirtualService", "cart"), f"metadata.{place}", {"istio.io/use-waypoint": "canary"}
    )

    assert f"metadata.{place}.istio.io/use-waypoint: what this changes is not known" in small.refusal(text)


def test_a_policy_for_a_workload_without_a_proxy_is_refused(small: SmallMesh) -> None:
    policy = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: x, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}}
"""
    bare = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"

    assert "selects shop/cart, which has no proxy" in small.refusal(policy, bare)


def test_a_refusal_names_file_document_object_and_field(small: SmallMesh) -> None:
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n---\n"
        """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: LOOSE}}
"""
    )

    assert small.refusal(text).startswith(
        "test.yaml:9: PeerAuthentication shop/default: spec.mtls.mode: 'LOOSE'"
    )
