"""Manifests and policy tests from the short files in which callers, services and teams are described.

A description is what a person reviews; everything that follows from it is written beside it and committed, so that
`kubectl kustomize` needs nothing but the files. `sources` reads descriptions, `contract` connects values of
`infra/contract.env`, `generated` writes files, and one package for each mesh decides what follows.
"""
