"""`meshpass keys`: create, rotate and revoke signing keys."""

import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from meshpass._errors import ConfigurationError
from meshpass._tokens.algorithms import DEFAULT
from meshpass.cli._exit import HELP
from meshpass.cli._options import PATH_VALUES, Given, filled_path, with_settings
from meshpass.cli._output import instant, note, print_json, print_table, register, reported
from meshpass.keys import (
    DEFAULT_DRAIN_S,
    GatewayProof,
    KeyLifecycleError,
    KeyRing,
    Keys,
    KeyVersion,
    open_store,
)

SUMMARY = "Create, rotate and revoke signing keys: create, next, promote, retire; revoke a key that leaked."

app = typer.Typer(
    help=f"""{SUMMARY}

    Publish before signing: `next` adds a key and prints the JWKS of both for the manifests; once that is applied,
    `promote` proves that the gateway accepts the new key, and only then lets callers sign with it; `retire` takes the
    old one out when its last token has expired. The JWKS goes to stdout, everything else to stderr.
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog=HELP,
)

_Store = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="projects/P/secrets/S in Secret Manager, or a directory. Left out: the secret of SIGNING_KEY_SECRET_ID,"
        " or the directory of SIGNING_KEY_FILE.",
        show_default=False,
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write the JWKS here too, such as infra/mesh/overlays/NAME/keys/enrichment.json."
    ),
]
_Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document: JWKS, versions, what to do next.")
]
_Drain = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0,
        max=31_536_000,
        help="For how many seconds after a promotion tokens of the old key may be in use: until callers have read"
        " their key again, plus a token's lifetime, plus the difference of clocks.",
    ),
]
_Path = Annotated[
    str, typer.Option(metavar="PATH", help="A call that this caller may make, such as /profile/{user_id}.")
]

_Algorithm = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="ES256, ES384, RS256 or EdDSA. Left out: ES256, or the active key's for `next`.",
        show_default=False,
    ),
]

_APPLY = "Apply this JWKS to the mesh"


def create(
    store: _Store = None, out: _Out = None, as_json: _Json = False, algorithm: _Algorithm = None
) -> None:
    """Make the first key, and the secret or directory for it, and print its JWKS."""
    with reported(as_json=as_json):
        keys = _ring(store).create(algorithm or DEFAULT)
        _give(keys, out, as_json, f"{_APPLY}; then callers may sign with {_signing_name(store)}.")


def jwks(store: _Store = None, out: _Out = None) -> None:
    """Print the JWKS that the mesh needs now: the active key, the next and the previous one."""
    with reported():
        _print_jwks(_ring(store).jwks(), out)


def next_key(
    store: _Store = None, out: _Out = None, as_json: _Json = False, algorithm: _Algorithm = None
) -> None:
    """Add the next key, which does not sign yet, and print the JWKS of both."""
    with reported(as_json=as_json):
        _give(_ring(store).next(algorithm), out, as_json, f"{_APPLY}, then run `meshpass keys promote`.")


@with_settings
def promote(
    *,
    given: Given,
    path: _Path,
    value: PATH_VALUES = None,
    calls: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=1000, help="Calls that must pass, each on a new connection."),
    ] = 5,
    drain: _Drain = DEFAULT_DRAIN_S,
    store: _Store = None,
    as_json: _Json = False,
) -> None:
    """Make the next key active, after calls with it through the gateway have proved that it is accepted.

    Any response of the service itself is a proof. Where the mesh refuses the key, nothing is changed.
    """
    with reported(as_json=as_json):
        proof = GatewayProof(given.signed().settings(), filled_path(path, value), {}, calls)
        keys = _ring(store, drain).promote(proof)
        when = instant((keys.promoted_at or 0) + drain)
        _report(keys, as_json, f"Proven by {calls} calls and promoted. After {when}: `meshpass keys retire`.")


def retire(
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the old key's last token in place of refusing.")
    ] = False,
    drain: _Drain = DEFAULT_DRAIN_S,
    store: _Store = None,
    out: _Out = None,
    as_json: _Json = False,
) -> None:
    """Remove the previous key after its last tokens have expired, and print the JWKS without it."""
    with reported(as_json=as_json):
        _give(
            _ring(store, drain).retire(wait=wait),
            out,
            as_json,
            f"{_APPLY}: the old key is not used any more.",
        )


def revoke(
    which: Annotated[
        str, typer.Argument(metavar="WHICH", help="active, next, previous, a version's number or a kid.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Take out the active key though no other can sign.")
    ] = False,
    store: _Store = None,
    out: _Out = None,
    as_json: _Json = False,
) -> None:
    """Remove a leaked key at once, and print the JWKS without it.

    If it was the active key, the next key signs without a proof, because it is published already.
    """
    with reported(as_json=as_json):
        keys = _ring(store).revoke(which, force=force)
        _give(
            keys,
            out,
            as_json,
            f"{_APPLY} NOW: until the mesh drops the key, it accepts every token signed with it, an attacker's too, and"
            " no token can be revoked. Callers read the new key within five minutes, or as soon as one of their tokens"
            " is refused.",
        )


@with_settings
def status(
    *,
    given: Given,
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Ask the gateway too, by this call with each key.")
    ] = None,
    value: PATH_VALUES = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--jwks", metavar="FILE", help="Compare with this JWKS file.", exists=True, dir_okay=False
        ),
    ] = None,
    store: _Store = None,
    as_json: _Json = False,
) -> None:
    """Show all versions: their kid, state and age, whether the JWKS has them and the gateway accepts them."""
    with reported(as_json=as_json):
        filled = None if path is None else filled_path(path, value)
        ring = _ring(store)
        keys = ring.status()
        in_file = _kids_in(manifest) if manifest else None
        accepted: dict[int, KeyLifecycleError | None] = {}
        if filled is not None:
            proof = GatewayProof(given.signed().settings(), filled, {}, calls=1)
            accepted = dict(ring.probe(proof))
    rows = [_row(version, in_file, accepted) for version in keys.versions]
    if as_json:
        print_json({"promoted_at": keys.promoted_at, "versions": rows})
    else:
        _print_status(rows, published="in JWKS" if manifest else "published")


register(app, create)
register(app, jwks)
register(app, next_key, "next")
register(app, promote)
register(app, retire)
register(app, revoke)
register(app, status)


def _ring(store: str | None, drain_s: float = DEFAULT_DRAIN_S) -> KeyRing:
    name = _named(store)
    if store is None and name.startswith("projects/") and not name.endswith("/versions/active"):
        note(f"SIGNING_KEY_SECRET_ID is {name}: callers follow a promotion only by .../versions/active.")
    return KeyRing(open_store(name), drain_s=drain_s)


def _named(store: str | None) -> str:
    if store is not None and not store.strip():
        raise ConfigurationError("--store is empty.")
    return _store_of_environment() if store is None else store


def _store_of_environment() -> str:
    secret, file = os.environ.get("SIGNING_KEY_SECRET_ID"), os.environ.get("SIGNING_KEY_FILE")
    if secret and not file:
        return secret
    if file and not secret:
        return str(Path(file).parent)
    raise ConfigurationError(
        "--store is missing, and SIGNING_KEY_SECRET_ID or SIGNING_KEY_FILE does not name one."
    )


def _signing_name(store: str | None) -> str:
    name = _named(store).partition("/versions/")[0]
    return f"{name}/versions/active" if name.startswith("projects/") else str(Path(name) / "active.pem")


def _give(keys: Keys, out: Path | None, as_json: bool, next_step: str) -> None:
    """Print the result of a step that changed the JWKS."""
    if as_json:
        if out:
            _write(keys.jwks(), out)
        _print_document(keys, next_step)
    else:
        _print_jwks(keys.jwks(), out)
        note(next_step)


def _report(keys: Keys, as_json: bool, next_step: str) -> None:
    """Print the result of a step that did not change the JWKS."""
    if as_json:
        _print_document(keys, next_step)
    else:
        _print_status([_row(version, None, {}) for version in keys.versions])
        note(next_step)


def _print_document(keys: Keys, next_step: str) -> None:
    versions = [_row(version, None, {}) for version in keys.versions]
    print_json({"jwks": keys.jwks(), "versions": versions, "next_step": next_step})


def _print_jwks(document: object, out: Path | None) -> None:
    print_json(document)
    if out:
        _write(document, out)


def _write(document: object, out: Path) -> None:
    fresh = out.parent / f".{out.name}.{os.getpid()}"
    try:
        fresh.write_text(json.dumps(document, indent=2) + "\n")
        fresh.replace(out)
    except OSError as exc:
        fresh.unlink(missing_ok=True)
        raise ConfigurationError(
            f"--out {out} cannot be written: {exc.strerror}. The step itself was taken: `meshpass keys jwks` prints it."
        ) from exc


def _kids_in(manifest: Path) -> set[str]:
    try:
        return {key["kid"] for key in json.loads(manifest.read_text())["keys"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ConfigurationError(f"--jwks {manifest} is not a JWKS whose keys all have a kid.") from exc


def _row(
    version: KeyVersion, in_file: set[str] | None, accepted: dict[int, KeyLifecycleError | None]
) -> dict[str, object]:
    row: dict[str, object] = {
        "version": version.number,
        "state": version.state,
        "kid": version.kid,
        "created_at": version.created_at,
        "in_jwks": version.published if in_file is None else version.kid in in_file,
    }
    if version.number in accepted:
        refusal = accepted[version.number]
        row |= {"accepted": refusal is None, "refusal": str(refusal) if refusal else None}
    return row


def _print_status(rows: list[dict[str, object]], published: str = "published") -> None:
    if not rows:
        note("There is no key yet. Make the first one with `meshpass keys create`.")
        return
    asked = any("accepted" in row for row in rows)
    heads = ["version", "state", "kid", "created", published, *(["accepted"] if asked else [])]
    words = {True: "yes", False: "no", None: "-"}
    table = []
    for row in rows:
        created = float(str(row["created_at"]))
        cells = [
            str(row["version"]),
            str(row["state"]),
            str(row["kid"] or "-"),
            f"{instant(created)} ({_age(created)})",
        ]
        cells += [words[bool(row["in_jwks"])]]
        cells += [words[row.get("accepted")]] if asked else []  # type: ignore[index]
        table.append(cells)
    print_table(heads, table)
    for row in rows:
        if row.get("refusal"):
            note(f"Version {row['version']}: {row['refusal']}")


def _age(created_at: float) -> str:
    days = (time.time() - created_at) / 86_400
    return f"{days:.0f} days" if days >= 2 else f"{max(days, 0) * 24:.0f} h"
