"""A case file that uses every word, and edits of it, for the tests of the reader and of the schema."""

# ruff: noqa: E501 - one fault a line

from __future__ import annotations

GOOD = """\
workloads:
  team-y/caller: {serviceAccount: caller, labels: {app: caller}, proxy: sidecar, ports: {8080: http}}
  team-y/bare:
apps:
  orders/orders: {status: 200, headers: {x-app: orders}, body: '{"ok": true}'}
  api.partner.example: {command: [python, app.py]}
authorizers:
  my-authz: [{path: /admin, method: GET, headers: {x-a: b}, allow: false, status: 401, body: no entry}, {allow: true}]
authorities: [partner]
tokens:
  alice: {issuer: https://idp.example, claims: {sub: alice, scope: read, roles: [a, b]}}
  raw: {literal: not.a.token, in: query, name: access_token}
callers:
  internet: {outside: istio-ingress/gateway}
  office: {use: internet, address: 192.0.2.1, certificate: {authority: partner, dns: [office.example]}}
  cart: {workload: shop/cart}
  rogue: {bypass: shop/cart, to: orders/orders, port: 8080, mode: mtls}
  anonymous: {bypass: none, to: orders/orders}
  foreign: {mesh: spiffe://other.example/ns/x/sa/y, authority: partner, to: orders/orders}
defaults: {from: internet, request: {url: https://shop.example/, headers: {x-trace: 1}}}
cases:
  - name: alice reads an order
    token: alice
    request: GET https://shop.example/orders/1
    expect: {status: 200, app: orders/orders, headers: {x-app: orders, x-gone: null}, received: {path: /orders/1}}
  - name: an expired token
    token: {use: alice, flaw: expired, claims: {scope: null}}
    request: {method: POST, body: text, http: 2, target: '/orders#1', sni: shop.example}
    expect: {status: 401, proxy: istio-ingress/gateway, says: Jwt is expired}
  - name: two tokens
    from: office
    token: [alice, {literal: x}]
    expect: {status: 403, proxy: istio-ingress/gateway, policy: istio-ingress/allow, rule: 0}
  - name: bare TCP
    from: cart
    request: {tcp: 'redis.shop:6379', send: PING}
    expect: answered shop/redis
  - name: a certificate
    from: {workload: shop/cart}
    request: {tls: 'api.partner.example:443', sni: api.partner.example}
    expect: {answered: true, app: api.partner.example, certificate: api.partner.example}
  - {name: around the sidecar, from: rogue, expect: refused orders/orders}
  - {name: without identity, from: anonymous, expect: refused}
  - {name: from another mesh, from: foreign, expect: 404}
matrix:
  - name: orders
    columns:
      read: GET https://shop.example/orders/1
      write: {request: POST https://shop.example/orders}
    rows:
      cart: cart
      alice: {token: alice}
      anonymous: {}
    expect:
      cart: [200 orders/orders, 403 orders/orders]
      alice: {read: 301 proxy istio-ingress/gateway, write: '-'}
      anonymous: [403 istio-ingress/gateway, {status: 403, proxy: istio-ingress/gateway}]
addresses: {shop/cart: 10.8.1.7, 'istio-ingress/gateway': 'fd00::2'}
"""

SHAPE_FAULTS = {
    # what is wrong: (old text, new text, words of the message)
    "an unknown word of the file": ("authorizers:", "authorisers:", "did you mean 'authorizers'?"),
    "an unknown word of a case": ("    token: alice\n    request: GET", "    tokn: alice\n    request: GET", "'token'"),
    "an unknown word of a caller": ("address: 192", "adress: 192", "'address'"),
    "an unknown word of a token": ("claims: {sub: alice,", "claim: {sub: alice,", "'claims'"),
    "an unknown word of a request": ("method: POST", "methods: POST", "'method'"),
    "an unknown word of an expectation": ("says: Jwt", "say: Jwt", "'says'"),
    "an unknown word of received": ("{path: /orders/1}", "{paths: /orders/1}", "'path'"),
    "an unknown word of a matrix": ("    columns:", "    column:", "'columns'"),
    "an unknown word of a row": ("alice: {token: alice}", "alice: {tokens: alice}", "'token'"),
    "an unknown word of a workload": ("proxy: sidecar", "sidecar: true", "'sidecar'"),
    "an unknown word of an app": ("body: '{\"ok\"", "content: '{\"ok\"", "unknown word 'content'"),
    "an unknown word of an authorizer": ("status: 401, body", "code: 401, body", "unknown word 'code'"),
    "an unknown word of a certificate": ("dns: [office", "sans: [office", "unknown word 'sans'"),
    "an unknown flaw": ("flaw: expired", "flaw: expird", "did you mean 'expired'?"),
    "an unknown mode": ("mode: mtls", "mode: mTLS", "did you mean 'mtls'?"),
    "an unknown place of a token": ("in: query", "in: body", "is not one of header, query, cookie"),
    "an unknown kind of proxy": ("proxy: sidecar", "proxy: waypoint", "is not one of sidecar, gateway, none"),
    "an unknown protocol": ("8080: http}", "8080: HTTP}", "did you mean 'http'?"),
    "a workload without its namespace": ("{workload: shop/cart}\n    request", "{workload: cart}\n    request", "NAMESPACE/NAME"),
    "an upper-case workload": ("cart: {workload: shop/cart}", "cart: {workload: Shop/Cart}", "write NAMESPACE/NAME"),
    "an application that is only a name": ("app: orders/orders, headers", "app: orders, headers", "or an external host"),
    "a declared workload without a namespace": ("team-y/bare:", "bare:", "write NAMESPACE/NAME"),
    "a proxy that is a host": ("proxy: istio-ingress/gateway, says", "proxy: shop.example, says", "is not a workload"),
    "two kinds of caller": ("cart: {workload: shop/cart}", "cart: {workload: shop/cart, outside: a/b}", "workload"),
    "no kind of caller": ("cart: {workload: shop/cart}", "cart: {}", "exactly one of outside, workload, bypass, mesh"),
    "a caller that is only a name": ("anonymous: {bypass: none, to: orders/orders}", "anonymous: anonymous", "expected a mapping"),
    "a token that is only a name": ("  raw: {literal: not.a.token, in: query, name: access_token}", "  raw: raw", "expected a mapping"),
    "a word of another kind of caller": ("cart: {workload: shop/cart}", "cart: {workload: shop/cart, port: 1}", "belong"),
    "a bypass to nowhere": ("{bypass: none, to: orders/orders}", "{bypass: none}", "`bypass` needs `to`"),
    "a foreign mesh without an authority": ("sa/y, authority: partner,", "sa/y,", "`mesh` needs `authority`"),
    "an identity that is no SPIFFE id": ("mesh: spiffe://", "mesh: https://", "is not a SPIFFE id"),
    "a certificate of no authority": ("{authority: partner, dns: [office.example]}", "{dns: [o.example]}", "authority"),
    "an address of a pod that is a name": ("shop/cart: 10.8.1.7", "shop/cart: cart", "is not an IP address"),
    "an address of a pod without a namespace": ("shop/cart: 10.8.1.7", "cart: 10.8.1.7", "write NAMESPACE/NAME"),
    "addresses that are a list": ("{shop/cart: 10.8.1.7, 'istio-ingress/gateway': 'fd00::2'}", "[10.8.1.7]", "expected a mapping"),
    "an address that is a name": ("address: 192.0.2.1", "address: office", "is not an IP address"),
    "a caller that is a list": ("from: office", "from: [office]", "expected the name of a caller or a mapping"),
    "a token that is a number": ("    token: alice\n    request: GET", "    token: 1\n    request: GET", "expected"),
    "an empty list of tokens": ("token: [alice, {literal: x}]", "token: []", "write `none` for no token"),
    "claims that are a list": ("claims: {scope: null}", "claims: [scope]", "expected a mapping, found a list"),
    "a request that is a list": ("request: GET https://shop.example/orders/1\n    expect", "request: [GET]\n    expect", "METHOD"),
    "a request without a scheme": ("    request: GET https://shop.example/orders/1", "    request: GET /orders/1", "METHOD URL"),
    "a request with a space in its path": ("example/orders/1\n    expect", "example/orders 1\n    expect", "METHOD URL"),
    "an empty request": ("{tcp: 'redis.shop:6379', send: PING}", "{}", "the request is empty"),
    "a body over bare TCP": ("send: PING", "body: PING", "`body` does not belong to a request with `tcp`"),
    "text over HTTP": ("{method: POST, body: text,", "{method: POST, send: text,", "`send` does not belong"),
    "TCP without a port": ("'redis.shop:6379'", "redis.shop", "write HOST:PORT"),
    "an unknown version of HTTP": ("http: 2,", "http: 3,", "'3' is not one of 1.1, 2"),
    "a method that is none": ("method: POST", "method: 'PO ST'", "is not an HTTP method"),
    "a URL that is a path": ("{url: https://shop.example/,", "{url: /,", "write http:// or https://"),
    "a header that is no name": ("{x-trace: 1}", "{'x trace': 1}", "is not the name of a header"),
    "a header that is a mapping": ("{x-trace: 1}", "{x-trace: {a: b}}", "expected text"),
    "a header that is true": ("{x-trace: 1}", "{x-trace: true}", "quote it"),
    "a header with a line break": ("{x-trace: 1}", '{x-trace: "a\\nb"}', "no line break"),
    "a body that is a mapping": ("body: text", "body: {a: b}", "expected text, found a mapping"),
    "a status that is text": ("status: 401, proxy", "status: '401', proxy", "expected a whole number, found text"),
    "a status that there is not": ("status: 401, proxy", "status: 601, proxy", "write a number from 100 to 599"),
    "an expectation without an ending": ("{status: 401, proxy", "{proxy", "exactly one of status, refused, answered"),
    "an expectation with two endings": ("{status: 401, proxy", "{status: 401, refused: true, proxy", "exactly one of"),
    "an ending that is false": ("{answered: true, app", "{answered: false, app", "expected true"),
    "a redirect of unknown origin": ("read: 301 proxy istio", "read: 301 istio", "`301 app istio-ingress/gateway` or"),
    "a verdict in words": ("expect: 404}", "expect: not found}", "is not a verdict"),
    "a verdict that names half a workload": ("refused orders/orders}", "refused orders}", "write NAMESPACE/NAME"),
    "a verdict that is a list": ("expect: 404}", "expect: [404]}", "expected a short form or a mapping"),
    "a negative rule": ("rule: 0", "rule: -1", "write a number from 0"),
    "an empty word": ("says: Jwt is expired", "says: ''", "found an empty string"),
    "nothing where a word is wanted": ("says: Jwt is expired", "says: null", "expected text, found nothing"),
    "empty received": ("{path: /orders/1}", "{}", "`received` is empty"),
    "a case without a name": ("{name: without identity, from", "{from", "a case needs a `name`"),
    "a case without an expectation": (", expect: 404}", "}", "a case needs `expect`"),
    "a name of two lines": ("name: bare TCP", 'name: "bare\\nTCP"', "write one line of text"),
    "a case that is text": ("  - {name: without identity, from: anonymous, expect: refused}", "  - GET", "expected a mapping"),
    "a default that is no word of a case": ("defaults: {from", "defaults: {expect: 200, from", "unknown word 'expect'"),
    "a matrix without rows": ("    rows:\n      cart: cart\n      alice: {token: alice}\n      anonymous: {}\n", "", "`rows`"),
    "a matrix without columns": ("      read: GET https://shop.example/orders/1\n      write: {request: POST https://shop.example/orders}", "      {}", "no column"),
    "a row that is a list": ("      cart: cart", "      cart: [cart]", "expected the name of a caller or a mapping"),
    "a column that is no request": ("read: GET https://shop.example/orders/1", "read: orders", "METHOD URL"),
    "cells that are text": ("cart: [200 orders/orders, 403 orders/orders]", "cart: 200", "expected a list of cells"),
    "a cell that is nothing": ("[200 orders/orders, 403 orders/orders]", "[200 orders/orders, null]", "short form"),
    "an authority named mesh": ("authorities: [partner]", "authorities: [partner, mesh]", "always there"),
    "an authority twice": ("authorities: [partner]", "authorities: [partner, partner]", "stands here twice"),
    "a token named none": ("  raw: {literal", "  none: {literal", "`none` means no token"),
    "an app with a command and a status": ("{command: [python, app.py]}", "{command: x, status: 200}", "answers itself"),
    "an empty app": ("{command: [python, app.py]}", "{}", "the application is empty"),
    "an app with a certificate of no authority": (
        "{command: [python, app.py]}", "{certificate: {dns: [a.example]}}", "`certificate` needs `authority`",
    ),
    "an app with a command and a certificate": (
        "{command: [python, app.py]}", "{command: x, certificate: {authority: internet}}", "answers itself",
    ),
    "an empty command": ("{command: [python, app.py]}", "{command: []}", "the command is empty"),
    "an authorizer without rules": ("[{path: /admin, method: GET, headers: {x-a: b}, allow: false, status: 401, body: no entry}, {allow: true}]", "[]", "write a rule"),
    "an authorizer that does not decide": ("{allow: true}]", "{path: /a}]", "`allow: true` or `allow: false`"),
    "an authorizer that allows with a status": ("{allow: true}]", "{allow: true, status: 200}]", "is for a denial"),
    "a port that is a name": ("{8080: http}", "{web: http}", "is not a port"),
    "a port out of range": ("port: 8080, mode", "port: 80800, mode", "write a number from 1 to 65535"),
    "labels that are numbers": ("{app: caller}", "{app: 1}", "expected text, found a whole number ('1'); quote it"),
}  # fmt: skip

MEANING_FAULTS = {
    "a caller that is not declared": ("from: office", "from: ofice", "did you mean 'office'?"),
    "a workload in place of a caller": ("from: office", "from: shop/cart", "write {workload: shop/cart}"),
    "a token that is not declared": ("    token: alice\n    request: GET", "    token: bob\n    request: GET", "declare it under `tokens:`"),
    "none among tokens": ("token: [alice, {literal: x}]", "token: [alice, none]", "no token is named 'none'"),
    "a caller that uses itself": ("{use: internet, address", "{use: office, address", "cannot use itself"),
    "a caller that uses another kind": ("cart: {workload: shop/cart}", "cart: {use: internet, workload: shop/cart}", "exactly one"),
    "two cases of one name": ("name: bare TCP", "name: two tokens", "has a case of the name 'two tokens' too"),
    "a pod's address with a part too many": ("shop/cart: 10.8.1.7", "shop/cart: 10.8.1.7.1", "is not an IP address"),
    "two pods of one address": ("'fd00::2'", "10.8.1.7", "shop/cart has the address 10.8.1.7, too"),
    "an address with a part too many": ("192.0.2.1", "192.0.2.1.1", "is not an IP address"),
    "a port of a URL out of range": ("{url: https://shop.example/,", "{url: 'https://shop.example:99999/',", "no port from 1"),
    "a port of TCP out of range": ("'redis.shop:6379'", "'redis.shop:0'", "no port from 1 to 65535"),
    "a declared port out of range": ("{8080: http}", "{80800: http}", "no port from 1 to 65535"),
    "identity without a workload": ("{bypass: none, to: orders/orders}", "{bypass: none, to: a/b, mode: mtls}", "name the workload"),
    "a literal with claims": ("{literal: not.a.token,", "{literal: x, claims: {},", "`literal` sends a text"),
    "a prefix outside a header": ("in: query,", "in: query, prefix: x,", "only a token in a header"),
    "an app and a proxy": ("app: orders/orders, headers", "app: orders/orders, proxy: a/b, headers", "exclude each other"),
    "a policy and an app": ("policy: istio-ingress/allow, rule: 0", "policy: a/b, app: a/b", "exclude each other"),
    "a rule without a policy": ("policy: istio-ingress/allow, rule: 0", "rule: 0", "needs the `policy`"),
    "received by anonymous": ("says: Jwt is expired", "received: {path: /}", "no application receives"),
    "a status over TCP": ("expect: answered shop/redis", "expect: 200", "has no `status`"),
    "a response over HTTP that is only answered": ("expect: 404}", "expect: answered}", "`status`"),
    "a certificate over HTTP": ("says: Jwt is expired", "certificate: a.example", "for a request with `tls`"),
    "a row too short": ("[200 orders/orders, 403 orders/orders]", "[200 orders/orders]", "1 cells for 2 columns"),
    "a row that is missing": ("      anonymous: [403 istio-ingress/gateway, {status: 403, proxy: istio-ingress/gateway}]\n", "", "'anonymous' has no line"),
    "a column that is missing": (", write: '-'}", "}", "no cell for the column 'write'"),
    "a row that is not declared": ("      cart: [200", "      carts: [200", "did you mean 'cart'?"),
    "a column that is not declared": ("write: '-'}", "writes: '-', write: '-'}", "no column is named 'writes'"),
    "a row and a column of one word": ("write: {request: POST", "write: {token: none, request: POST", "both write `token`"),
    "a command that cannot be split": ("{command: [python, app.py]}", "{command: \"python 'app.py\"}", "cannot be split"),
}  # fmt: skip


def edited(old: str, new: str) -> str:
    """The good file with one text replaced."""
    assert GOOD.count(old) == 1, f"{old!r} is {GOOD.count(old)} times in the file"
    return GOOD.replace(old, new)
