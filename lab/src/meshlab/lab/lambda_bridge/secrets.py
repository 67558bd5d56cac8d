"""Secrets that change while proxies run.

A proxy in a cluster gets a gateway's credentials from istiod (`pilot/pkg/xds/sds.go`): the certificate under the
credential's name, the CA under the same name with `-cacert`, the revocation list with the CA. Here the same resources
stand in files that Envoy watches.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.istio.model.credentials import CA_SUFFIX, MESH_CA, SECRET_SCHEME, WORKLOAD
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from meshlab.bench.authorities import Authorities
    from meshlab.istio import WorkloadRef
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.model.client_credentials import ClientResource
    from meshlab.istio.model.credentials import TlsResource

__all__ = ["WatchedSecrets"]

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type


@dataclass(frozen=True)
class WatchedSecrets:
    """How TLS material reaches the proxies of one mesh. The identities of its workloads stay as they are.

    Attributes:
        authorities: Sign the identities.
        authority: The name of the mesh's own authority.
        identities: Workload to its SPIFFE id.
        credentials: Name of a credential to the directory of its Secret: `tls.crt` and `tls.key`, `ca.crt` and
            `ca.crl`, or a part of them.
        watched: A private directory for the files that Envoy watches.
    """

    authorities: Authorities
    authority: str
    identities: Mapping[WorkloadRef, str]
    credentials: Mapping[str, Path]
    watched: Path
    _versions: dict[str, str] = field(default_factory=dict)
    _used: dict[WorkloadRef, frozenset[str]] = field(default_factory=dict)

    def reference(self, name: str) -> Json:
        """Return the reference to a secret: a file to watch, or a name for the workload's own."""
        if not name.startswith(SECRET_SCHEME):
            return {"name": name}
        source = {"pathConfigSource": {"path": str(self._file(name))}, "resourceApiVersion": "V3"}
        return {"name": name, "sdsConfig": source}

    def resources(
        self, ref: WorkloadRef, used: Iterable[TlsResource], client: Iterable[ClientResource] = ()
    ) -> Json:
        """Return the static secrets of a proxy, and write the files that it watches.

        Raises:
            LookupError: A credential has no Secret.
        """
        names = frozenset((*(each.name for each in used), *(each.name for each in client)))
        for name in names:
            self._write(name)
        self._used[ref] = names
        own = self.authorities.issue(self.authority, uris=(self.identities[ref],))
        certificate = {
            "certificateChain": {"filename": str(own.chain)},
            "privateKey": {"filename": str(own.key)},
        }
        root = {"trustedCa": {"filename": str(self.authorities.certificate(self.authority))}}
        return {
            "secrets": [
                {"name": WORKLOAD, "tlsCertificate": certificate},
                {"name": MESH_CA, "validationContext": root},
            ]
        }

    def publish(self) -> None:
        """Write what the Secrets hold now into the files that proxies watch."""
        for name in list(self._versions):
            self._write(name)

    def versions(self, ref: WorkloadRef) -> frozenset[str]:
        """Return the versions that a proxy shall have, by what was written last; none for a proxy of another mesh."""
        return frozenset(self._versions[name] for name in self._used.get(ref, ()))

    def _write(self, name: str) -> None:
        secret = {"@type": _SECRET, "name": name, **self._content(name)}
        version = hashlib.sha256(json.dumps(secret).encode()).hexdigest()[:16]
        if self._versions.get(name) == version:
            return
        self.watched.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._file(name)
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"version_info": version, "resources": [secret]}, file)
        new.replace(path)  # Envoy looks at a file when another is moved into its place
        self._versions[name] = version

    def _content(self, name: str) -> Json:
        bare = name.removeprefix(SECRET_SCHEME)
        credential = bare.removesuffix(CA_SUFFIX)
        directory = self.credentials.get(credential)
        if directory is None:
            raise LookupError(f"the credential {credential} has no Secret in this run")
        if bare == credential:
            return {"tlsCertificate": {"certificateChain": _text(directory / "tls.crt"),
                                       "privateKey": _text(directory / "tls.key")}}  # fmt: skip
        context = {"trustedCa": _text(directory / "ca.crt")}
        if (directory / "ca.crl").exists():
            context["crl"] = _text(directory / "ca.crl")
        return {"validationContext": context}

    def _file(self, name: str) -> Path:
        return self.watched / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _text(path: Path) -> Json:
    return {"inlineString": path.read_text()}
