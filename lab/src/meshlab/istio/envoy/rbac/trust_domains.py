"""Trust domains of a mesh in the principals of its policies (`pilot/pkg/security/trustdomain/bundle.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["with_aliases_of_domains", "with_aliases_of_principals"]

_LOCAL = "cluster.local"
_SEGMENTS = 5  # TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT


def with_aliases_of_principals(principals: Sequence[str], trust_domains: Sequence[str]) -> list[str]:
    """Return principals once for the mesh's trust domain and for each of its aliases.

    Only a principal written out in full names a trust domain. One of the mesh's own, or `cluster.local`, stands for
    all of them; any other stays as written.

    Args:
        principals: The values of a policy, without `spiffe://`.
        trust_domains: The mesh's trust domain, then its aliases.
    """
    return [
        name for principal in principals for name in dict.fromkeys(_alternatives(principal, trust_domains))
    ]


def with_aliases_of_domains(values: Sequence[str], trust_domains: Sequence[str]) -> list[str]:
    """Return trust domains with all of the mesh's own in place of any one of them; wildcards stay as written."""
    expanded = [name for value in values for name in (trust_domains if value in trust_domains else (value,))]
    return list(dict.fromkeys(expanded))


def _alternatives(principal: str, trust_domains: Sequence[str]) -> Iterator[str]:
    domain, _, rest = principal.partition("/")
    named = principal.count("/") == _SEGMENTS - 1 and domain != "*"
    if not named or not (domain == _LOCAL or any(_overlap(domain, own) for own in trust_domains)):
        yield principal
        return
    for own in trust_domains:
        # A written *-suffix already matches a trust domain of the mesh that ends so.
        yield principal if _ends_as(own, domain) else f"{own}/{rest}"


def _overlap(one: str, other: str) -> bool:
    return (
        one == other
        or other == "*"
        or _begins_as(one, other)
        or _begins_as(other, one)
        or _ends_as(one, other)
        or _ends_as(other, one)
    )


def _begins_as(text: str, pattern: str) -> bool:
    return pattern.endswith("*") and text.startswith(pattern[:-1])


def _ends_as(text: str, pattern: str) -> bool:
    return pattern.startswith("*") and text.endswith(pattern[1:])
