"""A mesh with every kind of thing that a case can exercise, and cases that exercise all of it."""

from __future__ import annotations

from tests.lab.door_and_cart import DOOR_AND_CART
from tests.lab.kube import app, mesh_of, service

__all__ = ["CASES", "MANIFESTS"]

_POLICIES = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nothing, namespace: shop}
spec: {}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
    - from:
        - source: {principals: [cluster.local/ns/edge/sa/door]}
        - source: {principals: [cluster.local/ns/shop/sa/default]}
      to:
        - operation: {methods: [GET, POST], notPaths: [/secret]}
      when:
        - {key: "request.headers[x-tier]", values: [gold]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  action: DENY
  rules:
    - to: [{operation: {paths: [/closed]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tried, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec:
  selector: {matchLabels: {app: cart}}
  action: DENY
  rules:
    - to: [{operation: {methods: [POST]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: database, namespace: shop}
spec:
  selector: {matchLabels: {app: db}}
  rules:
    - from: [{source: {principals: [cluster.local/ns/shop/sa/default]}}]
"""
_ROUTES = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: edge}
spec:
  selector: {app: door}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      tls: {mode: SIMPLE, credentialName: shop-tls}
      hosts: [shop.example]
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: [shop.example]
    - port: {number: 80, name: http-all, protocol: HTTP}
      hosts: ["*.example"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec:
  hosts: [shop.example, old.example]
  gateways: [edge/public]
  http:
    - name: reads
      match: [{uri: {exact: /read}}, {uri: {prefix: /list}}]
      route: [{destination: {host: cart}}]
    - match: [{uri: {prefix: /parts}}]
      delegate: {name: parts, namespace: shop}
    - redirect: {uri: /read}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: parts, namespace: shop}
spec:
  http:
    - match: [{method: {exact: GET}}, {method: {exact: POST}}]
      route: [{destination: {host: cart}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: shop}
spec:
  hosts: [cart]
  http:
    - match: [{uri: {exact: /fault}}]
      fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
      route: [{destination: {host: cart}}]
    - route: [{destination: {host: cart}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: database, namespace: shop}
spec:
  hosts: [db]
  tcp:
    - match: [{port: 9999}]
      route: [{destination: {host: db, port: {number: 3306}}}]
    - match: [{port: 3306}]
      route: [{destination: {host: db, port: {number: 3306}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wiki, namespace: shop}
spec:
  hosts: [wiki.example, other.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: wiki, namespace: shop}
spec:
  hosts: [wiki.example]
  tls:
    - match: [{port: 443, sniHosts: [wiki.example]}]
      route: [{destination: {host: wiki.example, port: {number: 443}}}]
"""

MANIFESTS = mesh_of(
    DOOR_AND_CART,
    app("db", "shop", "{containerPort: 3306}"),
    service("db", "shop", "{name: tcp, port: 3306}"),
    _POLICIES,
    _ROUTES,
)
"""`CASES` exercise everything in it but `spec.tcp[0]` of `database`: no Service has the port of that route."""

_INSIDE, _STRANGER, _OUTSIDE = "workload: shop/caller", "workload: shop/stranger", "outside: edge/door"


def _case(name: str, sender: str, request: str, expect: str) -> str:
    return f"  - {{name: {name}, from: {{{sender}}}, request: {{{request}}}, expect: {expect}}}\n"


def _gold(url: str, method: str = "GET") -> str:
    return f'method: {method}, url: "http{url}", headers: {{x-tier: gold}}'


CASES = (
    "workloads:\n"
    "  shop/caller: {labels: {app: caller}}\n"
    "  shop/stranger: {labels: {app: stranger}, serviceAccount: stranger}\n"
    "cases:\n"
    + _case("a read", _INSIDE, _gold("://cart.shop/"), "200 shop/cart")
    + _case("an exact path", _OUTSIDE, _gold("s://shop.example/read"), "200 shop/cart")
    + _case("a prefix", _OUTSIDE, _gold("://shop.example/list/1"), "200 shop/cart")
    + _case("the other server", _OUTSIDE, _gold("://old.example/list/1"), "200 shop/cart")
    + _case("a delegate", _OUTSIDE, _gold("://shop.example/parts"), "200 shop/cart")
    + _case("a delegate by POST", _OUTSIDE, _gold("://shop.example/parts", "POST"), "200 shop/cart")
    + _case("a redirection", _OUTSIDE, 'url: "http://shop.example/elsewhere"', "301 proxy edge/door")
    + _case("a fault", _INSIDE, 'url: "http://cart.shop/fault"', "418 proxy shop/caller")
    + _case("a stranger", _STRANGER, _gold("://cart.shop/"), "403 shop/cart")
    + _case("another method", _INSIDE, _gold("://cart.shop/", "PUT"), "403 shop/cart")
    + _case("a path that must not be", _INSIDE, _gold("://cart.shop/secret"), "403 shop/cart")
    + _case("without the header", _INSIDE, 'url: "http://cart.shop/"', "403 shop/cart")
    + _case("a closed path", _INSIDE, _gold("://cart.shop/closed"), "403 shop/cart")
    + _case("a write", _INSIDE, _gold("://cart.shop/", "POST"), "200 shop/cart")
    + _case("the database", _INSIDE, 'tcp: "db.shop:3306"', "answered shop/db")
    + _case("the database for a stranger", _STRANGER, 'tcp: "db.shop:3306"', "refused shop/db")
    + _case("a name of the wiki", _INSIDE, 'tls: "wiki.example:443"', "answered wiki.example")
)
