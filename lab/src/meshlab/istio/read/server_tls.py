"""TLS of a Gateway's server: what is refused, what is ignored, and what a client must show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.istio.read.fields import Fields
    from meshlab.manifest import Problem

__all__ = ["CertificateFiles", "ServerTls", "TlsMode", "known_ciphers", "read_server_tls"]

TlsMode = Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]
_MODES = ("PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")
_WITH_CERTIFICATE = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")
_VERSIONS = ("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
# pkg/config/security/security.go#ValidCipherSuites
_CIPHERS = frozenset(
    {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    }
)
_FIELDS = (
    "httpsRedirect", "mode", "serverCertificate", "privateKey", "caCertificates", "caCrl", "tlsCertificates",
    "credentialName", "credentialNames", "caCertCredentialName", "subjectAltNames", "verifyCertificateSpki",
    "verifyCertificateHash", "minProtocolVersion", "maxProtocolVersion", "cipherSuites", "ecdhCurves",
    "insecureSkipVerify",
)  # fmt: skip
_CERTIFICATE_FIELDS = (
    "serverCertificate", "privateKey", "caCertificates", "tlsCertificates", "credentialName", "credentialNames",
)  # fmt: skip
_SCHEMES = ("kubernetes://", "kubernetes-gateway://", "configmap://")


@dataclass(frozen=True)
class CertificateFiles:
    """Paths in the gateway's pod."""

    certificate: str
    key: str


@dataclass(frozen=True)
class ServerTls:
    """The `tls` of a server.

    Attributes:
        mode: What happens to TLS; `PASSTHROUGH` where nothing is written.
        https_redirect: Whether plaintext requests are answered with a redirection to HTTPS.
        credentials: Secrets with the server's certificates, as written.
        files: The server's certificates as files of the pod.
        ca_credential: A Secret or ConfigMap with the CA of clients; empty where it stands beside the certificate.
        ca_file: The CA of clients as a file of the pod.
        crl_file: Revoked client certificates as a file of the pod.
        subject_alt_names: Names, of which a client's certificate must hold one; empty for any.
        certificate_spkis: Hashes of the keys that clients may have; empty for any.
        certificate_hashes: Hashes of the certificates that clients may have; empty for any.
        skip_verify: Whether client certificates of any CA are taken.
        minimum: The lowest version; `TLS_AUTO` for Envoy's default.
        maximum: The highest version; `TLS_AUTO` for Envoy's default.
        ciphers: What Envoy gets, without what Istio drops; empty for Envoy's default.
        curves: ECDH curves; empty for Envoy's default.
    """

    mode: TlsMode
    https_redirect: bool = False
    credentials: tuple[str, ...] = ()
    files: tuple[CertificateFiles, ...] = ()
    ca_credential: str = ""
    ca_file: str = ""
    crl_file: str = ""
    subject_alt_names: tuple[str, ...] = ()
    certificate_spkis: tuple[str, ...] = ()
    certificate_hashes: tuple[str, ...] = ()
    skip_verify: bool = False
    minimum: str = "TLS_AUTO"
    maximum: str = "TLS_AUTO"
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()

    @property
    def passes_through(self) -> bool:
        """Whether the gateway leaves the TLS of its clients alone."""
        return self.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def asks_for_certificate(self) -> bool:
        """Whether clients are asked for a certificate, which `OPTIONAL_MUTUAL` lets them leave out."""
        return self.mode in ("MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")


def read_server_tls(server: Fields, notes: list[Problem]) -> ServerTls:
    """Read a server's `tls` (`pkg/config/validation/validation.go#validateTLSOptions`).

    Args:
        server: The server.
        notes: Receives what Istio accepts and ignores.

    Raises:
        ManifestError: An unknown field, or what Istio's webhook refuses.
    """
    tls = server.mapping("tls", _FIELDS)
    mode = cast("TlsMode", tls.choice("mode", _MODES, "PASSTHROUGH"))
    found = ServerTls(
        mode=mode,
        https_redirect=tls.boolean("httpsRedirect"),
        credentials=_credentials(tls),
        files=tuple(_files(tls)),
        ca_credential=tls.string("caCertCredentialName"),
        ca_file=tls.string("caCertificates"),
        crl_file=tls.string("caCrl"),
        subject_alt_names=_strings(tls, "subjectAltNames"),
        certificate_spkis=_strings(tls, "verifyCertificateSpki"),
        certificate_hashes=_strings(tls, "verifyCertificateHash"),
        skip_verify=tls.raw("insecureSkipVerify") is not None and tls.boolean("insecureSkipVerify"),
        minimum=tls.choice("minProtocolVersion", _VERSIONS, "TLS_AUTO"),
        maximum=tls.choice("maxProtocolVersion", _VERSIONS, "TLS_AUTO"),
        ciphers=_ciphers(tls, notes),
        curves=_strings(tls, "ecdhCurves"),
    )
    _check_credentials(tls, found)
    if mode == "ISTIO_MUTUAL":
        _refuse_certificates(tls)
    elif found.passes_through:
        _note_unused(tls, found, notes)
    else:
        _check_certificates(tls, found, notes)
    return found


def known_ciphers(ciphers: Sequence[str]) -> tuple[str, ...]:
    """Return the cipher suites that Istio keeps, each once (`pkg/config/security/security.go#FilterCipherSuites`)."""
    # What starts with neither a letter of the alphabet nor a digit is an operator of BoringSSL's, such as -ALL.
    kept = [cipher for cipher in ciphers if cipher == "ALL" or not cipher[0].isalnum() or cipher in _CIPHERS]
    return tuple(dict.fromkeys(kept))


def _strings(tls: Fields, name: str) -> tuple[str, ...]:
    # An empty list is what Istio reads as absent.
    return () if tls.raw(name) in (None, []) else tls.strings(name)


def _credentials(tls: Fields) -> tuple[str, ...]:
    single, several = tls.string("credentialName"), tls.strings("credentialNames")
    if single and several:
        raise tls.where.key("credentialNames").error("credentialName is here, too; keep one.")
    if len(several) > 2:
        raise tls.where.key("credentialNames").error("Istio takes two at most.")
    return several or ((single,) if single else ())


def _files(tls: Fields) -> Iterator[CertificateFiles]:
    passed_over = {
        "caCertificates": "Istio takes the CA that stands beside tlsCertificates, and ignores this"
    }
    several = tls.items("tlsCertificates", ("serverCertificate", "privateKey"), passed_over=passed_over)
    if len(several) > 2:
        raise tls.where.key("tlsCertificates").error("Istio takes two at most.")
    for entry in several or (tls,):
        certificate, key = entry.string("serverCertificate"), entry.string("privateKey")
        if certificate or key or several:
            yield CertificateFiles(certificate, key)


def _ciphers(tls: Fields, notes: list[Problem]) -> tuple[str, ...]:
    written = _strings(tls, "cipherSuites")
    kept = known_ciphers(written)
    for index, cipher in enumerate(written):
        if cipher not in kept:
            place = tls.where.key("cipherSuites").item(index)
            notes.append(
                place.manifest.problem(place.keys, f"{cipher!r} is no cipher suite; Istio drops it.")
            )
    return kept


def _check_credentials(tls: Fields, found: ServerTls) -> None:
    written = [(name, "credentialName") for name in found.credentials]
    for name, field in [*written, (found.ca_credential, "caCertCredentialName")]:
        scheme, sign, rest = name.partition("://")
        where = tls.where.key("credentialNames" if len(found.credentials) > 1 else field)
        if sign and (scheme + sign not in _SCHEMES or not rest):
            raise where.error(f"{name!r}: only the Secrets of a cluster are known; write the name of one.")
        if (
            field == "caCertCredentialName"
            and name
            and scheme != "configmap"
            and not name.endswith("-cacert")
        ):
            problem = (
                "of such a Secret Istio sends the certificate, not the CA; name one that ends with -cacert."
            )
            raise where.error(f"{name!r}: {problem}")
        if not sign and "/" in name:
            raise where.error(
                f"{name!r}: a gateway takes Secrets of its own namespace alone; write the bare name."
            )


def _refuse_certificates(tls: Fields) -> None:
    for name in _CERTIFICATE_FIELDS:
        if tls.raw(name):
            raise tls.where.key(name).error("ISTIO_MUTUAL uses the certificate of the mesh; remove it.")


def _note_unused(tls: Fields, found: ServerTls, notes: list[Problem]) -> None:
    if found.crl_file and tls.string("credentialName"):
        raise tls.where.key("caCrl").error("Istio refuses it beside credentialName; remove it.")
    for name in ("caCrl", *_CERTIFICATE_FIELDS):
        if tls.raw(name):
            where = tls.where.key(name)
            notes.append(where.manifest.problem(where.keys, f"mode {found.mode} ignores it."))


def _check_certificates(tls: Fields, found: ServerTls, notes: list[Problem]) -> None:
    where = tls.where
    single = bool(tls.string("serverCertificate") and tls.string("privateKey"))
    sources = (single, tls.raw("tlsCertificates"), tls.raw("credentialName"), tls.raw("credentialNames"))
    if sum(map(bool, sources)) > 1:
        raise where.error("names certificates in two ways; keep credentialName, or the files.")
    if found.subject_alt_names and found.mode == "SIMPLE" and found.credentials:
        problem = "in mode SIMPLE no CA stands behind them: Envoy refuses the whole port. Write MUTUAL, or remove them."
        raise where.key("subjectAltNames").error(problem)
    _note_ignored(tls, found, notes)
    if found.credentials:
        return
    if found.mode != "SIMPLE" and not found.ca_file:
        raise where.key("caCertificates").error(f"missing; mode {found.mode} needs the CA of the clients.")
    if not found.files:
        raise where.key("credentialName").error(f"missing; mode {found.mode} needs a certificate.")
    for files in found.files:
        if not files.certificate or not files.key:
            raise where.error("needs serverCertificate and privateKey, or credentialName.")
    if found.crl_file and found.mode == "SIMPLE":
        raise where.key("caCrl").error("has no use in mode SIMPLE, and Istio refuses it; remove it.")


def _note_ignored(tls: Fields, found: ServerTls, notes: list[Problem]) -> None:
    """Note what restricts clients in the manifest and not in Istio."""
    if found.credentials:
        ignored = {"caCrl": "Istio takes revoked certificates from the Secret alone, and ignores this."}
    else:
        pinned = "Istio ignores it beside certificate files."
        ignored = {"verifyCertificateSpki": pinned, "verifyCertificateHash": pinned}
        if found.mode == "SIMPLE":
            ignored["subjectAltNames"] = (
                "Istio asks clients for no certificate in mode SIMPLE, and ignores this."
            )
    for name, problem in ignored.items():
        if tls.raw(name):
            where = tls.where.key(name)
            notes.append(where.manifest.problem(where.keys, problem))
