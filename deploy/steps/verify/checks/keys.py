"""The signing key against the public keys of the mesh. The private key is never read.

`meshpass keys` writes the public half of each version into an annotation of its secret; docs/keys.md.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...cloud import fields, names, questions
from ..deployment import finding
from ..finding import listed
from . import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..deployment import Deployment
    from ..finding import Finding

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
    if any("jwksUri" in rule for rule in _rules(deployment.jwks, deployment.values["JWT_ISSUER"])):
        found, expected = "the mesh fetches them from a jwksUri", "a JWKS with the function's key"
        yield finding("jwks-missing", "the mesh's public keys", found, expected)
        return
    yield from _signing(deployment, notes)
    yield from _accepted(deployment, notes)
    yield from _unknown(deployment, notes)


def thumbprint_members(jwk: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return the members that make a public key what it is, whatever its `kid` says.

    Source: RFC 7638, section 3.2.
    """
    return {key: fields.text(jwk, key) for key in ("kty", "crv", "x", "y", "n", "e") if fields.text(jwk, key)}


def key_sets(document: Any, issuer: str) -> list[list[dict[str, Any]]]:  # noqa: ANN401 - JSON
    """Return the sets of public keys for an issuer: the gateway and the workload can have one each.

    Args:
        document: A JWKS (RFC 7517), or RequestAuthentications as ``kubectl get -o json`` prints them.
        issuer: The issuer whose rules count in a RequestAuthentication.
    """
    if keys := fields.items(document, "keys"):
        return [keys]
    found = []
    for rule in _rules(document, issuer):
        try:
            found.append(fields.items(json.loads(fields.text(rule, "jwks") or "{}"), "keys"))
        except (ValueError, RecursionError):
            found.append([])
    return found


def _rules(document: Any, issuer: str) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    return [
        rule
        for resource in fields.items(document, "items") or [document]
        for rule in fields.items(resource, "spec", "jwtRules")
        if fields.text(rule, "issuer") == issuer
    ]


def _mesh_keys(deployment: Deployment) -> list[dict[str, Any]]:
    """Return every key that any proxy accepts from the function's issuer."""
    return [key for keys in key_sets(deployment.jwks, deployment.values["JWT_ISSUER"]) for key in keys]


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
    wanted = (fields.text(jwk, "kid"), thumbprint_members(jwk))
    # Both proxies check the token, so each set has to have the key.
    sets = key_sets(deployment.jwks, deployment.values["JWT_ISSUER"]) or [[]]
    lacking = [
        keys
        for keys in sets
        if wanted not in [(fields.text(key, "kid"), thumbprint_members(key)) for key in keys]
    ]
    if lacking:
        kids = listed([fields.text(key, "kid") or "a key without kid" for key in lacking[0]])
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


def _unknown(deployment: Deployment, notes: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each key of the mesh that no version of the secret has.

    A version without a note can have any key, so nothing is known while there is one.
    """
    states = secrets.versions(deployment, "signing-key")
    if any(number not in notes for number, state in states.items() if state != "DESTROYED"):
        return
    own = [thumbprint_members(fields.value(note, "jwk")) for note in notes.values()]
    for kid in dict.fromkeys(
        fields.text(key, "kid") or "without kid"
        for key in _mesh_keys(deployment)
        if thumbprint_members(key) not in own
    ):
        yield finding(
            "unknown-key-in-mesh",
            f"the key {kid}",
            "in the mesh's JWKS",
            f"a key of {_store(deployment)}",
            _publish(deployment),
            _apply(),
        )
