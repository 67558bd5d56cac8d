"""Verdict on one request, and the outcome of its case."""

from __future__ import annotations

import re
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal

from meshlab.quick_dataclass import dataclass
from meshlab.visible_text import without_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.bench.case import Case
    from meshlab.bench.client.reply import Reply
    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Mismatch", "Outcome", "ReceivedByApp", "Verdict"]

# A comma that no quotes surround: a quoted subject holds commas of its own.
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')


_NAMING_CLIENTS = ("x-forwarded-for", "x-envoy-external-address")


def _with_stated(value: str, addresses: Mapping[str, str]) -> str:
    named = [part.strip() for part in value.split(",")]
    if not any(part in addresses for part in named):
        return value
    return ",".join(addresses.get(part, part) for part in named)


@dataclass(frozen=True)
class ReceivedByApp:
    """What the application received.

    Attributes:
        method: The method; empty over TCP.
        target: The request target after rewriting.
        host: The Host.
        headers: The headers in order.
        body: The beginning of the body.
        sni: The server name that the last client asked for with TLS; `none` where it spoke no TLS.
    """

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...]
    body: str
    sni: str = "none"

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ReceivedByApp:
        """Take it from a record of the echo server."""
        headers = tuple((name, value) for name, value in record["headers"])
        sni = record["tls"]["sni"] if record["tls"] else "none"
        return cls(record["method"], record["target"], record["host"], headers, record["body"], sni)

    def from_stated(self, addresses: Mapping[str, str]) -> ReceivedByApp:
        """Return it with the addresses of the cluster in the headers that name clients.

        Args:
            addresses: A loopback address that a pod connects from, to the pod's own address.
        """
        return replace(
            self,
            headers=tuple(
                (name, _with_stated(value, addresses) if name.lower() in _NAMING_CLIENTS else value)
                for name, value in self.headers
            ),
        )

    def values(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def identity(self) -> str:
        """The SPIFFE id of the last mTLS client, from `x-forwarded-client-cert`; empty for none."""
        certificates = _COMMA.split(",".join(self.values("x-forwarded-client-cert")))
        parts = certificates[-1].split(";")
        return next((part[4:] for part in parts if part.startswith("URI=")), "")


@dataclass(frozen=True)
class Verdict:
    """The outcome of one request.

    Attributes:
        reply: What came back to the client.
        hops: The proxies on the way, in order.
        app: The workload (`NAMESPACE/NAME`) or external host whose application gave the answer; `None` for none.
        version: The version label of that workload.
        subset: The subset that the last proxy chose.
        proxy: The workload whose proxy gave the answer or ended the connection; `None` where an application did.
        reason: Why, in words.
        received: What the application received; `None` where it received nothing or does not record it.
        missing: Where evidence is missing, in words. Such a verdict names neither an application nor a proxy.
    """

    reply: Reply
    hops: tuple[Hop, ...] = ()
    app: str | None = None
    version: str = ""
    subset: str = ""
    proxy: WorkloadRef | None = None
    reason: str = ""
    received: ReceivedByApp | None = None
    missing: str = ""

    @property
    def decisive(self) -> Hop | None:
        """The hop of the proxy that gave the answer or ended the connection."""
        return next(
            (hop for hop in reversed(self.hops) if hop.workload == self.proxy and not hop.passed_on), None
        )

    @property
    def answered(self) -> bool:
        """Whether an answer came back that counts: bytes of a proxy are none, unless they are an HTTP response.

        A proxy for HTTP answers a client of TCP, whose bytes it does not understand, with a text for HTTP.
        """
        return self.reply.answered and (self.reply.status is not None or self.proxy is None)

    @property
    def summary(self) -> str:
        """The verdict in a few words, such as `403 by the proxy of shop/cart: no ALLOW policy matched`."""
        ending = "answered" if self.answered else "refused"
        what = ending if self.reply.status is None else str(self.reply.status)
        who = self._who
        why = self.reason or self.reply.failure
        return f"{what}{f' by {who}' if who else ''}{f': {why}' if why else ''}"

    @property
    def _who(self) -> str:
        if self.app:
            return f"the application of {self.app}{f' ({self.version})' if self.version else ''}"
        return f"the proxy of {self.proxy}" if self.proxy else ""


@dataclass(frozen=True)
class Mismatch:
    """One part of an expectation that is not met.

    Attributes:
        part: The key in the case file, such as `status` or `received.path`.
        expected: In words.
        got: In words.
    """

    part: str
    expected: str
    got: str

    def __str__(self) -> str:
        """Return `status: expected 200, got 403 by …`, without any token."""
        return without_tokens(f"{self.part}: expected {self.expected}, got {self.got}")


@dataclass(frozen=True)
class Outcome:
    """The result of one case.

    Attributes:
        case: The case.
        state: `passed`; `failed`; `not judged`, because a proxy on the way is untrusted; `error`, because the case
            could not be run, or a proxy on the way does not run; `seen` for a case without an expectation.
        verdict: The outcome of the request; `None` with `error`.
        mismatches: What differs from the expectation.
        reasons: Why the case is not judged, or why it could not be run.
        duration_s: Seconds that it took.
    """

    case: Case
    state: Literal["passed", "failed", "not judged", "error", "seen"]
    verdict: Verdict | None = None
    mismatches: tuple[Mismatch, ...] = ()
    reasons: tuple[str, ...] = field(default=())
    duration_s: float = 0.0
