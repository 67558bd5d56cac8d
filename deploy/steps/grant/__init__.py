"""Grants to callers: who may call a function, and which Kubernetes account may act as a service account."""
