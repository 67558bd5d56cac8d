"""Istio manifests in, Envoy configuration out. Pure: starts nothing, reads no file.

`read` turns manifests into typed values, `model` joins them into a mesh, `envoy` writes each proxy's configuration. A
test bench for policy, not a control plane: what is not known is refused, with the traffic that it could change.
"""

from __future__ import annotations

from meshlab.istio.envoy.bootstrap import ProxyCompiler, compile_proxy
from meshlab.istio.envoy.placement import Address, Placement
from meshlab.istio.envoy.tls import SecretFiles, Secrets, SecretSocket
from meshlab.istio.model.credentials import Credential
from meshlab.istio.model.load import load_mesh
from meshlab.istio.model.mesh import Mesh
from meshlab.istio.model.workload import Workload, WorkloadPort, spiffe_id
from meshlab.istio.read.mesh_config import MeshSettings
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.manifest import Manifest, ManifestError

__all__ = [
    "Address",
    "Credential",
    "Manifest",
    "ManifestError",
    "Mesh",
    "MeshSettings",
    "Placement",
    "ProxyCompiler",
    "SecretFiles",
    "SecretSocket",
    "Secrets",
    "Workload",
    "WorkloadPort",
    "WorkloadRef",
    "compile_proxy",
    "load_mesh",
    "spiffe_id",
]
