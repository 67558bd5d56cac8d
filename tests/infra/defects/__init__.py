"""The defects of the source documents, by row: each is brought back into today's manifests, and must be noticed.

`ingress`, `egress`, `bridge` and `access` hold the rows that concern manifests; `elsewhere` says who owns the others.
"""
