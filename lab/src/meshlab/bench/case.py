"""One policy case as typed values: who sends what, and which outcome is expected.

`case_file` reads these from YAML. `run` sends them. The words are those of the case format, see
`docs/policy-testing.md`.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = [
    "AppSpec",
    "Authorizer",
    "AuthorizerRule",
    "Bypass",
    "Case",
    "CaseFile",
    "CasePlace",
    "Certificate",
    "DeclaredWorkload",
    "Expectation",
    "FromBypass",
    "FromForeignMesh",
    "FromOutside",
    "FromWorkload",
    "HttpRequest",
    "Matrix",
    "Mention",
    "Received",
    "Sender",
    "TcpRequest",
    "TlsRequest",
    "TokenPlacement",
    "TokenSpec",
    "client_address",
]


@dataclass(frozen=True)
class CasePlace:
    """Where something stands in a case file: the file, the line (from 1; 0 for none) and the path of keys."""

    file: str
    line: int
    path: str = ""

    def __str__(self) -> str:
        """Return `FILE:LINE: PATH`, as error messages begin."""
        return f"{self.file}:{self.line}: {self.path}" if self.path else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Certificate:
    """A certificate made for the run.

    Attributes:
        authority: Name of the certificate authority that signs it. `mesh` is the mesh's own; any other name is an
            authority of the case file. A gateway trusts the authority that its credential's name maps to.
        uris: URI names, such as `spiffe://cluster.local/ns/shop/sa/cart`.
        dns: DNS names.
    """

    authority: str
    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()


@dataclass(frozen=True)
class FromOutside:
    """A client outside the mesh that connects to a gateway.

    Attributes:
        gateway: The gateway workload.
        address: The client's IP address, as the gateway's connection shows it.
        certificate: The TLS client certificate, `None` for none.
    """

    gateway: WorkloadRef
    address: str | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True)
class FromWorkload:
    """A workload that sends through its own sidecar, with its own service account.

    Attributes:
        workload: The workload. It is one of the manifests, or one that the case file declares under `workloads`.
    """

    workload: WorkloadRef


Bypass = Literal["plaintext", "tls", "mtls"]


@dataclass(frozen=True)
class FromBypass:
    """A workload that bypasses its sidecar and connects to the target pod itself.

    Attributes:
        workload: The workload whose identity is used with `mtls`; `None` for a client without an identity.
        to: The workload that it connects to.
        port: The target pod's port (a Service's targetPort); `None` where the pod has only one.
        mode: `plaintext`; `tls` (TLS of its own, no client certificate); `mtls` (with the workload's certificate, but
            not through its sidecar).
        address: The IP address of a client without an identity. A workload has that of its pod.
    """

    workload: WorkloadRef | None
    to: WorkloadRef
    port: int | None
    mode: Bypass
    address: str | None = None


@dataclass(frozen=True)
class FromForeignMesh:
    """A workload of another mesh that connects to a pod of this one.

    Attributes:
        identity: Its SPIFFE id.
        authority: The authority that signed its certificate; `mesh` for the mesh's own.
        to: The workload that it connects to.
        port: As in `FromBypass`.
        address: Its IP address.
    """

    identity: str
    authority: str
    to: WorkloadRef
    port: int | None
    address: str | None = None


Sender = FromOutside | FromWorkload | FromBypass | FromForeignMesh


def client_address(sender: Sender) -> str | None:
    """Return the IP address that a case states for its client; `None` for a workload, whose pod has one."""
    return None if isinstance(sender, FromWorkload) else sender.address


TokenPlacement = Literal["header", "query", "cookie"]


@dataclass(frozen=True)
class TokenSpec:
    """A token to be made for the request.

    Attributes:
        issuer: An issuer of the manifests' RequestAuthentications, or any other for a foreign one. `None` where the
            manifests have exactly one issuer.
        claims: The claims. `iss`, `aud` (where a rule names audiences), `iat`, `nbf`, `exp` and `jti` are added
            unless the case writes them; `None` leaves a claim out. Whole numbers for times are taken as they are.
        flaw: What is wrong with it, by name (see `tokens.FLAWS`); empty for a good one.
        placement: Where it is sent.
        name: The header, query parameter or cookie; empty for `authorization`, `access_token` or the rule's own.
        prefix: What stands before it in the header.
        literal: Text to be sent in place of a token that is made.
    """

    issuer: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    flaw: str = ""
    placement: TokenPlacement = "header"
    name: str = ""
    prefix: str = "Bearer "
    literal: str | None = None


@dataclass(frozen=True)
class HttpRequest:
    """An HTTP request.

    Attributes:
        method: Sent as written.
        url: Scheme, host, port and path, as the client would write it. Its host and port decide where a workload's
            sidecar is asked to connect to, and which port of a gateway is used.
        headers: Further headers, in order; a name may occur twice. `host` overrides the URL's.
        body: The body.
        version: `1.1` or `2`.
        target: The raw request target, sent as it is in place of the URL's path and query.
        sni: The TLS server name; the URL's host where it is `None`.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    version: Literal["1.1", "2"] = "1.1"
    target: str | None = None
    sni: str | None = None


@dataclass(frozen=True)
class TcpRequest:
    """A bare TCP connection: `send` is written, then the answer is read.

    Attributes:
        host: The host that the client would resolve.
        port: The port that it connects to.
        send: The bytes, as text.
    """

    host: str
    port: int
    send: str = "hello\n"


@dataclass(frozen=True)
class TlsRequest:
    """A TLS connection whose answering certificate is looked at; then `send` is written and the answer read.

    Attributes:
        host: The host that the client would resolve.
        port: The port that it connects to.
        sni: The server name; the host where it is `None`, and none at all where it is empty.
        send: The bytes, as text.
    """

    host: str
    port: int
    sni: str | None = None
    send: str = "hello\n"


@dataclass(frozen=True)
class Received:
    """What must have reached the application. Only what is written is compared.

    Attributes:
        method: The method.
        path: The path with its query, after rewriting.
        host: The Host (`:authority`).
        headers: Headers that must be there with exactly this value; `None` for one that must be absent.
        identity: The SPIFFE id of the last mTLS client, as the application gets it in `x-forwarded-client-cert`.
        sni: The server name that the last client asked for with TLS; `none` where it spoke no TLS.
    """

    method: str | None = None
    path: str | None = None
    host: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    identity: str | None = None
    sni: str | None = None


@dataclass(frozen=True)
class Expectation:
    """The expected outcome. Only what is written is compared, and one of `status`, `refused`, `answered` is there.

    Attributes:
        status: The HTTP status.
        refused: The connection ends without an answer of any application: no HTTP response, or for TCP no byte.
        answered: For bare TCP and TLS: an application answers.
        app: The workload (or the external host) whose application gave the answer; several where any of them may.
        proxy: The workload whose proxy gave the answer or ended the connection.
        subset: The version label or subset of the workload that answered.
        policy: `NAMESPACE/NAME` of the AuthorizationPolicy that refused it; `none` where no ALLOW rule matched.
        rule: The index of the rule in that policy, from 0.
        says: Words that the body holds, or the reason of the proxy that answered or ended the connection.
        headers: Response headers that must be there with exactly this value; `None` for one that must be absent.
        received: What reached the application.
        certificate: For TLS: a DNS or URI name that the answering certificate must have.
    """

    status: int | None = None
    refused: bool = False
    answered: bool = False
    app: str | tuple[str, ...] | None = None
    proxy: WorkloadRef | None = None
    subset: str | None = None
    policy: str | None = None
    rule: int | None = None
    says: str = ""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    received: Received | None = None
    certificate: str | None = None

    @property
    def apps(self) -> tuple[str, ...]:
        """The workloads and external hosts of which one must answer; empty for any."""
        if self.app is None:
            return ()
        return (self.app,) if isinstance(self.app, str) else self.app


@dataclass(frozen=True)
class Case:
    """One request and its expected outcome.

    Attributes:
        name: Unique in its file. A case of a matrix is called `MATRIX: ROW / COLUMN`.
        sender: Who sends it.
        request: What is sent.
        tokens: The tokens that go along, in order.
        expect: The expected outcome; `None` in a case that only asks what happens.
        place: Where it stands.
    """

    name: str
    sender: Sender
    request: HttpRequest | TcpRequest | TlsRequest
    expect: Expectation | None
    place: CasePlace
    tokens: tuple[TokenSpec, ...] = ()


@dataclass(frozen=True)
class AppSpec:
    """What answers in place of an application.

    Attributes:
        target: `NAMESPACE/NAME` of a workload, or an external host.
        status: The status of a static answer.
        headers: Its headers.
        body: Its body; `None` for the echo, which says what it received.
        command: The user's own program; it gets the port in the environment variable `PORT`.
        certificate: What it shows to TLS clients; `None` for a certificate of `internet` with the name asked for.
    """

    target: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    command: tuple[str, ...] = ()
    certificate: Certificate | None = None


@dataclass(frozen=True)
class AuthorizerRule:
    """One line of an external authorizer's script; the first that matches decides.

    Attributes:
        path: A path prefix that the request must have; `None` for any.
        method: Its method; `None` for any.
        headers: Headers that the check request must carry with exactly this value.
        allow: Whether it passes.
        status: The status of a denial.
        body: The body of a denial.
        add_headers: Headers added to the request (allowed) or the response (denied).
    """

    allow: bool
    path: str | None = None
    method: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 403
    body: str = ""
    add_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Authorizer:
    """The script of an external authorizer, by the name of the MeshConfig's extension provider."""

    provider: str
    rules: tuple[AuthorizerRule, ...]


@dataclass(frozen=True)
class CaseFile:
    """A whole file of cases.

    Attributes:
        path: The file.
        cases: Its cases, those of matrices included.
        workloads: Workloads that the file declares beside the manifests' own: `NAMESPACE/NAME` to (labels, service
            account, proxy and ports).
        apps: What answers in place of applications.
        authorizers: Scripts of external authorizers.
        authorities: Names of certificate authorities beside the mesh's own.
        matrices: The tables, for reports.
        mentions: The names that must exist in the mesh.
        declared_at: Where each workload of `workloads` stands.
        addresses: The stated IP addresses of pods, by workload.
        of_options: Whether it was made from options of a command line, which cannot declare anything.
    """

    path: Path
    cases: tuple[Case, ...]
    workloads: Mapping[WorkloadRef, DeclaredWorkload]
    apps: tuple[AppSpec, ...] = ()
    authorizers: tuple[Authorizer, ...] = ()
    authorities: tuple[str, ...] = ()
    matrices: tuple[Matrix, ...] = ()
    mentions: tuple[Mention, ...] = ()
    declared_at: Mapping[WorkloadRef, CasePlace] = field(default_factory=dict)
    addresses: Mapping[WorkloadRef, str] = field(default_factory=dict)
    of_options: bool = False


@dataclass(frozen=True)
class Matrix:
    """A table of cases.

    Attributes:
        name: Unique in its file.
        rows: The names of the rows, in order.
        columns: The names of the columns, in order.
        cells: (row, column) to the name of its case. A cell that asks for no case is left out.
    """

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Mention:
    """A name in a case file that must exist in the mesh.

    Attributes:
        kind: `gateway`, `workload`, `proxy` (a workload or a gateway), `app` (a workload or an external host),
            `answerer` (a workload or any host outside), `issuer` (empty where the case leaves it to the manifests),
            `authority` (of a gateway's client certificates) or `authorizer` (an extension provider).
        name: The name as written.
        place: Where it stands.
    """

    kind: Literal["gateway", "workload", "proxy", "app", "answerer", "issuer", "authority", "authorizer"]
    name: str
    place: CasePlace


@dataclass(frozen=True)
class DeclaredWorkload:
    """A workload that a case file declares, because the manifests do not hold it.

    Attributes:
        labels: The pod's labels.
        service_account: Its service account.
        proxy: `sidecar`, `gateway` or `none`.
        ports: The pod's own ports with their protocols as Istio names them, for an application without a Service.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = "default"
    proxy: Literal["sidecar", "gateway", "none"] = "sidecar"
    ports: Mapping[int, str] = field(default_factory=dict)
