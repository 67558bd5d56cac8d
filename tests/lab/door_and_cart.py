"""The smallest mesh with a way in: a gateway `edge/door` and a service `shop/cart`, without routes and policies."""

from __future__ import annotations

from tests.lab.kube import app, gateway_app, mesh_of, namespace, service, service_account

__all__ = ["DOOR_AND_CART"]

DOOR_AND_CART = mesh_of(
    namespace("edge"),
    namespace("shop"),
    service_account("door", "edge"),
    service_account("cart", "shop"),
    gateway_app("door", "edge", account="door"),
    service(
        "door",
        "edge",
        "{name: https, port: 443, targetPort: 8443}, {name: http, port: 80, targetPort: 8080}",
    ),
    app("cart", "shop", "{name: web, containerPort: 8080}", account="cart", labels="version: v1"),
    service("cart", "shop", "{name: http, port: 80, targetPort: web}"),
)
