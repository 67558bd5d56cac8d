"""``deploy/bridge-certificates``: the certificates of the Lambda bridge, their rotation and their revocation.

Everything lies in one private directory. ``secrets/SIDE`` below it holds what the gateway of that side needs: its own
``tls.crt`` and ``tls.key``, and the ``ca.crt`` and ``ca.crl`` by which it checks the other side. ``manifest`` prints
them as the two Secrets that Istio reads.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import meshcontract
from cryptography import x509

from .. import ROOT, RefusalError, relative
from ..arguments import existing_file, folder_to_make
from . import pki

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEFAULT_CONTRACT = ROOT / "infra" / "mesh" / "lambda-bridge" / "contract" / "bridge.env"
SIDES = ("gke", "eks")
_OTHER = {"gke": "eks", "eks": "gke"}
_SECRETS = {
    "gke": ("istio-lambda-egress", "lambda-bridge-client"),
    "eks": ("istio-lambda-ingress", "lambda-bridge-server"),
}
"""Namespace and name of the Secret with the certificate; the CA is in the one with ``-cacert`` behind the name."""


@dataclass
class Intermediate:
    """One intermediate authority, as the state file remembers it."""

    name: str
    revoked: list[int] = field(default_factory=list)


@dataclass
class State:
    """Which intermediates there are, the newest last, and which were revoked."""

    sides: dict[str, list[Intermediate]]
    revoked: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> State:
        """Return what ``write`` wrote."""
        found: dict[str, Any] = json.loads(path.read_text())
        sides = {
            side: [Intermediate(**entry) for entry in entries] for side, entries in found["sides"].items()
        }
        return cls(sides, found["revoked"])

    def write(self, path: Path) -> None:
        """Write the state as JSON."""
        sides = {side: [vars(entry) for entry in entries] for side, entries in self.sides.items()}
        _write(path, json.dumps({"sides": sides, "revoked": self.revoked}, indent=2).encode() + b"\n")


class Certificates:
    """The directory of the bridge's certificates.

    Args:
        directory: A private directory.
        sides: What each side shows to the other.
        now: The time.
    """

    def __init__(self, directory: Path, sides: Sequence[pki.Side], now: dt.datetime) -> None:
        self._directory = directory
        self._sides = {side.name: side for side in sides}
        self._now = now

    def create(self) -> None:
        """Make the root and an intermediate for each side, and issue the first certificates.

        Raises:
            RefusalError: There is something in the directory.
        """
        if self._state_file.exists():
            raise RefusalError(f"{self._directory} has certificates already; `renew` and `issue` rotate them")
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = pki.create_root(self._now)
        self._write_authority("root", root)
        state = State({side: [] for side in SIDES})
        for side in SIDES:
            self._add_intermediate(state, root, side)
        state.write(self._state_file)
        for side in SIDES:
            self.issue(side, pki.LEAF_LIFETIME)

    def issue(self, side: str, lifetime: dt.timedelta) -> None:
        """Issue another certificate for a side; those before stay valid until they expire or are revoked.

        Args:
            side: Whose.
            lifetime: How long it is valid.

        Raises:
            RefusalError: The lifetime is too long.
        """
        state = self._state()
        newest = self._read_authority(f"{side}/{state.sides[side][-1].name}")
        try:
            chain, key = pki.issue(newest, self._sides[side], self._now, lifetime)
        except ValueError as error:
            raise RefusalError(str(error)) from None
        serial = x509.load_pem_x509_certificate(chain).serial_number
        _write(self._directory / "issued" / side / f"{serial:x}.pem", chain)
        _write(self._secret(side) / "tls.crt", chain)
        _write(self._secret(side) / "tls.key", key)
        self.publish()

    def renew(self, side: str) -> None:
        """Add an intermediate to a side; the one before stays trusted until ``retire``.

        Apply the other side's Secrets before a certificate of the new one is shown.
        """
        state = self._state()
        self._add_intermediate(state, self._read_authority("root"), side)
        state.write(self._state_file)
        self.publish()

    def retire(self, side: str) -> None:
        """Revoke every intermediate of a side but the newest, and with it all that it signed.

        Raises:
            RefusalError: There is only one.
        """
        state = self._state()
        *old, newest = state.sides[side]
        if not old:
            raise RefusalError(f"the side {side} has one intermediate; `renew {side}` adds one")
        for entry in old:
            authority = self._read_authority(f"{side}/{entry.name}")
            state.revoked.append(authority.certificate.serial_number)
        state.sides[side] = [newest]
        state.write(self._state_file)
        self.publish()

    def revoke(self, side: str, certificate: Path) -> None:
        """Revoke one certificate of a side.

        Args:
            side: Whose.
            certificate: A PEM file with it, such as one below ``issued``.

        Raises:
            RefusalError: No intermediate of that side signed it.
        """
        try:
            found = x509.load_pem_x509_certificate(certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise RefusalError(f"{certificate} cannot be read as a certificate: {error}") from None
        state = self._state()
        for entry in state.sides[side]:
            if self._read_authority(f"{side}/{entry.name}").certificate.subject == found.issuer:
                entry.revoked.append(found.serial_number)
                state.write(self._state_file)
                self.publish()
                return
        raise RefusalError(f"{certificate} was signed by no intermediate of the side {side} that is in use")

    def publish(self) -> None:
        """Write the CA and the revocation lists by which each side checks the other, with new dates."""
        state = self._state()
        root = self._read_authority("root")
        root_list = pki.revocation_list(root, state.revoked, self._now, pki.ROOT_CRL_LIFETIME)
        for side in SIDES:
            peers = state.sides[_OTHER[side]]
            authorities = [self._read_authority(f"{_OTHER[side]}/{entry.name}") for entry in peers]
            lists = [
                pki.revocation_list(authority, entry.revoked, self._now)
                for authority, entry in zip(authorities, peers, strict=True)
            ]
            # Envoy checks the revocation of every certificate of a chain. So an intermediate without a list here,
            # such as this side's own or a retired one, is not trusted although the root is.
            _write(self._secret(side) / "ca.crt", b"".join(each.pem for each in (*authorities, root)))
            _write(self._secret(side) / "ca.crl", b"".join((*lists, root_list)))

    def manifest(self, side: str) -> str:
        """Return the Secrets of a side as YAML."""
        namespace, name = _SECRETS[side]
        files = {path.name: path.read_bytes() for path in self._secret(side).iterdir()}
        secrets = [
            ("kubernetes.io/tls", name, ("tls.crt", "tls.key")),
            ("Opaque", f"{name}-cacert", ("ca.crt", "ca.crl")),
        ]
        documents = []
        for kind, secret, keys in secrets:
            data = "".join(f"  {key}: {base64.b64encode(files[key]).decode()}\n" for key in keys)
            head = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {secret}\n  namespace: {namespace}\n"
            documents.append(f"{head}type: {kind}\ndata:\n{data}")
        return "---\n".join(documents)

    def dates(self) -> str:
        """Return when each certificate and list expires, a line each, the first to expire first."""
        found = []
        for side in SIDES:
            leaf = x509.load_pem_x509_certificate((self._secret(side) / "tls.crt").read_bytes())
            found.append((leaf.not_valid_after_utc, f"the certificate of {side}"))
            lists = (self._secret(side) / "ca.crl").read_bytes().split(b"-----BEGIN X509 CRL-----")[1:]
            for text in lists:
                revoked = x509.load_pem_x509_crl(b"-----BEGIN X509 CRL-----" + text)
                until = revoked.next_update_utc
                if until is not None:
                    found.append((until, f"a revocation list at {side}: {revoked.issuer.rfc4514_string()}"))
        return "".join(f"{until:%Y-%m-%d}  {what}\n" for until, what in sorted(found))

    @property
    def _state_file(self) -> Path:
        return self._directory / "state.json"

    def _state(self) -> State:
        if not self._state_file.exists():
            raise RefusalError(f"{self._directory} has no certificates; `create` makes the first")
        return State.read(self._state_file)

    def _secret(self, side: str) -> Path:
        return self._directory / "secrets" / side

    def _add_intermediate(self, state: State, root: pki.Authority, side: str) -> None:
        authority = pki.create_intermediate(root, self._sides[side], self._now)
        name = f"{authority.certificate.serial_number:x}"
        self._write_authority(f"{side}/{name}", authority)
        state.sides[side].append(Intermediate(name))

    def _read_authority(self, name: str) -> pki.Authority:
        directory = self._directory / "authorities" / name
        try:
            return pki.Authority.read(
                (directory / "ca.pem").read_bytes(), (directory / "ca-key.pem").read_bytes()
            )
        except FileNotFoundError as error:
            raise RefusalError(f"{error.filename} is missing; bring the key back for this step") from None

    def _write_authority(self, name: str, authority: pki.Authority) -> None:
        directory = self._directory / "authorities" / name
        _write(directory / "ca.pem", authority.pem)
        _write(directory / "ca-key.pem", authority.key_pem)


def sides_of(path: Path) -> list[pki.Side]:
    """Return what each side shows, from the contract of the bridge.

    Raises:
        RefusalError: The file cannot be read or lacks a key.
    """
    values, wrong = meshcontract.parse(path)
    wrong += [f"{key} is missing" for key in ("BRIDGE_HOST", "BRIDGE_CLIENT_IDENTITY") if key not in values]
    if wrong:
        raise RefusalError(f"{relative(path)}: {'; '.join(wrong)}")
    return [
        pki.Side("gke", identity=values["BRIDGE_CLIENT_IDENTITY"]),
        pki.Side("eks", host=values["BRIDGE_HOST"]),
    ]


def main(arguments: Sequence[str]) -> None:
    """Make, rotate and revoke certificates; see ``--help``."""
    parser = argparse.ArgumentParser(prog="deploy/bridge-certificates", description=__doc__)
    parser.add_argument(
        "--directory", type=folder_to_make, required=True, help="the private directory of it all"
    )
    parser.add_argument(
        "--contract", type=existing_file, default=DEFAULT_CONTRACT, help="the bridge's KEY=VALUE file"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create", help="the root, both intermediates, the first certificates")
    commands.add_parser("publish", help="new revocation lists, before the dates of the old ones")
    commands.add_parser("dates", help="what expires when")
    helps = {
        "issue": "another certificate for a side",
        "renew": "another intermediate for a side; the one before stays trusted",
        "retire": "stop trusting the intermediates before the newest",
        "revoke": "revoke one certificate of a side",
        "manifest": "print the Secrets of a side",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("side", choices=SIDES)
        if name == "issue":
            days = pki.LEAF_LIFETIME.days
            command.add_argument("--days", type=int, default=days, help=f"1 to 90; {days} if not given")
        if name == "revoke":
            command.add_argument(
                "certificate", type=existing_file, help="a PEM file, such as one below issued/"
            )
    options = parser.parse_args(arguments)
    certificates = Certificates(options.directory, sides_of(options.contract), dt.datetime.now(dt.UTC))
    _run(certificates, options)


def _run(certificates: Certificates, options: argparse.Namespace) -> None:
    match options.command:
        case "create":
            certificates.create()
        case "publish":
            certificates.publish()
        case "dates":
            sys.stdout.write(certificates.dates())
        case "manifest":
            sys.stdout.write(certificates.manifest(options.side))
        case "issue":
            certificates.issue(options.side, dt.timedelta(days=options.days))
        case "renew":
            certificates.renew(options.side)
        case "retire":
            certificates.retire(options.side)
        case "revoke":
            certificates.revoke(options.side, options.certificate)


def _write(path: Path, content: bytes) -> None:
    """Put a file in place at once, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
