"""An exhaustive small battery for the ingress mesh: a plain product of a few callers, tokens, hosts, methods and paths.

It is written by hand and knows nothing of `meshlab.battery` and `meshlab.diff`, so that it can judge them.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import Case, CasePlace, FromBypass, FromOutside, HttpRequest, TokenSpec
from meshlab.bench.protocol import Setup
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.bench.case import Sender
    from meshlab.bench.local_bench import LocalBench, LocalMesh
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["CASES", "PARTS", "verdicts"]

GATEWAY = WorkloadRef("istio-ingress", "istio-internal-gateway")
PROFILE, ORDERS = WorkloadRef("user-profile", "user-profile"), WorkloadRef("orders", "orders")
ENRICHMENT = "meshpass-enrichment@example-project.iam.gserviceaccount.com"
GOOGLE = "https://accounts.google.com"
REPORTS, STOREFRONT = "100000000000000000001", "100000000000000000002"


def _enrichment(**claims: Any) -> TokenSpec:  # noqa: ANN401 - the value of a claim
    good = {"sub": ENRICHMENT, "aud": "user-profile-service", "scope": "read:user-profile"}
    return TokenSpec(ENRICHMENT, {**good, **claims})


def _google(subject: str, name: str, **claims: Any) -> TokenSpec:  # noqa: ANN401 - the value of a claim
    email = f"{name}@example-project.iam.gserviceaccount.com"
    return TokenSpec(GOOGLE, {"sub": subject, "email": email, "aud": f"internal-{name}", **claims})


TOKENS = {
    "no token": (),
    "enrichment": (_enrichment(),),
    "enrichment with another scope": (_enrichment(scope="read:another"),),
    "enrichment for another audience": (_enrichment(aud="another"),),
    "enrichment in the query": (TokenSpec(ENRICHMENT, _enrichment().claims, placement="query"),),
    "reports": (_google(REPORTS, "reports"),),
    "reports with another email": (_google(REPORTS, "reports", email="another@example.org"),),
    "storefront": (_google(STOREFRONT, "storefront"),),
}
_INSIDE_TOKENS = ("no token", "enrichment", "enrichment for another audience", "reports")
HOSTS = ("user-profile.internal", "orders.internal", "other.internal")
METHODS = ("GET", "POST")
PATHS = ("/profile/u-1", "/profile/u-1/x", "/orders/1", "/orders", "/admin")
_REMOVED = (
    "cookie",
    "proxy-authorization",
    "x-authorization",
    "x-access-token",
    "x-auth-token",
    "referer",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "forwarded",
)
"""What the mesh's routes take away, and so every request carries."""
_WATCHED = (*_REMOVED, "authorization")


def _cases() -> Iterator[Case]:
    for number, (name, sender, tokens, host, method, path) in enumerate(_combinations()):
        headers = (("host", host), *((header, "a=1") for header in _REMOVED))
        request = HttpRequest(f"https://user-profile.internal{path}", method, headers)
        yield Case(
            f"{number}: {name} with {tokens}: {method} {host}{path}",
            sender,
            request,
            None,
            CasePlace("small battery", number),
            TOKENS[tokens],
        )


def _combinations() -> Iterator[tuple[str, Sender, str, str, str, str]]:
    for tokens, host, method, path in product(TOKENS, HOSTS, METHODS, PATHS):
        yield "outside", FromOutside(GATEWAY), tokens, host, method, path
    for target, path in ((PROFILE, "/profile/u-1"), (ORDERS, "/orders/1")):
        neighbour = ORDERS if target == PROFILE else PROFILE
        senders: dict[str, Sender] = {
            "the gateway's identity": FromBypass(GATEWAY, target, 8080, "mtls"),
            "a neighbour": FromBypass(neighbour, target, 8080, "mtls"),
            "plaintext": FromBypass(None, target, 8080, "plaintext"),
        }
        for (name, sender), tokens, host, method in product(
            senders.items(), _INSIDE_TOKENS, HOSTS[:2], METHODS
        ):
            yield f"{name} to {target}", sender, tokens, host, method, path


CASES = tuple(_cases())
_PARTS = 7
PARTS = tuple(CASES[number::_PARTS] for number in range(_PARTS))
"""All cases in parts. Each has every sender, token, host, method and path: none of their numbers is a multiple of 7."""


def verdicts(
    bench: LocalBench, mesh: LocalMesh, cases: Sequence[Case] = CASES, setup: Setup | None = None
) -> dict[str, tuple[object, ...]]:
    """Send cases to a mesh, the whole battery or others, and return the verdict of each by its name."""
    with bench.running(mesh, setup or Setup(), cases, 0) as engine:
        return {outcome.case.name: _verdict(outcome) for outcome in engine.run(cases)}


def _verdict(outcome: Outcome) -> tuple[object, ...]:
    found = outcome.verdict
    if found is None:
        return (outcome.state,)
    got = found.received
    arrived: tuple[object, ...] = ()
    if got is not None:
        values = tuple((name, bool(got.values(name))) for name in _WATCHED)
        arrived = (got.method, got.target.partition("?")[0], got.host, got.identity, values)
    return (outcome.state, found.reply.status, found.reply.answered, found.app, found.proxy, arrived)
