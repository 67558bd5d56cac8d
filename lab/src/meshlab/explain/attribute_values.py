"""Values that a proxy saw, for the attributes that conditions of policies name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshlab.bench.evidence.condition_probes import SECRET_HEADERS, missing_key, seen_key
from meshlab.explain.manifest_places import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.bench.verdicts.hop import Hop

__all__ = ["SeenValues"]

NO_PEER = "no client certificate"
NO_TOKEN = "no verified token"  # noqa: S105 - words
_PEER = ("principals", "namespaces", "serviceAccounts", "trustDomains")
_CLAIMS = "request.auth.claims"


class SeenValues:
    """What one proxy saw of a request.

    Args:
        hop: The proxy.
        stated: A loopback address that a pod connects from, to the pod's own address.
        own_address: The stated address of the proxy's own pod; empty where it is not stated.
        token_headers: Headers in small letters that hold tokens; their values are not shown.
    """

    def __init__(
        self,
        hop: Hop,
        stated: Mapping[str, str],
        own_address: str = "",
        token_headers: frozenset[str] = frozenset(),
    ) -> None:
        self._hop = hop
        self._stated = stated
        self._own_address = own_address
        self._secret = SECRET_HEADERS | token_headers

    @property
    def peer(self) -> str:
        """The identity of the connection's other end as policies write it; empty without one."""
        return self._hop.line.peer.partition(",")[0].removeprefix("spiffe://")

    @property
    def request_principal(self) -> str:
        """Issuer and subject of the verified token; empty without both."""
        issuer, subject = self._claim(("iss",)), self._claim(("sub",))
        return f"{issuer}/{subject}" if issuer and subject else ""

    def value(self, attribute: str, stage: int = 0) -> str | None:
        """Return what the proxy saw of an attribute; `None` where the request does not have it.

        Args:
            attribute: A field of `source` or `operation`, or a key of `when`.
            stage: The stage of the policies, see `bench.evidence.condition_probes`.
        """
        line = self._hop.line
        match attribute:
            case _ if attribute in _PEER or (attribute.startswith("source.") and attribute != "source.ip"):
                return self.peer or None
            case "requestPrincipals" | "request.auth.principal":
                return self.request_principal or None
            case "request.auth.audiences":
                return self._claim_text(("aud",))
            case "request.auth.presenter":
                return self._claim_text(("azp",))
            case "ipBlocks" | "source.ip":
                return self._address(line.client)
            case "remoteIpBlocks" | "remote.ip":
                return self._address(line.source)
            case "destination.ip":
                return self._own_address or None
            case "hosts":
                return self._header(":authority", stage) or line.authority or None
            case "methods":
                return self._header(":method", stage) or line.method or None
            case "paths":
                path = self._header(":path", stage) or line.path
                return path.partition("?")[0].partition("#")[0] or None
            case "ports" | "destination.port":
                return str(self._hop.port)
            case "connection.sni":
                return line.sni or None
        if attribute.startswith(_CLAIMS):
            return self._claim_text(_brackets(attribute.removeprefix(_CLAIMS)))
        if attribute.startswith("request.headers"):
            (name,) = _brackets(attribute.removeprefix("request.headers"))[:1] or ("",)
            return self._header(name, stage)
        return None

    def words(self, attribute: str, stage: int = 0) -> str:
        """Return what the proxy saw, quoted as JSON; in words where there is nothing or where it is secret."""
        if attribute.startswith("request.headers") and self._is_secret(attribute):
            return "a header that is not shown"
        value = self.value(attribute, stage)
        if value is None and attribute.startswith("request.headers"):
            return self._no_header(attribute, stage)
        if value is not None:
            return json.dumps(safe(value), ensure_ascii=False)
        if attribute in _PEER or attribute.startswith("source."):
            return NO_PEER
        if attribute == "requestPrincipals" or attribute.startswith("request.auth."):
            return NO_TOKEN if not self._hop.line.claims else "a verified token without it"
        if attribute.startswith("experimental."):
            return "metadata that is not shown"
        if attribute == "destination.ip":
            return "an address that is not stated"
        return "none"

    def _no_header(self, attribute: str, stage: int) -> str:
        (name,) = _brackets(attribute.removeprefix("request.headers"))[:1] or ("",)
        seen = self._hop.line.seen_headers
        if not any(key.startswith(seen_key(stage, "")) for key in seen):
            return "not seen"
        is_missing = missing_key(stage, name) in seen
        return "none" if is_missing else "an empty value, or one of more than 8 KiB"

    def _is_secret(self, attribute: str) -> bool:
        names = _brackets(attribute.removeprefix("request.headers"))
        return bool(names) and names[0].lower() in self._secret

    def _header(self, name: str, stage: int) -> str | None:
        if name.lower() in self._secret:
            return None
        return self._hop.line.seen_headers.get(seen_key(stage, name))

    def _claim(self, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any value of a token
        value: Any = self._hop.line.claims
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def _claim_text(self, path: tuple[str, ...]) -> str | None:
        value = self._claim(path)
        if value is None:
            return None
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _address(self, address: str) -> str:
        host = address.rpartition(":")[0].strip("[]")
        return self._stated.get(host, host)


def _brackets(text: str) -> tuple[str, ...]:
    return tuple(text.removeprefix("[").removesuffix("]").split("]["))
