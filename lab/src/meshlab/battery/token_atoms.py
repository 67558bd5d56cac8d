"""Values of an AuthorizationPolicy on tokens, as atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.battery.clauses import Atom
from meshlab.battery.patterns import Pattern, wildcard
from meshlab.battery.request_values import TOKEN, Token
from meshlab.battery.token_rules import accepted, signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.policy_proxy import PolicyProxy
    from meshlab.battery.request_values import Value

__all__ = ["audience_atom", "claim_atom", "claim_names", "request_principal_atom"]

_SPACE_DELIMITED = ("scope", "permission")


def claim_names(key: str) -> tuple[str, ...] | None:
    """Return the names in `request.auth.claims[a][b]`; `None` for another key."""
    if key == "request.auth.presenter":
        return ("azp",)
    inner = key.removeprefix("request.auth.claims")
    if inner == key or not (inner.startswith("[") and inner.endswith("]")):
        return None
    names = inner[1:-1].split("][")
    return (inner[1:-1],) if any("[" in name or "]" in name for name in names) else tuple(names)


def request_principal_atom(value: str, proxy: PolicyProxy) -> Atom:
    """Return the atom of a request principal."""
    return _token_atom(proxy, "principal", value, _request_principal(value))


def audience_atom(value: str, proxy: PolicyProxy) -> Atom:
    """Return the atom of an audience."""
    return _token_atom(proxy, "audience", value, _claim(("aud",), value, proxy))


def claim_atom(path: tuple[str, ...], value: str, proxy: PolicyProxy) -> Atom:
    """Return the atom of a claim's value."""
    return _token_atom(proxy, f"claim {path}", value, _claim(path, value, proxy))


def _token_atom(proxy: PolicyProxy, kind: str, value: str, holds: Callable[[Token], bool]) -> Atom:
    def met(token: Value) -> bool:
        return (
            isinstance(token, Token)
            and proxy.forwarded(token)
            and accepted(token, proxy.token_rules)
            and holds(token)
        )

    known = f"{proxy.token_way} {' '.join(map(signature, proxy.token_rules))}"
    return Atom(TOKEN, f"{kind} {value} ({known})", met, None, value)


def _claim(path: tuple[str, ...], value: str, proxy: PolicyProxy) -> Callable[[Token], bool]:
    pattern = wildcard(value)
    split = {name for rule in proxy.token_rules for name in rule.space_delimited_claims} | {*_SPACE_DELIMITED}

    def met(token: Token) -> bool:
        found = token.claim(path)
        if found is None:
            return False
        texts = (found,) if isinstance(found, str) else found
        if len(path) == 1 and path[0] in split and isinstance(found, str):
            texts = tuple(found.split(" "))
        return any(pattern.meets(text) for text in texts)

    return met


def _request_principal(value: str) -> Callable[[Token], bool]:
    """Mirror `istio.envoy.rbac.request_principals`."""
    issuer, slash, subject = value.rpartition("/")
    if not slash:
        issuer, subject = value, ""
    some = Pattern("present")
    wanted = Pattern("exact", issuer), Pattern("exact", subject)
    if value == "*":
        wanted = some, some
    elif value.startswith("*") and slash:
        wanted = (some if issuer == "*" else Pattern("suffix", issuer[1:])), wanted[1]
    elif value.startswith("*"):
        wanted = some, Pattern("suffix", value[1:])
    elif value.endswith("*") and slash:
        wanted = wanted[0], (some if subject == "*" else Pattern("prefix", subject[:-1]))
    elif value.endswith("*"):
        wanted = Pattern("prefix", value[:-1]), some
    return lambda token: wanted[0].meets(token.issuer) and wanted[1].meets(token.subject)
