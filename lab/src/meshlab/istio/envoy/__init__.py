"""Envoy configuration, written from the typed mesh."""
