"""Certificate authorities of one run, and every certificate that they sign.

None of them trusts another. `mesh` signs the identities of workloads, `gateways` the server certificates of gateways,
`internet` the certificates of external hosts and of applications that speak TLS themselves. A case file may name more.
All of it lies in the run's private directory and is gone with it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING

from meshlab.certificates import CertificateAuthority
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["GATEWAYS", "INTERNET", "MESH", "Authorities", "CertificateFiles"]

MESH, GATEWAYS, INTERNET = "mesh", "gateways", "internet"
"""The authorities that every run has."""

_CHAIN, _KEY, _ROOT = "cert-chain.pem", "key.pem", "root-cert.pem"


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate on disk.

    Attributes:
        directory: The directory with all three files.
    """

    directory: Path

    @property
    def chain(self) -> Path:
        """The certificate, PEM."""
        return self.directory / _CHAIN

    @property
    def key(self) -> Path:
        """Its private key, unencrypted PEM."""
        return self.directory / _KEY

    @property
    def root(self) -> Path:
        """The authority that signed it, PEM."""
        return self.directory / _ROOT


class Authorities:
    """The authorities of one run. Safe to use from several threads.

    Args:
        directory: A private directory.
        names: Names of the authorities that the case file adds.
        known: Authorities that are there already: name to a directory with `ca.pem` and `ca-key.pem`.
    """

    def __init__(
        self, directory: Path, names: Iterable[str] = (), known: Mapping[str, Path] | None = None
    ) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._authorities: dict[str, CertificateAuthority] = {}
        self._issued: dict[str, CertificateFiles] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in dict.fromkeys((MESH, GATEWAYS, INTERNET, *names)):
            self._authorities[name] = CertificateAuthority.create(f"meshlab {name}")
            self._authorities[name].write(self.directory(name))
        for name, place in (known or {}).items():
            self._authorities[name] = CertificateAuthority.load(place / "ca.pem", place / "ca-key.pem")
            self._authorities[name].write(self.directory(name))
        self._public = directory / "public.pem"
        self._public.write_bytes(b"".join(self._authorities[name].pem for name in (INTERNET, GATEWAYS)))
        self._bundle = directory / "all.pem"
        self._bundle.write_bytes(b"".join(authority.pem for authority in self._authorities.values()))

    @property
    def names(self) -> frozenset[str]:
        """The names of all authorities."""
        return frozenset(self._authorities)

    @property
    def bundle(self) -> Path:
        """PEM file with the certificates of all authorities."""
        return self._bundle

    @property
    def public(self) -> Path:
        """PEM file with the authorities of servers that clients trust where nothing else is said."""
        return self._public

    def directory(self, authority: str) -> Path:
        """Return the directory with an authority's `ca.pem` and `ca-key.pem`."""
        return self._directory / "authorities" / _file_name(authority)

    def certificate(self, authority: str) -> Path:
        """Return the PEM file with an authority's own certificate.

        Raises:
            LookupError: There is no authority of that name.
        """
        self._authority(authority)
        return self.directory(authority) / "ca.pem"

    def issue(self, authority: str, *, uris: Sequence[str] = (), dns: Sequence[str] = ()) -> CertificateFiles:
        """Return a certificate with these names; the same one for the same arguments.

        Args:
            authority: The name of the authority that signs it.
            uris: URI names, such as `spiffe://cluster.local/ns/NS/sa/SA`.
            dns: DNS names.

        Raises:
            LookupError: There is no authority of that name.
        """
        signer = self._authority(authority)
        name = hashlib.sha256(json.dumps([authority, list(uris), list(dns)]).encode()).hexdigest()[:32]
        with self._lock:
            if name not in self._issued:
                directory = signer.issue(uris=uris, dns_names=dns).write(
                    self._directory / "issued" / name, chain=_CHAIN, key=_KEY, root=_ROOT
                )
                self._issued[name] = CertificateFiles(directory)
            return self._issued[name]

    def _authority(self, name: str) -> CertificateAuthority:
        if name not in self._authorities:
            known = ", ".join(sorted(self._authorities))
            raise LookupError(f"there is no certificate authority {name!r}; this run has {known}")
        return self._authorities[name]


def _file_name(name: str) -> str:
    """Return a name from a case file as a safe file name."""
    return name if name.isidentifier() else hashlib.sha256(name.encode()).hexdigest()[:32]
