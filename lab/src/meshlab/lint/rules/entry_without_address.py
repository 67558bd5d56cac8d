"""ML409: a TCP port of a ServiceEntry without addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.fields import Where
from meshlab.lint.facts import listed, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import of_networking, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Problem


def _check(facts: Facts) -> Iterator[Problem]:
    if facts.mesh.settings.dns_capture:
        return
    for entry in of_networking(facts.manifests, "ServiceEntry"):
        spec = mapping(entry.body, "spec")
        if "addresses" in spec or mapping(entry.body, "status").get("addresses"):
            continue
        for index, port in enumerate(listed(spec, "ports")):
            if text(port, "protocol").upper() in ("", "TCP"):
                yield RULE.at(
                    Where(entry, ("spec", "ports", index)), "takes TCP, and the entry has no addresses."
                )


RULE = Rule(
    code="ML409",
    name="entry-without-address",
    severity=Severity.WARNING,
    summary="a TCP port of a ServiceEntry without addresses",
    why=(
        "Nothing in a TCP connection names the host, so the entry takes the port of every address: "
        "connections to other hosts go there, too."
    ),
    fix=(
        "Write addresses or the protocol that the port speaks, or let proxies answer DNS "
        "(ISTIO_META_DNS_CAPTURE)."
    ),
    source="istio/istio pkg/config/analysis: IST0134",
    check=_check,
)
