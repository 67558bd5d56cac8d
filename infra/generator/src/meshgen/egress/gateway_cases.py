"""Cases of clients that go around their sidecar, and of a workload that belongs to no team."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.egress.clients import OUTSIDER, STRANGER, account_of, client_of, unnamed_client_of
from meshgen.egress.probe import UNKNOWN_HOST, Case, Request, case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshgen.egress.probe import Probe
    from meshgen.egress.teams import Team

__all__ = ["around_the_sidecar", "other_team", "outsider"]

_HTTP_PORT = 80
_OTHER_DOMAIN, _OWN_DOMAIN = "other.example", "cluster.local"


def around_the_sidecar(probe: Probe) -> Iterator[Case]:
    """Yield what the gateway does with clients that connect to it themselves."""
    there = probe.at_gateway()
    own = probe.bypass(probe.client, "mtls")
    plaintext, tls = (probe.bypass(probe.client, mode) for mode in ("plaintext", "tls"))
    senders: list[tuple[str, Case, Request, Case]] = [
        ("around the sidecar, the same is allowed", own, there, probe.answered),
        ("plaintext to the gateway", plaintext, _plain(there), probe.no_connection),
        ("TLS without a certificate to the gateway", tls, there, probe.no_connection),
        (
            "a workload of no team, at the gateway",
            probe.bypass(OUTSIDER, "mtls"),
            there,
            probe.refused_by_policy,
        ),
        (
            "the team's name in another trust domain",
            _foreign(probe, _OTHER_DOMAIN, "mesh"),
            there,
            probe.refused_by_policy,
        ),
        (
            "a namespace whose name begins with the team's",
            _foreign(probe, _OWN_DOMAIN, "mesh", f"{probe.team.namespace}-near-miss"),
            there,
            probe.refused_by_policy,
        ),
        (
            "the team's identity, signed by a stranger",
            _foreign(probe, _OWN_DOMAIN, STRANGER),
            there,
            probe.no_connection,
        ),
        ("another server name at the gateway", own, _with_server_name(probe), probe.no_connection),
    ]
    if probe.originated:
        senders += [
            (what, own, _with_host(probe, host), probe.refused_by_policy)
            for what, host in (
                ("another host, at the gateway", UNKNOWN_HOST),
                ("another host that begins with it, at the gateway", f"{probe.host}.{UNKNOWN_HOST}"),
                ("another host that ends with it, at the gateway", f"near-miss-{probe.host}"),
                ("another port that begins with its port, at the gateway", f"{probe.host}:{_HTTP_PORT}80"),
                ("another host and its port, at the gateway", f"near-miss-{probe.host}:{_HTTP_PORT}"),
            )
        ]
    else:
        # A known gap: the gateway reads nothing of what it passes on.
        unencrypted = {"status": 200, "app": probe.host, "received": {"sni": "none"}}
        name = "around the sidecar, what is passed through need not be TLS"
        senders.append((name, own, f"GET https://{probe.host}/", unencrypted))
    if probe.access.service_accounts:
        other = probe.bypass(unnamed_client_of(probe.team), "mtls")
        senders.append(("another service account", other, there, probe.refused_by_policy))
    for what, sender, request, expect in senders:
        yield case(f"{probe.host}: {what}", request, expect, sender)


def outsider(probe: Probe) -> Iterator[Case]:
    """Yield what the sidecar of a workload of no team does, which no Sidecar object restricts."""
    own = {"proxy": OUTSIDER}
    yield case(
        f"{probe.host}: a workload of no team, by its own sidecar",
        probe.request,
        {**probe.unknown, **own},
        "outsider",
    )
    if probe.originated:
        yield case(
            f"{probe.host}: a workload of no team, by its own sidecar over TLS",
            {"tls": f"{probe.host}:{probe.access.port}"},
            {"refused": True, **own},
            "outsider",
        )


def other_team(probe: Probe, other: Team) -> Iterator[Case]:
    """Yield what refuses a team that may not reach the host: its own sidecar, and the gateway."""
    if other.access(probe.host):
        return
    client = client_of(other)
    yield case(
        f"{probe.host}: {other.namespace} is refused by its own sidecar",
        probe.request,
        {**probe.unknown, "proxy": client},
        {"workload": client},
    )
    yield case(
        f"{probe.host}: {other.namespace} is refused by the gateway",
        probe.at_gateway(),
        probe.refused_by_policy,
        probe.bypass(client, "mtls"),
    )


def _foreign(probe: Probe, domain: str, authority: str, namespace: str = "") -> Case:
    identity = f"spiffe://{domain}/ns/{namespace or probe.team.namespace}/sa/{account_of(probe.team)}"
    return {"mesh": identity, "authority": authority, **probe.gateway_pod()}


def _with_host(probe: Probe, host: str) -> Request:
    """Return the allowed request with the server name of the host and another Host header."""
    method, path = probe.allowed
    return {"method": method, "url": f"https://{probe.host}{path}", "headers": {"host": host}}


def _with_server_name(probe: Probe) -> Request:
    """Return the allowed request with another server name in TLS."""
    if not probe.originated:
        return {"tls": f"{UNKNOWN_HOST}:443"}
    # A request, since the gateway would answer bytes of another protocol with an error, which is a refusal as well.
    method, path = probe.allowed
    return {"method": method, "url": f"https://{probe.host}{path}", "sni": UNKNOWN_HOST}


def _plain(request: Request) -> Request:
    """Return the request without TLS of its own."""
    return request.replace("https://", "http://") if isinstance(request, str) else {"tcp": request["tls"]}
