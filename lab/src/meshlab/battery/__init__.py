"""Batteries of requests, derived from the words of manifests."""
