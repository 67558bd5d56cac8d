"""Istio manifests in, Envoy configuration out; pure, starts nothing."""
