"""The words of the case format and the shapes of its texts; the reader and the JSON schema both use them.

The regular expressions keep to what Python and ECMA-262 read alike.
"""

from __future__ import annotations

__all__ = [
    "APP",
    "APP_WORDS",
    "AUTHORITIES",
    "AUTHORITY",
    "AUTHORIZER_WORDS",
    "BYPASS_MODES",
    "CALLER_KINDS",
    "CASE_WORDS",
    "CERTIFICATE_WORDS",
    "DEFAULTS_WORDS",
    "EXPECT_WORDS",
    "FILE_WORDS",
    "HEADER",
    "HOST_PORT",
    "HTTP_VERSIONS",
    "HTTP_WORDS",
    "IP",
    "LINE",
    "MATRIX_WORDS",
    "METHOD",
    "MISNOMERS",
    "NONE",
    "NO_CASE",
    "PLACEMENTS",
    "POLICY",
    "PROTOCOLS",
    "PROXY_KINDS",
    "RECEIVED_OF_CONNECTIONS",
    "RECEIVED_WORDS",
    "REF",
    "SHORT_EXPECT",
    "SHORT_REQUEST",
    "SPIFFE",
    "TCP_WORDS",
    "TLS_WORDS",
    "TOKEN_WORDS",
    "URL",
    "WORKLOAD_WORDS",
]

FILE_WORDS = (
    "workloads", "addresses", "apps", "authorizers", "authorities", "tokens", "callers", "defaults", "cases", "matrix",
)  # fmt: skip
WORKLOAD_WORDS = ("serviceAccount", "labels", "proxy", "ports")
APP_WORDS = ("status", "headers", "body", "command", "certificate")
AUTHORIZER_WORDS = ("allow", "path", "method", "headers", "status", "body", "addHeaders")
TOKEN_WORDS = ("use", "issuer", "claims", "flaw", "in", "name", "prefix", "literal")
CERTIFICATE_WORDS = ("authority", "uris", "dns")
DEFAULTS_WORDS = ("from", "token", "request")
CASE_WORDS = ("name", "from", "token", "request", "expect")
MATRIX_WORDS = ("name", "from", "token", "request", "columns", "rows", "expect")
HTTP_WORDS = ("method", "url", "headers", "body", "http", "target", "sni")
TCP_WORDS = ("tcp", "send")
TLS_WORDS = ("tls", "sni", "send")
EXPECT_WORDS = (
    "status", "refused", "answered", "app", "proxy", "subset", "policy", "rule", "says", "headers", "received",
    "certificate",
)  # fmt: skip
RECEIVED_WORDS = ("method", "path", "host", "headers", "identity", "sni")
RECEIVED_OF_CONNECTIONS = ("identity", "sni")
"""What an application can be asked of a request that is not HTTP."""

MISNOMERS = {
    "mtls": "; a client past its sidecar has `mode: mtls` in its `bypass`, and `received: {identity: ...}` expects what"
    " certificate arrived, `none` for none",
}
"""Words that say something which other words are for."""

CALLER_KINDS = {
    "outside": ("address", "certificate"),
    "workload": (),
    "bypass": ("to", "port", "mode", "address"),
    "mesh": ("authority", "to", "port", "address"),
}
"""The word that says what a caller is, to the further words that it takes."""

NONE = "none"
AUTHORITIES = ("mesh", "gateways", "internet")
"""The certificate authorities that every run has."""
NO_CASE = "-"
BYPASS_MODES = ("plaintext", "tls", "mtls")
PLACEMENTS = ("header", "query", "cookie")
PROXY_KINDS = ("sidecar", "gateway", "none")
HTTP_VERSIONS = ("1.1", "2")
PROTOCOLS = ("http", "http2", "https", "grpc", "grpc-web", "tcp", "tls", "mongo", "mysql", "redis")
"""Protocols as Istio names them in port names, lower case."""

_LABEL = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_REF = f"{_LABEL}/{_LABEL}"
_DOTTED = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)+"
_APP = rf"({_REF}|(\*\.)?{_DOTTED})"
_TCHAR = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
_URL = rf"https?://{_HOST}(:[0-9]+)?([/?#][^\s]*)?"

LINE = r"^[^\n\r]*[^\s][^\n\r]*$"
"""One line of text that is not blank."""
REF = f"^{_REF}$"
"""`NAMESPACE/NAME`, both as Kubernetes names things."""
APP = f"^{_APP}$"
"""`NAMESPACE/NAME`, or a host with a dot, which a ServiceEntry may list with a wildcard."""
POLICY = f"^({_REF}|{NONE})$"
AUTHORITY = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
METHOD = f"^{_TCHAR}$"
HEADER = f"^{_TCHAR}$"
URL = f"^{_URL}$"
HOST_PORT = rf"^{_HOST}:[0-9]+$"
IP = "^[0-9A-Fa-f.:]+$"
SPIFFE = r"^spiffe://[^\s/]+/[^\s]+$"
SHORT_REQUEST = f"^({_TCHAR} +)?{_URL}$"
SHORT_EXPECT = (
    "^([1-5][0-9][0-9]"
    f"|[1-5][0-9][0-9] +(app +{_APP}|proxy +{_REF})"
    f"|2[0-9][0-9] +{_APP}"
    f"|[45][0-9][0-9] +{_REF}"
    f"|refused( +(proxy +)?{_REF})?"
    f"|answered( +(app +)?{_APP})?)$"
)
