"""Istio and Kubernetes objects as typed values, read strictly."""
