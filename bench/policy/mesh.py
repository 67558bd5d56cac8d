"""A generated mesh and its cases: gateways, workloads with routes, tokens and policies, and requests through them."""

from pathlib import Path

__all__ = ["cases_of", "mesh_of", "write"]

ISSUER = "https://issuer.example"


def mesh_of(workloads: int, gateways: int = 2) -> str:
    """Return the manifests of a mesh with strict mutual TLS, in which every workload has a host, a token and a rule.

    Args:
        workloads: How many workloads with a sidecar. Each may be called by the one before it and by its gateway.
        gateways: How many gateways share their hosts.
    """
    parts = [_namespace("edge"), _namespace("shop"), _STRICT]
    parts += [_gateway(number) for number in range(gateways)]
    parts += [_workload(number, number % gateways, workloads) for number in range(workloads)]
    return "\n---\n".join(parts)


def cases_of(workloads: range, count: int, gateways: int = 2) -> str:
    """Return a case file.

    Args:
        workloads: The workloads that the cases touch.
        count: How many cases. They take turns: a reader from outside, one without a token, a token without the scope,
            and a workload that may not call.
        gateways: How many gateways the mesh has.
    """
    lines = [
        "tokens:",
        f"  reader: {{issuer: {ISSUER}, claims: {{sub: ada, aud: shop, scope: read}}}}",
        f"  guest: {{issuer: {ISSUER}, claims: {{sub: bob, aud: shop, scope: none}}}}",
        "callers:",
        *(f"  at{number}: {{outside: edge/door{number}}}" for number in range(gateways)),
        "cases:",
    ]
    numbers = list(workloads)
    for index in range(count):
        number = numbers[index // 4 % len(numbers)]
        lines += _case(index, number, gateways)
    return "\n".join(lines) + "\n"


def write(directory: Path, workloads: int, touched: range, count: int) -> tuple[Path, Path]:
    """Write manifests and cases.

    Returns:
        The file of the manifests and that of the cases.
    """
    mesh, cases = directory / f"mesh-{workloads}.yaml", directory / f"cases-{workloads}-{len(touched)}.yaml"
    mesh.write_text(mesh_of(workloads), encoding="utf-8")
    cases.write_text(cases_of(touched, count), encoding="utf-8")
    return mesh, cases


def _case(index: int, number: int, gateways: int) -> list[str]:
    door, app = f"edge/door{number % gateways}", f"shop/app{number}"
    url = f"http://app{number}.example/items/{index}"
    inside = f"http://app{number}.shop/items/{index}"
    request = {
        0: f"from: at{number % gateways}, token: reader, request: GET {url}, expect: {{status: 200, app: {app}}}",
        1: f"from: at{number % gateways}, request: GET {url}, expect: {{status: 403, proxy: {door}}}",
        2: f"from: at{number % gateways}, token: guest, request: GET {url}, expect: {{status: 403, proxy: {app}}}",
        3: f"from: {{workload: {app}}}, request: GET {inside}, expect: {{status: 403, proxy: {app}}}",
    }[index % 4]
    return [f"  - {{name: case {index}, {request}}}"]


def _namespace(name: str) -> str:
    return f"""apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{istio-injection: enabled}}}}"""


_STRICT = """apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}"""


def _gateway(number: int) -> str:
    name = f"door{number}"
    return f"""apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: edge}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: edge}}
spec:
  template:
    metadata:
      labels: {{app: {name}}}
      annotations: {{inject.istio.io/templates: gateway}}
    spec: {{serviceAccountName: {name}, containers: [{{name: istio-proxy, image: auto}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: edge}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: edge}}
spec:
  selector: {{app: {name}}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: {name}, namespace: edge}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  jwtRules: [{{issuer: {ISSUER}, audiences: [shop], jwksUri: "{ISSUER}/keys", forwardOriginalToken: true}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: edge}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  rules: [{{from: [{{source: {{requestPrincipals: ["{ISSUER}/*"]}}}}]}}]"""


def _workload(number: int, door: int, workloads: int) -> str:
    name, before = f"app{number}", f"app{(number - 1) % workloads}"
    callers = f'"cluster.local/ns/edge/sa/door{door}"'
    if workloads > 1:
        callers += f', "cluster.local/ns/shop/sa/{before}"'
    return f"""apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  template:
    metadata: {{labels: {{app: {name}, version: v1}}}}
    spec: {{serviceAccountName: {name}, containers: [{{name: {name}, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.example]
  gateways: [edge/door{door}]
  http:
    - match: [{{uri: {{prefix: /items}}}}]
      route: [{{destination: {{host: {name}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: shop}}
spec: {{host: {name}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  jwtRules: [{{issuer: {ISSUER}, audiences: [shop], jwksUri: "{ISSUER}/keys"}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  rules:
    - from: [{{source: {{principals: [{callers}]}}}}]
      to: [{{operation: {{methods: [GET], paths: ["/items/*"]}}}}]
      when: [{{key: "request.auth.claims[scope]", values: [read]}}]"""
