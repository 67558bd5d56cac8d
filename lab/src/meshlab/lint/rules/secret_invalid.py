"""ML109: a Secret that a gateway cannot use."""

from __future__ import annotations

import base64
import warnings
from typing import TYPE_CHECKING

from cryptography import x509

from meshlab.lint.facts import gateway_credentials, mapping
from meshlab.lint.rule import Rule, Severity
from meshlab.lint.written import text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from meshlab.lint.facts import Facts
    from meshlab.manifest import Manifest, Problem


def _check(facts: Facts) -> Iterator[Problem]:
    secrets = {(each.namespace, each.name): each for each in facts.of_kind("Secret")}
    for where, namespace, name in gateway_credentials(facts):
        secret = secrets.get((namespace, name))
        problem = _problem(secret, facts.now) if secret else ""
        if problem:
            yield RULE.at(where, f"Secret {namespace}/{name} {problem}.")


def _problem(secret: Manifest, now: dt.datetime) -> str:
    """Return what is wrong with a Secret; empty where nothing is."""
    encoded, plain = mapping(secret.body, "data"), mapping(secret.body, "stringData")
    held = {*encoded, *plain}
    for certificate, key in _KEYS:
        if {certificate, key} <= held:
            break
    else:
        return "has neither tls.crt and tls.key nor cert and key"
    written = text(plain, certificate).encode()
    if not written:
        try:
            written = base64.b64decode(text(encoded, certificate), validate=True)
        except ValueError:
            return f"has a {certificate} that is no base64"
    try:
        with warnings.catch_warnings():  # of what a later release of the parser will refuse
            warnings.simplefilter("ignore")
            found = x509.load_pem_x509_certificates(written)
    except ValueError:
        return f"has a {certificate} that is no certificate"
    if found[0].not_valid_after_utc < now:
        return f"has a certificate that expired on {found[0].not_valid_after_utc:%Y-%m-%d}"
    if found[0].not_valid_before_utc > now:
        return f"has a certificate that is not valid before {found[0].not_valid_before_utc:%Y-%m-%d}"
    return ""


_KEYS = (("tls.crt", "tls.key"), ("cert", "key"))


RULE = Rule(
    code="ML109",
    name="secret-invalid",
    severity=Severity.ERROR,
    summary="a Secret that a gateway cannot use",
    why="Istio refuses the Secret, and the server has no certificate: clients cannot connect.",
    fix="Write tls.crt and tls.key (or cert and key) with a certificate that is valid today.",
    source="istio/istio pilot/pkg/credentials/kube/secrets.go#ExtractCertInfo",
    check=_check,
)
