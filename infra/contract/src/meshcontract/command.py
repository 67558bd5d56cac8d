"""The command `deploy/contract`: check the contract, show it, and hand it to a shell, to Terraform or to a program."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshcontract.checks import file_problems, load, placeholders, with_defaults
from meshcontract.env_file import ALLOWED, read_lines
from meshcontract.errors import ContractError
from meshcontract.keys import KEYS, own_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcontract.env_file import EnvFile

__all__ = ["export", "main", "tfvars", "update"]

_EPILOG = "exit code: 0 the contract is right, 1 it is not. Every key: docs/contract.md"


def main(arguments: Sequence[str], default: Path) -> None:
    """Run the command; see `--help`.

    Args:
        arguments: What follows the command's name.
        default: The contract that is read where none is named.

    Raises:
        ContractError: The contract cannot be read or has problems.
    """
    options = _parser(default).parse_args(arguments)
    path: Path = options.contract
    if options.update_from is not None:
        changed = update(path, options.update_from)
        sys.stdout.write(
            "".join(f"{key}={value}\n" for key, value in changed.items()) or "nothing to change\n"
        )
    elif options.tfvars:
        sys.stdout.write(f"{json.dumps(tfvars(load(path, before_terraform=True)), indent=2)}\n")
    elif options.export:
        try:
            sys.stdout.write(export(load(path, before_terraform=True)))
        except ContractError:
            # What `eval` then runs: without it the commands that follow would go on without their values.
            sys.stdout.write("false\n")
            raise
    elif options.json:
        _show_json(path)
    else:
        _show(path)


def export(values: Mapping[str, str]) -> str:
    """Return the values as a shell reads them, for `eval "$(deploy/contract --export)"`.

    No value of a contract that was checked has a quote in it.
    """
    return "".join(f"{key}='{value}'\n" for key, value in values.items())


def tfvars(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the variables of Terraform's root; those without a value are left out.

    Args:
        values: A checked contract.
    """
    found: dict[str, Any] = {}
    for name, key in KEYS.items():
        value = values[name]
        if "terraform" not in key.readers or not value:
            continue
        match key.type.terraform:
            case "number":
                found[name.lower()] = int(value)
            case "list(string)":
                found[name.lower()] = value.split(",")
            case _:
                found[name.lower()] = value
    return found


def update(path: Path, outputs: Path) -> dict[str, str]:
    """Write what Terraform gives back into the contract, and leave every other line as it is.

    Args:
        path: The contract.
        outputs: What `terraform output -json` printed; `-` for standard input.

    Returns:
        The keys that changed, with their new values.

    Raises:
        ContractError: The outputs cannot be read, one of them is secret or no value of its key, or the contract
            would have problems with them.
    """
    file = read_lines(path)
    given = _outputs(outputs, file.values)
    changed = {key: value for key, value in given.items() if file.values.get(key, "") != value}
    if not changed:
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    rest = dict(changed)
    for number, line in enumerate(lines):
        key = line.partition("=")[0]
        if key in rest:
            lines[number] = f"{key}={rest.pop(key)}"
    if rest:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += ["", "# --- written by deploy/contract --update-from ---"]
        lines += [f"{key}={value}" for key, value in rest.items()] + [""]
    _replace(path, "\n".join(lines))
    return changed


def _outputs(source: Path, written: Mapping[str, str]) -> dict[str, str]:
    name = "standard input" if str(source) == "-" else str(source)
    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ContractError(f"cannot read {name}: {error}. Write `terraform output -json` to it.") from None
    if not isinstance(found, dict) or not all(
        isinstance(one, dict) and "value" in one for one in found.values()
    ):
        raise ContractError(f"{name} is not what `terraform output -json` prints: an object of outputs.")
    values, problems = {}, []
    # A key of the user's own, such as REPORTS_SUBJECT for a further caller, goes back where the contract has it. Other
    # keys are what Terraform was given: an output of such a name does not change them.
    returned = {
        name.lower(): name
        for name in (
            *(key for key in KEYS if KEYS[key].returned),
            *(key for key in written if key not in KEYS),
        )
    }
    for output, described in found.items():
        key, value = returned.get(output, ""), described["value"]
        of = KEYS[key].type if key in KEYS else own_type(key)
        if of is None or value is None:
            continue
        if described.get("sensitive"):
            problems.append(
                f"  {output} is a secret output, and the contract holds no secrets. Do not name it so."
            )
            continue
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        if text and (problem := of.problem(text)):
            problems.append(f"  {output} {problem}")
        elif text:
            values[key] = text
    if problems:
        raise ContractError(
            "\n".join([f"{name} does not fit into the contract; nothing was written:", *problems])
        )
    return values


def _replace(path: Path, text: str) -> None:
    """Put a new contract in place at once, if it has no more problems than the one before."""
    target = path.resolve()  # infra/contract.env is a link
    before = {(problem.key, problem.what) for problem in file_problems(read_lines(target))}
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        after = [
            problem for problem in file_problems(read_lines(new)) if (problem.key, problem.what) not in before
        ]
        if after:
            listed = "\n".join(f"  {problem}" for problem in after)
            raise ContractError(
                f"{path} would have problems with these values; nothing was written:\n{listed}"
            )
        new.chmod(target.stat().st_mode & 0o777)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _show(path: Path) -> None:
    file = read_lines(path)
    values = with_defaults(file.values)
    rows = [(key, value or "-", _source(file, key)) for key, value in values.items()]
    width = max(len(key) for key, _, _ in rows)
    sys.stdout.write("".join(f"{key:<{width}}  {value}{source}\n" for key, value, source in rows))
    load(path)
    if names := placeholders(values):
        sys.stdout.write(f"these still name the placeholder project: {', '.join(names)}\n")
    sys.stdout.write(f"{path}: {len(file.values)} values are right\n")


def _source(file: EnvFile, key: str) -> str:
    if file.values.get(key):
        return "" if key in KEYS or own_type(key) else "  (unknown here)"
    return "  (default)" if with_defaults(file.values)[key] else ""


def _show_json(path: Path) -> None:
    file = read_lines(path)
    problems = file_problems(file, complete=True)
    values = with_defaults(file.values)
    shown = {
        "path": str(path),
        "values": values,
        "placeholders": placeholders(values),
        "problems": [
            {"key": problem.key, "line": problem.line, "problem": str(problem)} for problem in problems
        ],
        "keys": {
            name: {
                "default": key.default,
                "meaning": key.meaning,
                "form": key.type.form,
                "pattern": f"^(?:{key.type.pattern})$",
                "readers": sorted(key.readers),
                "written": bool(file.values.get(name)),
            }
            for name, key in KEYS.items()
        },
    }
    sys.stdout.write(f"{json.dumps(shown, indent=2)}\n")
    load(path)


def _parser(default: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/contract",
        description="Checks infra/contract.env, and prints every key with its value. All problems are listed at once. "
        f"A value is made of {ALLOWED.removesuffix('*')}: nothing that a shell would interpret.",
        epilog=_EPILOG,
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--export",
        action="store_true",
        help="print KEY='value' lines, defaults filled in, for: eval \"$(deploy/contract --export)\"",
    )
    forms.add_argument("--tfvars", action="store_true", help="print the variables of infra/terraform as JSON")
    forms.add_argument("--json", action="store_true", help="print values, problems and keys as JSON")
    forms.add_argument(
        "--update-from",
        type=Path,
        metavar="FILE",
        help="write what `terraform output -json` printed into the contract (- for standard input)",
    )
    parser.add_argument(
        "--contract", type=Path, default=default, help="KEY=VALUE file (default: infra/contract.env)"
    )
    return parser
