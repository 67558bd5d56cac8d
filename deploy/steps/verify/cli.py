"""``deploy/verify``: read a deployment back, and report what is unsafe or differs from the contract."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meshcontract

from .. import CONTRACT, ROOT, RefusalError, gcloud, relative
from ..cloud import fields, questions, readers, recordings
from ..cloud.answers import Outcome, one_line
from ..cloud.scrub import HIDDEN, Scrubber
from ..deploy.entry_points import ENRICH, ENTRY_POINTS, LOOKUP, environment
from ..package import bundle
from . import checks, report
from .checks.environment import PLATFORM
from .deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..cloud.answers import Answer, Question
    from ..cloud.readers import Reader
    from ..cloud.recordings import Recording
    from ..deploy.entry_points import EntryPoint

CLEAN, FINDINGS, NOT_RUN = 0, 1, 2

JWKS = ROOT / "infra" / "mesh" / "overlays" / "example" / "keys" / "enrichment.json"
PACKAGE = ROOT / "build" / "function"
_LABEL_LENGTH = 12
"""How much of the package's digest `deploy/deploy` writes into the label."""


def main(arguments: Sequence[str]) -> int:
    """Verify a deployment; see ``--help``.

    Returns:
        The exit code: 0 all as the contract says, 1 findings, 2 nothing was verified.
    """
    options = _parser().parse_args(arguments)
    try:
        return _verify(options)
    except (RefusalError, meshcontract.ContractError) as refusal:
        sys.stderr.write(f"deploy/verify: {refusal}\n")
        return NOT_RUN


def ask(
    values: Mapping[str, str],
    entries: Sequence[EntryPoint],
    reader: Reader,
    progress: Callable[[int], Callable[[str], None]],
) -> dict[str, tuple[Question, Answer]]:
    """Ask every question about a deployment, and return the questions with their answers by name.

    Args:
        values: A checked contract.
        entries: The entry points to read.
        reader: What answers.
        progress: Returns the report of progress for so many questions.

    Raises:
        RefusalError: gcloud has no credentials.
    """
    planned = questions.first(values, entries)
    # One alone, before all others: it shows whether gcloud can sign in at all.
    head, rest = planned[0], planned[1:]
    answers = {head.name: reader(head)}
    if answers[head.name].outcome is Outcome.SIGNED_OUT:
        readers.require_signed_in(answers[head.name])
    answers |= readers.read_all(reader, rest, progress(len(rest)))
    for later in (questions.second, questions.third):
        more = later(values, answers)
        planned += more
        answers |= readers.read_all(reader, more)
    return {question.name: (question, answers[question.name]) for question in planned}


def contract(path: Path | None, recording: Recording | None) -> dict[str, str]:
    """Return the checked contract: the one that is named, else the recording's, else the repository's.

    Raises:
        ContractError: it cannot be deployed from.
    """
    if path or not recording:
        return meshcontract.load(path or CONTRACT)
    # The recorded contract is checked like any other.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contract.env"
        file.write_text(
            "".join(f"{key}={value}\n" for key, value in recording.contract.items()), encoding="utf-8"
        )
        try:
            return meshcontract.load(file)
        except meshcontract.ContractError as error:
            # The file is gone when the message is read.
            raise RefusalError(
                "\n".join(
                    one_line(line)
                    for line in str(error).replace(str(file), "the recording's contract").splitlines()
                )
            ) from None


def _verify(options: argparse.Namespace) -> int:
    if options.record:
        recordings.require_new(options.record)
    recording = recordings.read(options.recording) if options.recording else None
    values = contract(options.contract, recording)
    if placeholders := meshcontract.placeholders(values):
        raise RefusalError(
            f"the contract still names the placeholder project {meshcontract.PLACEHOLDER_PROJECT!r} in "
            f"{', '.join(placeholders)}. Write your own."
        )
    entries = _entries(options.entry_point, values)
    reader: Reader
    if recording:
        reader = recording
    else:
        gcloud.require()
        reader = readers.CommandReader()
    package = recording.package if recording else _package(options.source)
    jwks = recording.jwks if recording and not options.jwks else _jwks(options.jwks)

    def progress(total: int) -> Callable[[str], None]:
        title = f"reading {values['GOOGLE_CLOUD_PROJECT']}"
        return (lambda _: None) if recording else readers.Progress(title, total)

    for not_read in _not_read(values):
        sys.stderr.write(f"{not_read}\n")
    answered = ask(values, entries, reader, progress)
    if options.record:
        _record(options.record, values, package, jwks, answered)
    deployment = Deployment(
        values=values,
        entries=entries,
        asked={name: question for name, (question, _) in answered.items()},
        answers={name: answer for name, (_, answer) in answered.items()},
        package=package,
        jwks=jwks,
    )
    found = checks.findings(deployment)
    if options.json:
        sys.stdout.write(report.as_json(found, project=values["GOOGLE_CLOUD_PROJECT"], read=len(answered)))
    else:
        color = report.wants_color(sys.stdout)
        sys.stdout.write(report.text(found, read=len(answered), color=color, width=report.width(sys.stdout)))
    return FINDINGS if found else CLEAN


def _not_read(values: Mapping[str, str]) -> list[str]:
    """Return what the contract names and this command does not read back, one sentence for each."""
    driven = {
        "PULL_WORKER_SERVICE_ACCOUNT": "the pull worker (its subscription, account and pool): see `terraform plan`",
        "DATAFLOW_SERVICE_ACCOUNT": "what runs on Dataflow: see `terraform plan` and deploy/dataflow verify",
    }
    return [f"not read: {what}" for key, what in driven.items() if values[key]]


def _entries(chosen: str, values: Mapping[str, str]) -> list[EntryPoint]:
    if chosen:
        entry = ENTRY_POINTS[chosen]
        missing = [key for key in entry.needs if not values[key]]
        if missing:
            raise RefusalError(f"{', '.join(missing)} is missing in the contract; {chosen} needs it")
        return [entry]
    return [ENRICH, *([LOOKUP] if values["LOOKUP_SERVICE_ACCOUNT"] else [])]


def _package(chosen: Path | None) -> str:
    source = chosen or PACKAGE
    if source.is_dir():
        return bundle.digest(source)[:_LABEL_LENGTH]
    if chosen:
        raise RefusalError(f"{relative(source)} is no folder. Name the output of deploy/package.")
    sys.stderr.write(f"there is no {relative(source)}, so the deployed package is not compared\n")
    return ""


def _jwks(path: Path | None) -> Any:  # noqa: ANN401 - JSON
    chosen = path or JWKS
    if not path and not chosen.exists():
        return None
    try:
        return json.loads(chosen.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RefusalError(
            f"the mesh's public keys cannot be read from {relative(chosen)}: {error}. Name a JWKS, or the output of "
            "`kubectl get requestauthentications -A -o json`."
        ) from None


def _record(
    folder: Path,
    values: Mapping[str, str],
    package: str,
    jwks: Any,  # noqa: ANN401 - JSON
    answered: Mapping[str, tuple[Question, Answer]],
) -> None:
    known = {*PLATFORM, *environment(values, ENRICH), *environment(values, LOOKUP)}
    recordings.write(
        folder,
        contract=values,
        package=package,
        jwks=None if jwks is None else public_only(jwks),
        answers=answered,
        scrubber=Scrubber(known),
    )
    sys.stderr.write(f"recorded in {relative(folder)}\n")


def public_only(document: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what verification reads of a JWKS or of RequestAuthentications, so that no recording has a private key.

    All else is left out: `kubectl apply` keeps a copy of a manifest in an annotation, with all that was in it.
    """
    if fields.items(document, "keys"):
        return _public_keys(document)
    return {
        "items": [
            {"spec": {"jwtRules": [_public_rule(rule) for rule in fields.items(item, "spec", "jwtRules")]}}
            for item in fields.items(document, "items") or [document]
        ]
    }


def _public_keys(jwks: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    keys = fields.items(jwks, "keys")
    return {"keys": [{name: value for name, value in key.items() if name in _PUBLIC} for key in keys]}


def _public_rule(rule: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    try:
        keys = _public_keys(json.loads(fields.text(rule, "jwks") or "{}"))
    except (ValueError, RecursionError):
        keys = {"keys": []}
    fetched = {"jwksUri": HIDDEN} if "jwksUri" in rule else {"jwks": json.dumps(keys)}
    return {"issuer": fields.text(rule, "issuer"), **fetched}


_PUBLIC = frozenset({"kty", "use", "alg", "kid", "key_ops", "crv", "x", "y", "n", "e"})
"""Public members of a JWK: RFC 7517, section 4, and RFC 7518, section 6."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/verify",
        description="Reads the deployment back with gcloud and bq: functions, revisions, subscription, topics, table, "
        "view, secrets, grants, addresses and alerts. Reports what is unsafe, missing or different from the contract, "
        "each with the command that mends it. It changes nothing.",
        epilog="Exit codes: 0 all as the contract says, 1 findings, 2 nothing was verified. Each finding: "
        "docs/verify.md",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--entry-point", choices=ENTRY_POINTS, default="", help="verify one function only (default: both)"
    )
    parser.add_argument("--contract", type=Path, help="KEY=VALUE file (default: infra/contract.env)")
    parser.add_argument(
        "--source",
        type=Path,
        help="folder from deploy/package; its digest is compared with the label, if the folder exists (default: "
        "build/function)",
    )
    parser.add_argument(
        "--jwks",
        type=Path,
        help="the mesh's public keys: a JWKS, or the output of `kubectl get requestauthentications -A -o json` "
        "(default: the keys of infra/mesh/overlays/example)",
    )
    parser.add_argument(
        "--from",
        dest="recording",
        type=Path,
        metavar="RECORDING",
        help="read a recording in place of the cloud: its folder, or its manifest",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FOLDER",
        help="write the answers into a new folder; addresses of people and unknown variables are left out",
    )
    return parser
