"""A server outside the mesh whose certificate the proxies check."""

from __future__ import annotations

OUTSIDE_SERVER = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec:
  host: api.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: api.example, subjectAltNames: [api.example]}}
"""
