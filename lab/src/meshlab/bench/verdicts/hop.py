"""One proxy on a request's way, and what it decided."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.bench.evidence.condition_probes import condition_results
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.evidence.condition_probes import ConditionKey
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.bench.mesh_addresses import Direction
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Hop", "MatchedPolicy", "tls_failure"]

_POLICY = re.compile(r"ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]")
_DENIED = re.compile(r"rbac_access_denied_matched_policy\[(.*)\]")
_JWT = re.compile(r"jwt_authn_access_denied\{(.*)\}")
_NOT_CONNECTED = re.compile(r"(?:delayed|immediate)[_ ]connect[_ ]error:[_ ]*(.+)")
"""What Envoy says where it got no connection at all, such as `delayed_connect_error:_Connection_refused`."""
_OF_THE_INSPECTOR = "TLS_error|"
"""How the TLS inspector begins what it reports. A failed handshake is `TLS_error:|...`."""
_ASKED_FOR = "istio_ext_authz_shadow_effective_policy_id"
"""Where the metadata names the rule for which an external authorizer is asked."""
_FLAGS = {
    "DC": "the client closed the connection",
    "DPE": "the client's request is malformed",
    "LR": "the proxy reset the connection",
    "NC": "the route's cluster does not exist",
    "NR": "no route or filter chain matches",
    "RL": "rate limited",
    "UAEX": "the external authorizer denied it",
    "UC": "the upstream closed the connection",
    "UF": "the connection to the upstream failed",
    "UH": "the cluster has no healthy endpoint",
    "UO": "the upstream's connection pool is full",
    "UPE": "the upstream's response is malformed",
    "UR": "the upstream reset the stream",
    "URX": "the retries are used up",
    "UT": "the upstream did not answer in time",
}


@dataclass(frozen=True)
class MatchedPolicy:
    """The AuthorizationPolicy that decided.

    Attributes:
        name: `NAMESPACE/NAME`; `none` where no ALLOW rule matched.
        rule: The index of the rule, from 0; `None` with `none`.
    """

    name: str
    rule: int | None

    def __str__(self) -> str:
        """Return the form for a report."""
        if self.rule is None:
            return "no ALLOW policy matched"
        return f"denied by AuthorizationPolicy {self.name}, rule {self.rule}"


@dataclass(frozen=True)
class Hop:
    """One proxy on the way.

    Attributes:
        workload: The workload whose proxy it is.
        direction: Which side of the proxy.
        port: The targetPort (`inbound`), the listener's port (`gateway`) or the destination's port (`outbound`).
        line: What the proxy logged. A connection that no filter chain took has a `connection` line only.
        upstream_name: What the proxy connected to, such as `application orders/orders`; empty for nothing.
    """

    workload: WorkloadRef
    direction: Direction
    port: int
    line: EvidenceLine
    upstream_name: str = ""

    @property
    def host(self) -> str:
        """The host asked for: the Host header, the server name or the destination's address."""
        return self.line.authority or self.line.sni or self.line.destination.rpartition(":")[0]

    @property
    def conditions(self) -> dict[ConditionKey, bool]:
        """Which rules and conditions of policies Envoy says matched; empty without probes of conditions."""
        return condition_results(self.line.rbac)

    @property
    def passed_on(self) -> bool:
        """Whether the proxy passed on what came back from the upstream, rather than answering or refusing itself."""
        if self.line.scope == "http":
            return self.line.details == "via_upstream"
        return bool(self.line.upstream) and not self._refusal

    @property
    def policy(self) -> MatchedPolicy | None:
        """The AuthorizationPolicy that refused it."""
        for text in (self.line.details, self.line.termination):
            if denied := _DENIED.search(text):
                found = _POLICY.search(denied[1])
                return _matched(found) if found else MatchedPolicy("none", None)
        asked_for = str(self.line.rbac.get(_ASKED_FOR, "")) if self.line.details == "ext_authz_denied" else ""
        return _matched(found) if (found := _POLICY.search(asked_for)) else None

    @property
    def jwt_failure(self) -> str:
        """Why a token was refused, in Envoy's words; empty where none was."""
        found = _JWT.search(self.line.details)
        return found[1].replace("_", " ") if found else ""

    @property
    def dry_run(self) -> tuple[str, ...]:
        """What policies in dry-run would have decided, such as `DENY in dry-run: denied by shop/closed, rule 0`.

        The names are those of `pilot/pkg/security/authz/model/model.go` with Envoy's suffixes.
        """
        results = []
        for action in ("deny", "allow"):
            prefix = f"istio_dry_run_{action}_shadow_"
            if result := self.line.rbac.get(f"{prefix}engine_result"):
                found = _POLICY.search(str(self.line.rbac.get(f"{prefix}effective_policy_id", "")))
                by = f" by {found[1]}/{found[2]}, rule {found[3]}" if found else ""
                results.append(f"{action.upper()} in dry-run: {result}{by}")
        return tuple(results)

    @property
    def client_tls_failure(self) -> str:
        """Why TLS with the client failed, in Envoy's words; empty where it did not.

        Envoy's TLS inspector reports in the same place that a client speaks no TLS. That is a failure only where no
        filter chain takes plaintext.
        """
        failure = self.line.downstream_failure
        speaks_no_tls = (
            failure.startswith(_OF_THE_INSPECTOR) and self.line.details != "filter_chain_not_found"
        )
        return "" if speaks_no_tls or _is_client_end(failure) else failure

    @property
    def verifies_upstream(self) -> bool:
        """Whether the proxy itself broke off the connection to the upstream, whose certificate it did not accept."""
        return "CERTIFICATE_VERIFY_FAILED" in self.line.upstream_failure

    @property
    def refused_by_upstream(self) -> bool:
        """Whether the upstream ended the TLS handshake with an alert, as a server does that wants a certificate."""
        return "_ALERT_" in self.line.upstream_failure

    @property
    def reason(self) -> str:
        """What the proxy decided, in words; empty where it passed the request on."""
        return "" if self.passed_on else self._refusal

    @property
    def summary(self) -> str:
        """The hop in one line."""
        what = self.reason or (f"passed on to {self.upstream_name}" if self.upstream_name else "passed on")
        status = f"{self.line.status} " if self.line.status else ""
        return f"{self.workload} {self.direction} {self.port}: {status}{what}"

    @property
    def _refusal(self) -> str:
        line = self.line
        words = []
        if self.policy:
            words.append(str(self.policy))
        if self.jwt_failure:
            words.append(f"token refused: {self.jwt_failure}")
        if failure := self.client_tls_failure:
            words.append(f"TLS with the client failed: {tls_failure(failure)}")
        if failed := _NOT_CONNECTED.search(line.upstream_failure):
            words.append(f"the connection to the upstream failed: {failed[1].replace('_', ' ').lower()}")
        elif line.upstream_failure:
            who = f", by {self.upstream_name}" if self.refused_by_upstream and self.upstream_name else ""
            words.append(f"TLS with the upstream failed: {tls_failure(line.upstream_failure)}{who}")
        if line.details == "filter_chain_not_found":
            words.append("no filter chain takes the connection (filter_chain_not_found)")
        if not words and line.cluster == "BlackHoleCluster":
            words.append("no Service or ServiceEntry that the proxy sees has this address (BlackHoleCluster)")
        if not words and line.details == "direct_response" and line.route == "block_all":
            words.append("no Service or ServiceEntry that the proxy sees has this host (block_all)")
        if not words:
            flags = [
                flag for flag in line.flags.split(",") if flag and not (flag == "DC" and line.scope != "http")
            ]
            words += [_FLAGS.get(flag, f"response flag {flag}") for flag in flags]
            if line.details not in ("", "via_upstream"):
                words.append(line.details)
            if not words and not line.upstream and line.local_close:
                words.append(line.local_close.replace("_", " "))
        return "; ".join(words)


def _matched(found: re.Match[str]) -> MatchedPolicy:
    return MatchedPolicy(f"{found[1]}/{found[2]}", int(found[3]))


def _is_client_end(failure: str) -> bool:
    """Return whether Envoy reports only that the other end closed the connection, as the bench does after an answer.

    BoringSSL puts the system's errors, such as `Connection reset by peer`, into a library of their own.
    """
    return "system_library" in failure and len(re.findall("OPENSSL_internal:", failure)) == 1


def tls_failure(failure: str) -> str:
    """Return in words what `TLS_error:|...:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE` of Envoy means."""
    failure = failure.replace(":TLS_error_end", "")
    reasons = re.findall(r"OPENSSL_internal:([A-Za-z0-9_]+)", failure)
    extra = re.findall(r"verify_cert_failed:_?([^|]+)|(SAN_matcher|[Vv]erification[^|:]*)", failure)
    details = [next(part for part in parts if part) for parts in extra]
    words = [text.replace("_", " ").lower() for text in (*dict.fromkeys(reasons), *details)]
    return ", ".join(words) if words else failure.replace("_", " ")
