"""Values of a request's dimensions: whose it is, which token it carries, which host, path and headers it names.

A dimension is a part of a request that varies on its own. Its name is one of the constants here, or `header:NAME`,
`query:NAME`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from meshlab.bench.case import TokenSpec
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.bench.case import TokenPlacement
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = [
    "ADDRESS",
    "CHANGED",
    "METHOD",
    "NAME",
    "PATH",
    "PEER",
    "TOKEN",
    "Name",
    "Peer",
    "Text",
    "Token",
    "Value",
    "as_claims",
    "header",
    "query",
]

PEER, TOKEN, NAME, METHOD, PATH, ADDRESS = "peer", "token", "name", "method", "path", "address"
CHANGED = "changed headers"
"""All headers that routes change, at once, as their names with commas; or none of them."""


def header(name: str) -> str:
    """Return the dimension of a header."""
    return f"header:{name.lower()}"


def query(name: str) -> str:
    """Return the dimension of a query parameter."""
    return f"query:{name}"


@dataclass(frozen=True)
class Text:
    """A method, a path, an address, or the value of a header or parameter.

    Attributes:
        text: The text; empty for none.
        trait: How it is spelt where that alone could matter, such as `encoded`; empty for nothing unusual.
        origin: The name of the atom whose text is spelt so.
        empty: Whether a header or parameter is sent with an empty value.
    """

    text: str
    trait: str = ""
    origin: str = ""
    empty: bool = False

    @property
    def sent(self) -> bool:
        """Whether a header or parameter is sent at all."""
        return self.empty or self.text != ""


@dataclass(frozen=True)
class Name:
    """The Host and the server name of a request.

    Attributes:
        host: The Host, with its port where it is written.
        sni: The server name; `None` for the Host's own.
        trait: As in `Text`.
        origin: As in `Text`.
    """

    host: str
    sni: str | None = None
    trait: str = ""
    origin: str = ""

    @property
    def server_name(self) -> str:
        """The server name that the client asks for."""
        return self.host.partition(":")[0].lower() if self.sni is None else self.sni


@dataclass(frozen=True)
class Peer:
    """Who connects.

    Attributes:
        mode: `open` without a certificate, as the listener's protocol has it; `plaintext` and `tls` past a sidecar;
            `mtls` with a certificate.
        identity: The URI name in the certificate; empty for none.
        authority: Who signed it.
        dns: A DNS name in the certificate.
        workload: The workload that has this identity; `None` for none.
        trait: As in `Text`.
        origin: As in `Text`.
    """

    mode: Literal["open", "plaintext", "tls", "mtls"]
    identity: str = ""
    authority: str = ""
    dns: str = ""
    workload: WorkloadRef | None = None
    trait: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Token:
    """A token, or none.

    Attributes:
        issuer: Its issuer; empty for no token at all.
        claims: Its claims, by the path of their names, without issuer and audience.
        audience: Its audience; empty for none.
        flaw: As in `TokenSpec`.
        placement: As in `TokenSpec`.
        name: As in `TokenSpec`.
        prefix: As in `TokenSpec`.
        note: How it differs from the token that a rule asks for; empty where it does not.
        trait: As in `Text`.
        origin: As in `Text`.
        further_audiences: Those beside the first (RFC 7519, section 4.1.3): a proxy takes a token for any of its
            audiences, and a policy may look at another one.
    """

    issuer: str = ""
    claims: tuple[tuple[tuple[str, ...], str | tuple[str, ...]], ...] = ()
    audience: str = ""
    flaw: str = ""
    placement: TokenPlacement = "header"
    name: str = ""
    prefix: str = "Bearer "
    note: str = ""
    trait: str = ""
    origin: str = ""
    further_audiences: tuple[str, ...] = ()

    @property
    def audiences(self) -> tuple[str, ...]:
        """All audiences."""
        return (self.audience, *self.further_audiences) if self.audience else ()

    def claim(self, path: tuple[str, ...]) -> str | tuple[str, ...] | None:
        """Return the value of a claim, `None` where it has none."""
        if path == ("iss",):
            return self.issuer
        if path == ("aud",):
            return self.audiences if self.further_audiences else self.audience or None
        return dict(self.claims).get(path)

    @property
    def subject(self) -> str:
        """The subject; empty for none."""
        found = self.claim(("sub",))
        return found if isinstance(found, str) else ""

    def spec(self) -> TokenSpec | None:
        """Return it as a case has it, `None` for no token."""
        if not self.issuer:
            return None
        audiences = list(self.audiences)
        claims: dict[str, Any] = {"aud": audiences if self.further_audiences else self.audience or None}
        for path, value in self.claims:
            _put(claims, path, list(value) if isinstance(value, tuple) else value)
        return TokenSpec(
            issuer=self.issuer,
            claims=claims,
            flaw=self.flaw,
            placement=self.placement,
            name=self.name,
            prefix=self.prefix,
        )

    @property
    def label(self) -> str:
        """The token in a few words."""
        if not self.issuer:
            return "no token"
        who = f"with sub {self.subject}" if self.subject else "without sub"
        what = (
            f"token {who}, issued by {self.issuer}"
            if self.subject != self.issuer
            else f"token of {self.issuer}"
        )
        return f"{what} ({self.note})" if self.note else what


Value = Text | Name | Peer | Token


def _put(claims: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    inner = claims
    for key in path[:-1]:
        found = inner.setdefault(key, {})
        if not isinstance(found, dict):
            return
        inner = found
    inner[path[-1]] = value


def as_claims(values: Mapping[tuple[str, ...], str | tuple[str, ...]]) -> tuple[Any, ...]:
    """Return claims in an order that does not depend on how they were collected."""
    return tuple(sorted(values.items(), key=lambda item: json.dumps(item)))
