"""The signing key against the public keys of the mesh. The private key is never read.

`meshpass keys` writes the public half of each version into an annotation of its secret; docs/keys.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...cloud import fields, names, questions
from ..deployment import finding
from ..findings import listed
from . import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..findings import Finding

_NOTE = "meshpass-key-"
_ENDED = frozenset({"retired", "revoked"})
# RFC 7517 and RFC 7518, sections 6.2.2, 6.3.2 and 6.4: the members of a private or symmetric key.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_JWKS_FILE = "infra/mesh/overlays/example/keys/enrichment.json"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Yield findings about the signing key, if the function signs with one."""
    if "signing-key" not in questions.secret_names(deployment.values):
        return
    if deployment.jwks is not None:
        yield from _private(deployment)
    if not deployment.ok("secret-signing-key", "secret-versions-signing-key"):
        return
    notes = _notes(deployment)
    yield from _ended(deployment, notes)
    if deployment.jwks is None:
        yield finding(
            "jwks-missing", "the mesh's public keys", "none were named", "a JWKS with the function's key"
        )
        return
    yield from _signing(deployment, notes)
    yield from _accepted(deployment, notes)


def thumbprint_members(jwk: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return the members that make a public key what it is, whatever its `kid` says.

    Source: RFC 7638, section 3.2.
    """
    return {key: fields.text(jwk, key) for key in ("kty", "crv", "x", "y", "n", "e") if fields.text(jwk, key)}


def public_keys(document: Any, issuer: str) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return the public keys for an issuer.

    Args:
        document: A JWKS (RFC 7517), or RequestAuthentications as ``kubectl get -o json`` prints them.
        issuer: The issuer whose rules count in a RequestAuthentication.
    """
    if keys := fields.items(document, "keys"):
        return keys
    found = []
    for resource in fields.items(document, "items") or [document]:
        for rule in fields.items(resource, "spec", "jwtRules"):
            if fields.text(rule, "issuer") != issuer:
                continue
            try:
                found += fields.items(json.loads(fields.text(rule, "jwks") or "{}"), "keys")
            except ValueError:
                continue
    return found


def _mesh_keys(deployment: Deployment) -> list[dict[str, Any]]:
    return public_keys(deployment.jwks, deployment.values["JWT_ISSUER"])


def _private(deployment: Deployment) -> Iterator[Finding]:
    for key in _mesh_keys(deployment):
        if _PRIVATE & key.keys():
            kid = fields.text(key, "kid") or "without kid"
            yield finding("private-key-in-jwks", f"the key {kid}", "private members", "public members only")


def _notes(deployment: Deployment) -> dict[str, Any]:
    annotations = fields.table(deployment.data("secret-signing-key"), "annotations")
    notes = {}
    for name, text in annotations.items():
        if name.startswith(_NOTE) and names.is_name("version", name.removeprefix(_NOTE)):
            try:
                notes[name.removeprefix(_NOTE)] = json.loads(text)
            except ValueError:
                continue
    return notes


def _store(deployment: Deployment) -> str:
    project, location, name, _ = questions.secret(deployment.values, questions.SECRETS["signing-key"])
    return f"projects/{project}/{f'locations/{location}/' if location else ''}secrets/{name}"


def _publish(deployment: Deployment) -> tuple[str, ...]:
    return ("meshpass", "keys", "jwks", f"--store={_store(deployment)}", f"--out={_JWKS_FILE}")


def _apply() -> tuple[str, ...]:
    return ("kubectl", "apply", "-k", "infra/mesh/overlays/example")


def _ended(deployment: Deployment, notes: dict[str, Any]) -> Iterator[Finding]:
    states = secrets.versions(deployment, "signing-key")
    secret_id = questions.secret(deployment.values, questions.SECRETS["signing-key"])[2]
    for number, note in notes.items():
        ended = fields.text(note, "ended")
        if ended in _ENDED and states.get(number) == "ENABLED":
            words = ("versions", "disable", number, f"--secret={secret_id}")
            yield finding(
                "ended-key-enabled",
                f"the version {number} of the secret {secret_id}",
                f"{ended}, and ENABLED",
                "DISABLED or DESTROYED",
                secrets.command(deployment, "signing-key", *words),
            )


def _signing(deployment: Deployment, notes: dict[str, Any]) -> Iterator[Finding]:
    number = secrets.number(deployment, "signing-key")
    if not number:
        return  # reported as a missing version
    subject = f"the version {number} of the signing key"
    jwk = fields.value(notes.get(number), "jwk")
    if not jwk:
        # Any change of the keys writes the notes of all of them.
        command = ("meshpass", "keys", "next", f"--store={_store(deployment)}", f"--out={_JWKS_FILE}")
        yield finding("signing-key-unknown", subject, "no note of its public key", "a note", command)
        return
    known = _mesh_keys(deployment)
    same = [key for key in known if thumbprint_members(key) == thumbprint_members(jwk)]
    if not any(fields.text(key, "kid") == fields.text(jwk, "kid") for key in same):
        kids = listed([fields.text(key, "kid") or "a key without kid" for key in known])
        yield finding(
            "signing-key-not-in-mesh",
            subject,
            f"the mesh knows: {kids}",
            f"the mesh knows {fields.text(jwk, 'kid')}",
            _publish(deployment),
            _apply(),
        )


def _accepted(deployment: Deployment, notes: dict[str, Any]) -> Iterator[Finding]:
    states = secrets.versions(deployment, "signing-key")
    for number, note in notes.items():
        members = thumbprint_members(fields.value(note, "jwk"))
        accepted = any(thumbprint_members(key) == members for key in _mesh_keys(deployment))
        ended = fields.text(note, "ended")
        state = states.get(number, "gone")
        if members and accepted and (ended in _ENDED or state != "ENABLED"):
            yield finding(
                "ended-key-in-mesh",
                f"the version {number} of the signing key",
                f"{ended or state.lower()}, and in the mesh's JWKS",
                "not in the mesh's JWKS",
                _publish(deployment),
                _apply(),
            )
