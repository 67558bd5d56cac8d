"""Cases of Google's APIs and the metadata server, which are reached past the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.egress.clients import OUTSIDER, client_of
from meshgen.egress.probe import UNKNOWN_HOST, Case, case
from meshgen.egress.workloads import GOOGLE_APIS_HOST, METADATA_ADDRESS, METADATA_HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshgen.egress.teams import Team

__all__ = ["google"]

_API = "storage.googleapis.com"
_TLS = {"tls": f"{_API}:443"}
_BY_NAME = f"GET http://{METADATA_HOST}/computeMetadata/v1/"
_BY_ADDRESS = f"GET http://{METADATA_ADDRESS}/computeMetadata/v1/"


def google(team: Team) -> Iterator[Case]:
    """Yield what a team reaches of Google's, or that it does not."""
    client = client_of(team)
    if not team.google_apis:
        unknown = {"status": 502, "proxy": client}
        yield case("Google's APIs: not for this team", _TLS, {"refused": True, "proxy": client})
        yield case("the metadata server: not for this team", _BY_NAME, unknown)
        yield case("the metadata server's address: not for this team", _BY_ADDRESS, unknown)
        return
    answered = {"status": 200, "app": METADATA_HOST}
    yield case(
        "Google's APIs are reached by their private addresses",
        _TLS,
        {"answered": True, "app": GOOGLE_APIS_HOST, "certificate": _API},
    )
    yield case("the metadata server", _BY_NAME, answered)
    yield case("the metadata server by its address", _BY_ADDRESS, answered)
    yield case(
        "the metadata server's address with another host",
        {"url": f"http://{METADATA_ADDRESS}/", "headers": {"host": UNKNOWN_HOST}},
        {"status": 502, "proxy": client},
    )
    yield case(
        "another port of the metadata server",
        {"tls": f"{METADATA_HOST}:443"},
        {"refused": True, "proxy": client},
    )
    yield case("Google's APIs in plaintext", f"GET http://{_API}/", {"status": 502, "proxy": client})
    yield case(
        "Google's APIs: not for a workload of no team",
        _TLS,
        {"refused": True, "proxy": OUTSIDER},
        "outsider",
    )
    yield case(
        "the metadata server: not for a workload of no team",
        _BY_NAME,
        {"status": 502, "proxy": OUTSIDER},
        "outsider",
    )
