"""How a value of a policy is spelled as an Envoy matcher (`pilot/pkg/security/authz/matcher`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.istio.envoy.jwt_authn import JWT_FILTER, PAYLOAD_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json

__all__ = [
    "address_range",
    "claim",
    "claim_of_strings",
    "header",
    "metadata",
    "namespace_regex",
    "one_of",
    "principal_name",
    "service_account_regex",
    "string",
    "trust_domain",
    "uri_template",
]

_PRESENT = ".+"
_GO_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def string(value: str) -> Json:
    """Return the matcher of a text: `*` is any but the empty one, `*x` an end, `x*` a beginning, else the whole."""
    if value == "*":
        return regex(_PRESENT)
    if value.startswith("*"):
        return {"suffix": value[1:]}
    if value.endswith("*"):
        return {"prefix": value[:-1]}
    return {"exact": value}


def regex(pattern: str) -> Json:
    """Return the matcher of a whole text, in RE2's syntax."""
    return {"safeRegex": {"regex": pattern}}


def header(name: str, value: str, *, ignore_case: bool = False) -> Json:
    """Return the matcher of a header's value; `*` asks only that the header is there."""
    if value == "*":
        return {"name": name, "presentMatch": True}
    return {"name": name, "stringMatch": string(value) | ({"ignoreCase": True} if ignore_case else {})}


def principal_name(value: str) -> Json:
    """Return the matcher of a peer's identity. It has no `spiffe://`; Envoy compares the certificate's URI SAN."""
    if value == "*":
        return regex(_PRESENT)
    if value.startswith("*"):
        return regex(f"spiffe://.*{_quote(value[1:])}")
    if value.endswith("*"):
        return {"prefix": f"spiffe://{value[:-1]}"}
    return {"exact": f"spiffe://{value}"}


def namespace_regex(value: str) -> Json:
    """Return the matcher of a peer's namespace, with `*` for any text."""
    return regex(f".*/ns/{'.*'.join(_quote(part) for part in value.split('*'))}/.*")


def service_account_regex(value: str, policy_namespace: str) -> Json:
    """Return the matcher of a peer's service account, `name` or `namespace/name`."""
    namespace, slash, name = value.partition("/")
    if not slash:
        namespace, name = policy_namespace, value
    return regex(f"spiffe://.+/ns/{_quote(namespace)}/(.+/|)sa/{_quote(name)}(/.+)?")


def trust_domain(value: str) -> Json:
    """Return the matcher of a peer's trust domain, with one `*` at an end for any text without a slash."""
    if value == "*":
        return {"prefix": "spiffe://"}
    if "*" not in value:
        return {"prefix": f"spiffe://{value}/"}
    before, _, after = value.partition("*")
    return regex(f"spiffe://{_quote(before)}[^/]*{_quote(after)}/.*")


def uri_template(value: str) -> Json:
    """Return the matcher of a path with `{*}` for one segment or `{**}` for any number."""
    return {
        "name": "uri-template",
        "typedConfig": {
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "pathTemplate": value.replace("{**}", "**").replace("{*}", "*"),
        },
    }


def address_range(value: str) -> Json:
    """Return the range of an address or of CIDR notation."""
    address, slash, length = value.partition("/")
    whole = 128 if ":" in address else 32
    return {"addressPrefix": address, "prefixLen": int(length) if slash else whole}


def metadata(namespace: str, path: Sequence[str], value: Json) -> Json:
    """Return the matcher of metadata that an earlier filter wrote.

    Envoy deprecates the `metadata` that istiod writes; `sourcedMetadata` is its successor with the same meaning.
    """
    matcher = {"filter": namespace, "path": [{"key": key} for key in path], "value": value}
    return {"sourcedMetadata": {"metadataMatcher": matcher}}


def claim(path: Sequence[str], value: Json) -> Json:
    """Return the matcher of a verified claim."""
    return metadata(JWT_FILTER, (PAYLOAD_KEY, *path), value)


def claim_of_strings(path: Sequence[str], values: Sequence[str]) -> Json:
    """Return the matcher of a verified claim: one of several strings, or a list that holds one of them.

    Numbers and booleans never match.
    """
    value = one_of([{"stringMatch": string(value)} for value in values])
    either = {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": value}}, value]}}
    return claim(path, either)


def one_of(values: Sequence[Json]) -> Json:
    """Return the matcher of any of several values of metadata."""
    return values[0] if len(values) == 1 else {"orMatch": {"valueMatchers": list(values)}}


def _quote(text: str) -> str:
    return _GO_SPECIAL.sub(r"\\\g<0>", text)
