"""TLS material of one run: every certificate that a proxy refers to is made when it is asked for.

The CA of a gateway's clients is the authority with the name of the credential. So a case that shows a certificate of
the authority `partner-tls` is taken by the gateway whose server has `credentialName: partner-tls`, and by no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.authorities import GATEWAYS, INTERNET, MESH
from meshlab.istio.model.credentials import MESH_CA, WORKLOAD
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshlab.bench.authorities import Authorities, CertificateFiles
    from meshlab.istio import Mesh
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.model.credentials import TlsResource
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["RunSecrets", "client_authorities"]


def client_authorities(mesh: Mesh) -> tuple[str, ...]:
    """Return the names of the authorities that gateways check clients' certificates with."""
    return tuple(dict.fromkeys(credential.name for credential in mesh.credentials if credential.client_ca))


@dataclass(frozen=True)
class RunSecrets:
    """Certificates in files of the run's private directory, which bootstraps name.

    Attributes:
        authorities: Make them.
        identities: Workload to its SPIFFE id.
        hosts: (namespace, credential) to the hosts that a gateway's certificate must be good for.
    """

    authorities: Authorities
    identities: Mapping[WorkloadRef, str]
    hosts: Mapping[tuple[str, str], tuple[str, ...]]

    @classmethod
    def of(cls, mesh: Mesh, authorities: Authorities) -> RunSecrets:
        """Return the material of a mesh."""
        return cls(
            authorities,
            {workload.ref: workload.identity(mesh.trust_domain) for workload in mesh.workloads},
            {(credential.namespace, credential.name): credential.hosts for credential in mesh.credentials},
        )

    def reference(self, name: str) -> Json:
        """Return the reference to a secret: the bootstrap holds all of them under their names."""
        return {"name": name}

    def resources(
        self, ref: WorkloadRef, used: Iterable[TlsResource], client: Iterable[ClientResource] = ()
    ) -> Json:
        """Return the static secrets of a proxy.

        Args:
            ref: The workload.
            used: What the TLS of its servers refers to.
            client: What its TLS towards servers refers to.
        """
        own = self.authorities.issue(MESH, uris=(self.identities[ref],))
        secrets = [_certificate(WORKLOAD, own), _authority(MESH_CA, self.authorities.certificate(MESH))]
        for resource in used:
            if resource.kind == "certificate":
                hosts = self.hosts.get((resource.namespace or ref.namespace, resource.credential), ())
                names = tuple(host for host in hosts if host != "*") or ("localhost",)
                secrets.append(_certificate(resource.name, self.authorities.issue(GATEWAYS, dns=names)))
            else:
                secrets.append(_authority(resource.name, self._authority_of(resource.credential)))
        for asked in client:
            if asked.kind == "certificate":
                signer = asked.credential if asked.credential in self.authorities.names else INTERNET
                issued = self.authorities.issue(signer, dns=(f"{ref.name}.{ref.namespace}",))
                secrets.append(_certificate(asked.name, issued))
            else:
                secrets.append(_authority(asked.name, self._servers_of(asked.credential)))
        return {"secrets": secrets}

    def _authority_of(self, credential: str) -> Path:
        name = credential if credential in self.authorities.names else credential.removesuffix("-cacert")
        return self.authorities.certificate(name)

    def _servers_of(self, credential: str) -> Path:
        """Return the CAs that a client checks servers with: those of the credential, else all public ones."""
        if credential in self.authorities.names:
            return self.authorities.certificate(credential)
        return self.authorities.public


def _certificate(name: str, files: CertificateFiles) -> Json:
    certificate = {
        "certificateChain": {"filename": str(files.chain)},
        "privateKey": {"filename": str(files.key)},
    }
    return {"name": name, "tlsCertificate": certificate}


def _authority(name: str, file: Path) -> Json:
    return {"name": name, "validationContext": {"trustedCa": {"filename": str(file)}}}
