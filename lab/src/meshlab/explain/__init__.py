"""Explanations of requests: what every proxy on the way decided, by which object, rule and condition.

What is said of a decision is Envoy's own: its access log, and the results of the probes of `bench.evidence`. The
manifests and the compiled configuration say where that stands. `explanation` has the types, `explained_outcome` makes
them from an outcome with a `*_step` module for each thing that a proxy decides, `tried_changes` finds what would let a
refused request in, and `as_json` and `printed_explanation` write them down.
"""
