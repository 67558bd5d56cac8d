"""Istio meshes on one machine: real Envoys, a test bench for policies, and fakes of Google's services."""
