"""Settings of a client from environment variables, checked together."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshpass._address import Address, Origin, is_ip, parse_origin, plaintext_problem
from meshpass._errors import ConfigurationError
from meshpass._values import type_problems

# Imported where they are used: a caller with Google's identity has no key, and one with a key no identity.
if TYPE_CHECKING:
    from meshpass._tokens.google.id_token import GoogleIDToken
    from meshpass._tokens.key_sources import KeyFile, SecretManagerKey
    from meshpass._tokens.signed_jwt import SignedJWT

_REQUIRED = ("GKE_GATEWAY_URL", "GKE_GATEWAY_HOST", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_SCOPE")
_OF_SIGNED_JWT = ("JWT_ISSUER", "JWT_SCOPE")

_OPTIONAL = ("GKE_GATEWAY_CA_FILE", "MESH_AUTH", "JWT_SUBJECT", "SIGNING_KEY_FILE", "SIGNING_KEY_SECRET_ID")
_VARIABLES = (*_REQUIRED, *_OPTIONAL)

SIGNED_JWT = "signed-jwt"
GOOGLE_ID_TOKEN = "google-id-token"  # noqa: S105  # a kind of token

# MESH_AUTH was named IDENTITY before. Only this value of it changed anything; a variable with so general a name that
# holds another value may belong to another program.
_RENAMED = "google"

_CERTIFICATE = (
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----\s\s*[A-Za-z0-9+/=][A-Za-z0-9+/=\s]*-----END \1-----"
)
"""Compiled at its first use: most programs have no CA file of their own."""
_MAX_CA_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach one service in the mesh, and the identity of the caller.

    Args:
        base_url: The service's virtual origin, such as `https://user-profile.internal`.
        address: The gateway's address with its port, such as `10.128.0.5:443`.
        ca_file: PEM bundle of the CA that signed the gateway's certificate; the system's CAs when None.
        issuer: The token's `iss`; empty where Google issues the token.
        audience: The token's `aud`.
        scope: The token's `scope`; empty where Google issues the token.
        subject: The token's `sub`; the issuer when None.
        key: The source of the signing key; None where Google issues the token.
        mesh_auth: `signed-jwt` for a token that this process signs, or `google-id-token` for an ID token that Google
            issues.
    """

    base_url: str
    address: str
    ca_file: Path | None
    issuer: str
    audience: str
    scope: str
    subject: str | None
    key: "KeyFile | SecretManagerKey | None"
    mesh_auth: str = SIGNED_JWT

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from environment variables; an empty variable is a missing one.

        Args:
            environ: The variables; the process's own when None.

        Raises:
            ConfigurationError: one or more are missing or wrong; it lists all of them by name.
        """
        env = os.environ if environ is None else environ
        problems = settings_problems(env)
        if problems:
            raise ConfigurationError(problems)
        gateway = parse_origin(env["GKE_GATEWAY_URL"])
        ca_file, mesh_auth = env.get("GKE_GATEWAY_CA_FILE"), env.get("MESH_AUTH") or SIGNED_JWT
        signed = mesh_auth == SIGNED_JWT
        return cls(
            base_url=_virtual_origin(gateway, env["GKE_GATEWAY_HOST"]).url,
            address=str(Address(gateway.host, gateway.port)),
            ca_file=Path(ca_file) if ca_file else None,
            issuer=env["JWT_ISSUER"] if signed else "",
            audience=env["JWT_AUDIENCE"],
            scope=env["JWT_SCOPE"] if signed else "",
            subject=(env.get("JWT_SUBJECT") or None) if signed else None,
            key=_key(env) if signed else None,
            mesh_auth=mesh_auth,
        )

    def token_source(self) -> "SignedJWT | GoogleIDToken":
        """Return a new source of the caller's tokens. It reads the key or calls Google for the first token."""
        if self.key is None:
            from meshpass._tokens.google.id_token import GoogleIDToken

            return GoogleIDToken(self.audience)
        from meshpass._tokens.signed_jwt import SignedJWT

        return SignedJWT(self.issuer, self.audience, self.key, subject=self.subject, scope=self.scope)


def settings_problems(environ: Mapping[str, str]) -> list[str]:
    """List what is missing or wrong in these variables, one sentence each, with the name; empty if nothing is.

    A program with more variables can add its own problems to this list and report all of them together.
    """
    if not isinstance(environ, Mapping):
        return [
            f"The environment is of type {type(environ).__name__}; it must be a mapping of names to values."
        ]
    problems = type_problems(**{name: environ.get(name) for name in _VARIABLES})
    if problems:
        return problems
    mesh_auth = environ.get("MESH_AUTH") or (GOOGLE_ID_TOKEN if _has_old_name(environ) else SIGNED_JWT)
    signed = mesh_auth != GOOGLE_ID_TOKEN
    problems = [
        f"{name} is missing."
        for name in _REQUIRED
        if not environ.get(name) and (signed or name not in _OF_SIGNED_JWT)
    ]
    if mesh_auth not in (SIGNED_JWT, GOOGLE_ID_TOKEN):
        problems.append(f"MESH_AUTH is {mesh_auth[:200]!r}; it must be {SIGNED_JWT} or {GOOGLE_ID_TOKEN}.")
    if _has_old_name(environ):
        problems.append(
            f"IDENTITY is named MESH_AUTH now. Set MESH_AUTH={GOOGLE_ID_TOKEN} and remove IDENTITY."
        )
    problems += [
        f"{name} has spaces around it or control characters in it."
        for name in ("JWT_ISSUER", "JWT_AUDIENCE", "JWT_SCOPE", "JWT_SUBJECT")
        if (value := environ.get(name, "")) != value.strip() or not value.isprintable()
    ]
    problems += _gateway_problems(environ.get("GKE_GATEWAY_URL", ""), environ.get("GKE_GATEWAY_HOST", ""))
    problems += _ca_file_problems(environ)
    if signed:
        problems += _key_problems(environ)
    return problems


def _has_old_name(environ: Mapping[str, str]) -> bool:
    """Return whether the setting is given by its old name alone, which would otherwise change nothing."""
    return not environ.get("MESH_AUTH") and environ.get("IDENTITY") == _RENAMED


def _key(environ: Mapping[str, str]) -> "KeyFile | SecretManagerKey":
    from meshpass._tokens.key_sources import KeyFile, SecretManagerKey

    file = environ.get("SIGNING_KEY_FILE")
    return KeyFile(Path(file)) if file else SecretManagerKey(environ["SIGNING_KEY_SECRET_ID"])


def _gateway_problems(url: str, host: str) -> list[str]:
    problems = []
    gateway = Origin("https", "unknown", 443)
    if url:
        try:
            gateway = parse_origin(url)
        except ValueError as exc:
            problems.append(f"GKE_GATEWAY_URL {exc}.")
        else:
            plaintext = plaintext_problem(gateway, None)
            problems += [f"GKE_GATEWAY_URL {plaintext}."] if plaintext else []
    if host:
        try:
            _virtual_origin(gateway, host)
        except ValueError as exc:
            problems.append(f"GKE_GATEWAY_HOST {exc}.")
    return problems


def _key_problems(environ: Mapping[str, str]) -> list[str]:
    from meshpass._tokens.key_sources import VERSION_NAME_FORM, is_secret_version

    secret, file = environ.get("SIGNING_KEY_SECRET_ID"), environ.get("SIGNING_KEY_FILE")
    if not secret and not file:
        return [
            "SIGNING_KEY_SECRET_ID or SIGNING_KEY_FILE is missing: one of them must name the signing key."
        ]
    if secret and file:
        return ["SIGNING_KEY_SECRET_ID and SIGNING_KEY_FILE are both set: keep the one that names the key."]
    if secret and not is_secret_version(secret):
        return [f"SIGNING_KEY_SECRET_ID must be {VERSION_NAME_FORM}."]
    return _file_problems(environ, "SIGNING_KEY_FILE")


def _ca_file_problems(environ: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the CA file. The connection's TLS checks the rest of it."""
    name = "GKE_GATEWAY_CA_FILE"
    path = environ.get(name)
    problems = _file_problems(environ, name)
    if not path or problems:
        return problems
    with Path(path).open("rb") as file:
        content = file.read(_MAX_CA_BYTES)
    if len(content) < _MAX_CA_BYTES and not re.search(_CERTIFICATE, content):
        return [f"{name} names {path}, which holds no PEM certificate."]
    return []


def _file_problems(environ: Mapping[str, str], name: str) -> list[str]:
    path = environ.get(name)
    if not path:
        return []
    if not os.path.isfile(path):  # noqa: PTH113 - a Path raises where a folder on the way may not be read
        return [f"{name} names {path}, which is not a file."]
    try:
        with Path(path).open("rb"):
            return []
    except OSError as exc:
        return [f"{name} names {path}, which cannot be read: {exc.strerror}."]


def _virtual_origin(gateway: Origin, host: str) -> Origin:
    if "/" in host or "@" in host:
        raise ValueError("must be a host name alone, such as user-profile.internal")
    origin = parse_origin(f"{gateway.scheme}://{host}")
    if is_ip(origin.host):
        raise ValueError("must be the virtual host's name, not an IP address")
    return origin
