"""The smallest mesh with a way in: a gateway `edge/door` and a service `shop/cart`, without routes and policies."""

from __future__ import annotations

DOOR_AND_CART = """
apiVersion: v1
kind: Namespace
metadata: {name: edge, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: door, namespace: edge}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: door, namespace: edge}
spec:
  template:
    metadata:
      labels: {app: door}
      annotations: {inject.istio.io/templates: gateway}
    spec:
      serviceAccountName: door
      containers: [{name: istio-proxy, image: auto}]
---
apiVersion: v1
kind: Service
metadata: {name: door, namespace: edge}
spec:
  selector: {app: door}
  ports: [{name: https, port: 443, targetPort: 8443}, {name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  template:
    metadata:
      labels: {app: cart, version: v1}
    spec:
      serviceAccountName: cart
      containers: [{name: cart, ports: [{name: web, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: web}]
"""
