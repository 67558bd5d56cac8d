"""Istio manifests in, Envoy configuration out. Pure: starts nothing, reads no file.

A test bench for policy, not a control plane. It refuses what it does not know: an unknown kind, field or value is a
`ManifestError` that names file, object and field, never a policy silently weaker than written.

What it reads:

| kind | parts |
|---|---|
| Gateway | `selector`; HTTP, HTTP2, GRPC; HTTPS with `tls.mode: SIMPLE`, `credentialName`, versions, ciphers |
| VirtualService | on gateways: `hosts`, `exportTo`, `http` routes with `timeout` and `retries` |
| its `match` | uri, method, authority, headers, withoutHeaders, port, gateways |
| its `route` | Services, with weights |
| RequestAuthentication | `selector`; everything of a rule but `jwksUri`, with inline `jwks` |
| AuthorizationPolicy | `selector`; ALLOW and DENY with every source, operation and condition; the dry-run annotation |
| PeerAuthentication | STRICT, PERMISSIVE, DISABLE by mesh, namespace, workload and port |
| Telemetry | `accessLogging` with the provider `envoy` |
| Service | ports named (or with an `appProtocol`) http, http2 or grpc |
| Deployment | the pod template's labels, annotations, account, injection and port names |
| ServiceAccount, Namespace | their names; the labels that steer injection |

All in version `v1`. `kinds` lists what is passed over because it never touches a request, and what a cluster enforces
and the lab does not (`Mesh.not_enforced`). Istio's defaults hold where nothing is written, MeshConfig included.

Where the lab is not a cluster: every connection comes from and goes to the local machine, so conditions on `source.ip`
and `destination.ip` see its addresses; sidecars have no outbound side; TLS that is not the mesh's own is refused on
PERMISSIVE ports rather than passed on.
"""

from meshlab.istio.envoy.bootstrap import compile_proxy
from meshlab.istio.envoy.placement import Address, Placement
from meshlab.istio.envoy.tls import SecretFiles, Secrets, SecretSocket
from meshlab.istio.model.mesh import Credential, Mesh
from meshlab.istio.model.workload import Workload, WorkloadPort, spiffe_id
from meshlab.istio.read.kubernetes import WorkloadRef
from meshlab.manifest import Manifest, ManifestError

__all__ = [
    "Address",
    "Credential",
    "Manifest",
    "ManifestError",
    "Mesh",
    "Placement",
    "SecretFiles",
    "SecretSocket",
    "Secrets",
    "Workload",
    "WorkloadPort",
    "WorkloadRef",
    "compile_proxy",
    "spiffe_id",
]
