"""What a module takes and gives, as Markdown tables made from its variables and outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import hcl2
from meshlab.errors import LabError
from meshlab.named_files import read_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BEGIN", "END", "rewritten", "tables"]

BEGIN = "<!-- inputs and outputs: made by `make manifests` from variables.tf and outputs.tf -->"
END = "<!-- end of inputs and outputs -->"


def rewritten(readme: Path) -> str | None:
    """Return a README with the tables of its folder between the two comments; None where it has no such comments.

    Raises:
        LabError: A file cannot be read or is no HCL, or the second comment is missing.
    """
    text = read_text(readme)
    if BEGIN not in text:
        return None
    before, _, rest = text.partition(BEGIN)
    if END not in rest:
        raise LabError(f"{readme} has no line {END!r}: add it where the tables end.")
    return f"{before}{BEGIN}\n\n{tables(readme.parent)}\n{END}{rest.partition(END)[2]}"


def tables(folder: Path) -> str:
    """Return the tables of a folder's inputs and outputs.

    Raises:
        LabError: A file cannot be read or is no HCL.
    """
    inputs = _blocks(folder, "variable")
    outputs = _blocks(folder, "output")
    lines = ["| input | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, body in inputs:
        default = f"`{_cell(_value(body['default']))}`" if "default" in body else "needed"
        lines.append(
            f"| `{name}` | `{_cell(_value(body.get('type', 'any')))}` | {default} | {_meaning(body)} |"
        )
    lines += ["", "| output | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {_meaning(body)} |" for name, body in outputs]
    return "\n".join(lines) + "\n"


def _blocks(folder: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the blocks of a kind in all files of a folder, in the order of files and lines."""
    found = []
    for path in sorted(folder.glob("*.tf")):
        try:
            document = hcl2.loads(read_text(path))
        except Exception as error:  # the parser's own errors have no class in common
            raise LabError(f"{path} is no HCL: {error}") from error
        for block in document.get(kind, []):
            found += [(label.strip('"'), body) for label, body in block.items()]
    return found


def _meaning(body: dict[str, Any]) -> str:
    return _cell(_value(body.get("description", ""))).strip('"')


def _value(value: object) -> str:
    """Return a value as it is written in a file, on one line."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {_value(one)}" for key, one in value.items() if not key.startswith("__"))
        return f"{{ {inner} }}" if inner else "{}"
    return " ".join(re.sub(r"^\$\{(.*)\}$", r"\1", str(value), flags=re.DOTALL).split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
