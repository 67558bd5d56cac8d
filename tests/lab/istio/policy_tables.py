"""Tables of requests and their verdicts, as the YAML files under `tables/` have them.

A file is a list of tables. A table has a `title`, `policies`, and `rows`; further it may have `mesh` (a MeshConfig),
`gateway: true`, `http_ports`, `tcp_ports`, `labels` of the workload, and `tokens` (name to claims).

A row is `[caller, request, verdict]`, or has a mapping behind that with more of the request (`headers`, `token`,
`host`, `sni`, `port`) and of what must have passed the filters (`seen`). A request is `METHOD target`, or `TCP` for a
connection; `{name}` in a target stands for the token of that name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from meshlab.bench.signing_keys import SigningKey
from meshlab.istio.read.mesh_config import read_mesh_settings
from meshlab.manifest import to_manifest

from tests import yaml_text
from tests.lab.istio.one_proxy import PolicySet, Request, Workload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.lab.istio.one_proxy import Answer, OneProxy

CALLERS = {
    "plaintext": "",
    "door": "spiffe://cluster.local/ns/edge/sa/door",
    "friend": "spiffe://cluster.local/ns/shop/sa/friend",
    "stranger": "spiffe://cluster.local/ns/other/sa/stranger",
    "partner": "spiffe://partner.example/ns/shop/sa/friend",
    "old-friend": "spiffe://old.example/ns/shop/sa/friend",
}
"""The callers of the tables, and their identities."""

STATUS = {"allowed": 200, "denied": 403, "unauthorized": 401}
_ISSUERS = ("one.example", "two.example")
_LIFETIME_S = 600


@dataclass(frozen=True)
class Row:
    """One request and its verdict."""

    caller: str
    request: str
    verdict: str | int
    more: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The row as the file has it."""
        return f"[{self.caller}, {self.request}, {self.verdict}, {dict(self.more)}]"


@dataclass(frozen=True)
class Table:
    """Some policies and the requests that they judge."""

    title: str
    policies: PolicySet
    rows: Sequence[Row]
    tokens: Mapping[str, str]

    def mistakes(self, proxy: OneProxy, index: int) -> list[str]:
        """Send every request and describe those that met another verdict."""
        found = []
        for row in self.rows:
            met = self._met(proxy, index, row)
            if met:
                found.append(f"{row}: {met}")
        return found

    def _met(self, proxy: OneProxy, index: int, row: Row) -> str:
        port = row.more.get("port", self.policies.http_ports[0] if self.policies.http_ports else 0)
        if row.request == "TCP":
            port = row.more.get("port", self.policies.tcp_ports[0])
            carried = proxy.connect(index, CALLERS[row.caller], port)
            return "" if carried == (row.verdict == "allowed") else f"carried bytes: {carried}"
        answer = proxy.send(index, self._request(row), port)
        wanted = STATUS.get(str(row.verdict), row.verdict)
        if answer.status != wanted:
            return f"status {answer.status}, {answer.body!r}"
        if row.verdict == "denied" and answer.body not in ("RBAC: access denied", ""):
            return f"denied by something else: {answer.body!r}"  # an authorizer denies without a body
        return _unseen(answer, {key: self._filled(value) for key, value in row.more.get("seen", {}).items()})

    def _request(self, row: Row) -> Request:
        method, _, target = row.request.partition(" ")
        headers = [(name, self._filled(value)) for name, value in row.more.get("headers", {}).items()]
        if "token" in row.more:
            headers.append(("authorization", f"Bearer {self.tokens[row.more['token']]}"))
        return Request(
            target=self._filled(target),
            method=method,
            caller=CALLERS[row.caller],
            headers=tuple(headers),
            host=row.more.get("host", "cart.shop"),
            sni=row.more.get("sni", ""),
        )

    def _filled(self, text: str) -> str:
        for name, token in self.tokens.items():
            text = text.replace(f"{{{name}}}", token)
        return text


def read_tables(folder: Path, authorizers: Mapping[str, tuple[str, int]]) -> list[Table]:
    """Read every table of a folder, with keys of its own for each issuer."""
    keys = {issuer: SigningKey.generate() for issuer in _ISSUERS}
    return [
        _table(written, keys, authorizers)
        for path in sorted(folder.glob("*.yaml"))
        for written in yaml_text.read(path.read_text())
    ]


def titles(folder: Path) -> list[str]:
    """Name the tables of a folder, in the order of `read_tables`."""
    return [
        written["title"]
        for path in sorted(folder.glob("*.yaml"))
        for written in yaml_text.read(path.read_text())
    ]


def _table(
    written: dict[str, Any], keys: Mapping[str, SigningKey], authorizers: Mapping[str, tuple[str, int]]
) -> Table:
    manifests = [_manifest(policy, index) for index, policy in enumerate(written["policies"])]
    settings = read_mesh_settings(written.get("mesh", {}), written["title"])
    policies = PolicySet(
        manifests=manifests,
        settings=settings,
        workload=Workload(labels=written.get("labels", {"app": "cart"})),
        at_gateway=written.get("gateway", False),
        http_ports=tuple(written.get("http_ports", (8080,))),
        tcp_ports=tuple(written.get("tcp_ports", ())),
        keys={issuer: key.jwks for issuer, key in keys.items()},
        authorizers={name: at for name, at in authorizers.items() if name in settings.extension_providers},
    )
    tokens = {name: _token(claims, keys) for name, claims in written.get("tokens", {}).items()}
    return Table(written["title"], policies, [Row(*row) for row in written["rows"]], tokens)


def _manifest(policy: dict[str, Any], index: int) -> Any:  # noqa: ANN401 - a Manifest
    metadata = {"name": f"p{index}", "namespace": "shop", **policy.get("metadata", {})}
    body = {"apiVersion": "security.istio.io/v1", **policy, "metadata": metadata}
    return to_manifest(body, f"policy {index}")


def _token(claims: dict[str, Any], keys: Mapping[str, SigningKey]) -> str:
    now = int(time.time())
    made = {"iat": now, "exp": now + _LIFETIME_S, **claims}
    signer = keys.get(claims["iss"]) or SigningKey.generate()
    if made.pop("signed by a stranger", False):
        signer = SigningKey.generate()
    if made.pop("expired", False):
        made["exp"] = now - _LIFETIME_S
    return jwt.encode(made, signer.private, algorithm="ES256", headers={"kid": signer.kid})


def _unseen(answer: Answer, wanted: Mapping[str, str]) -> str:
    """Describe what did not pass the filters as it should have; an empty text stands for no such header."""
    return "; ".join(
        f"{name} was {answer.seen.get(name)!r}"
        for name, value in wanted.items()
        if (answer.seen.get(name) or "") != value
    )
