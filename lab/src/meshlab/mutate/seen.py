"""What one proxy saw of a request on the mesh without a change, as far as it is sure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import HttpRequest
from meshlab.bench.verdicts.chance import host_of
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["PRINCIPALS", "Seen"]

PRINCIPALS = "requestPrincipals"


@dataclass(frozen=True)
class Seen:
    """What one proxy saw of a request on the mesh without a change.

    Attributes:
        proxy: The workload whose proxy it is.
        method: The method; empty where it saw no HTTP.
        host: The Host without its port, in lower case; empty where it saw no HTTP, or where that is not sure.
        principal: Issuer and subject of its token; empty for no token, `None` where that is not sure.
        denied: Whether a policy of this proxy refused it; without HTTP, whether the proxy refused it for any reason.
            `None` where that is not sure.
        route: The name of the route that took it; empty for none.
        token: What its token says where that is sure: keys of conditions, each with a value.
    """

    proxy: WorkloadRef
    method: str
    host: str
    principal: str | None
    denied: bool | None
    route: str = ""
    token: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(
        cls,
        hop: Hop,
        case: Case,
        audiences: Mapping[str, Sequence[str]] = MappingProxyType({}),
        *,
        before: Hop | None = None,
        judged: bool = True,
    ) -> Seen:
        """Return what the proxy of a hop saw of a case.

        Args:
            hop: The proxy with what it logged.
            case: The case.
            audiences: The audiences that each issuer's rules name; a token has the first where the case names none.
            before: The hop before it; `None` for the first one.
            judged: Whether the verdict on the case is known.
        """
        if not judged:
            # What the proxy decided may be wrong, and with it what its line says of the way.
            return cls(hop.workload, "", "", None, denied=None)
        is_http = hop.line.scope == "http"
        # A route may write another Host, and its proxy then logs that one. So the proxy before says what comes here.
        authority = before.line.authority if before and before.line.scope == "http" else host_of(case) or ""
        host = authority.rpartition(":")[0] or authority
        claims = _sure_claims(case, audiences) if is_http else None
        return cls(
            hop.workload,
            hop.line.method if is_http else "",
            host.lower() if is_http else "",
            _principal(case, claims) if is_http else None,
            denied=hop.policy is not None if is_http else not hop.passed_on,
            route=hop.line.route if is_http else "",
            token=_said(claims or {}),
        )


def _principal(case: Case, claims: Mapping[str, Any] | None) -> str | None:
    request = case.request
    if not case.tokens and isinstance(request, HttpRequest):
        # A header or the query may hold a token that is written out.
        written = request.headers or "?" in request.url or "?" in (request.target or "")
        return None if written else ""
    return dict(_said(claims)).get(PRINCIPALS) if claims else None


def _sure_claims(case: Case, audiences: Mapping[str, Sequence[str]]) -> Mapping[str, Any] | None:
    """Return the claims of a case's only token; `None` where they are not sure."""
    if len(case.tokens) != 1 or not isinstance(case.request, HttpRequest):
        return None
    (token,) = case.tokens
    if token.literal is not None or token.flaw:
        return None
    issuer = next(iter(audiences)) if token.issuer is None and len(audiences) == 1 else token.issuer
    if issuer is None:
        return None
    defaults = {"aud": audiences[issuer][0]} if audiences.get(issuer) else {}
    return {"iss": issuer, **defaults, **token.claims}


def _said(claims: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Return what claims say to the conditions of policies, where each has one value."""
    # Envoy takes a claim with a space for several values.
    plain = {name: value for name, value in claims.items() if isinstance(value, str) and " " not in value}
    found = {(f"request.auth.claims[{name}]", value) for name, value in plain.items()}
    if "aud" in plain:
        found.add(("request.auth.audiences", plain["aud"]))
    # A pattern is parted at its last slash, so with another one in the subject the text alone decides nothing.
    if "iss" in plain and "/" not in plain.get("sub", "/"):
        found.add((PRINCIPALS, f"{plain['iss']}/{plain['sub']}"))
    return frozenset(found)
