"""Lines of the file: what its readers would read differently, and what a shell would run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import meshcontract
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from meshcontract.command import export
from meshlab.env_file import read_env_file

# Everything that was read, as the shell has it. The trap shows what ran beside the assignments.
_SCRIPT = """
cd "$1" || exit 9
set -u
. ./contract.env || exit 8
for key in $(cat keys); do eval "printf '%s\\n' \\"\\$$key\\""; done
"""
_KEYS = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True)
_ANY = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20)
_LIKELY = st.text("ab1 $`'\"\\;&|<>()*?[]{}#!~%=:,./@+-^\t\r\x00é", max_size=12)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("export A=b", "is not KEY=VALUE: 'export A=b'"),
        ("just words", "is not KEY=VALUE"),
        ("=b", "is not KEY=VALUE"),
        (" A=b", "is not KEY=VALUE"),
        ("a=b", "is not KEY=VALUE"),
        ("A =b", "is not KEY=VALUE"),
        ("\x0b", "is not KEY=VALUE"),
        ("# a comment with \x00", "is not KEY=VALUE"),
        ("REGION=europe-west4", "REGION is written a second time; line 33 has it too. Keep one."),
        (
            'EXTRA="quoted"',
            "EXTRA is '\"quoted\"', and U+0022 (quotation mark) in it would be part of the value",
        ),
        ("EXTRA= spaced", "U+0020 (space) in it would end the value for a shell"),
        ("EXTRA=spaced ", "U+0020 (space)"),
        ("EXTRA=a b", "U+0020 (space)"),
        ("EXTRA=a\tb", "U+0009"),
        ("EXTRA=a\r", "ends in a carriage return"),
        ("EXTRA=$HOME", "U+0024 (dollar sign) in it means something to a shell"),
        ("EXTRA=`id`", "U+0060 (grave accent)"),
        ("EXTRA=a;id", "U+003B (semicolon)"),
        ("EXTRA=a&id", "U+0026 (ampersand)"),
        ("EXTRA=a|id", "U+007C (vertical line)"),
        ("EXTRA=a>b", "U+003E (greater-than sign)"),
        ("EXTRA=(a)", "U+0028 (left parenthesis)"),
        ("EXTRA=~root", "U+007E (tilde)"),
        ("EXTRA=a\\", "U+005C (reverse solidus)"),
        ("EXTRA=a#b", "U+0023 (number sign)"),
        ("EXTRA=é", "is read in different ways"),
        ("EXTRA=a\u2028b", "U+2028 (line separator)"),
        ("PATH=/tmp", "PATH has a meaning of its own for a shell or Python"),
        ("IFS=a", "IFS has a meaning of its own"),
        ("LD_PRELOAD=/tmp/a.so", "LD_PRELOAD has a meaning of its own"),
        ("BASH_ENV=/tmp/a", "BASH_ENV has a meaning of its own"),
        ("PYTHONPATH=/tmp", "PYTHONPATH has a meaning of its own"),
    ],
)
def test_a_line_that_its_readers_would_read_differently_is_refused(
    tmp_path: Path, line: str, complaint: str
) -> None:
    file = tmp_path / "contract.env"
    before = "\n" * 32 + "REGION=europe-west1\n"
    file.write_bytes(f"{before}{line}\n".encode())
    with pytest.raises(meshcontract.ContractError) as caught:
        meshcontract.read(file)
    (found,) = str(caught.value).splitlines()[1:]
    assert found.strip().startswith("line 34: ")
    assert complaint in found


def test_a_file_without_an_end_is_refused_at_once() -> None:
    with pytest.raises(meshcontract.ContractError, match="has more than 256 KiB"):
        meshcontract.read(Path("/dev/zero"))


def test_an_empty_file_has_no_problem_but_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "contract.env").touch()
    with pytest.raises(meshcontract.ContractError) as caught:
        meshcontract.load(tmp_path / "contract.env")
    assert [line for line in str(caught.value).splitlines()[1:] if " is missing" not in line] == []


def test_comments_and_empty_lines_are_no_values(tmp_path: Path) -> None:
    file = tmp_path / "contract.env"
    file.write_text("# a `comment`; with $(things) é\n\n  \t\n  # another\nREGION=europe-west1\nEXTRA=\n")
    assert meshcontract.read(file) == {"REGION": "europe-west1", "EXTRA": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_KEYS, st.one_of(_LIKELY, _ANY)), min_size=1, max_size=6))
@example([("A", "$(touch ran)")])
@example([("A", "`touch ran`")])
@example([("A", "b touch ran")])
@example([("A", "b;touch ran")])
@example([("A", "a\r")])
@example([("A", "~"), ("B", "a:~"), ("C", "a[b]*")])
@example([("OPTIND", "x"), ("PPID", "1"), ("IFS", "a")])
def test_a_file_that_is_accepted_is_to_a_shell_what_was_read_and_runs_nothing(
    folder: Path, pairs: list[tuple[str, str]]
) -> None:
    file = folder / "contract.env"
    file.write_bytes("".join(f"{key}={value}\n" for key, value in pairs).encode())
    read = meshcontract.read_lines(file)
    if read.problems:
        return
    assert read.values == dict(pairs)
    assert _in_a_shell(folder, read.values) == read.values
    # The bench and kustomize read the same lines.
    assert read_env_file(file) == read.values


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        _KEYS, st.from_regex(r"[A-Za-z0-9_@%+=:,./\[\]-]{0,20}", fullmatch=True), min_size=1, max_size=8
    )
)
def test_every_value_of_allowed_characters_is_to_a_shell_what_was_read(
    folder: Path, values: dict[str, str]
) -> None:
    file = folder / "contract.env"
    file.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    read = meshcontract.read_lines(file)
    assert {problem.what.partition(".")[0] for problem in read.problems} <= {
        "has a meaning of its own for a shell or Python"
    }
    assert _in_a_shell(folder, read.values) == read.values
    # `--export` gives a shell the same values.
    (folder / "contract.env").write_text(export(read.values))
    assert _in_a_shell(folder, read.values) == read.values


def _in_a_shell(folder: Path, values: dict[str, str]) -> dict[str, str]:
    """Return what `sh` has in the variables after it read the file, and check that nothing else happened."""
    if not values:
        return {}
    (folder / "keys").write_text("\n".join(values))
    before = sorted(folder.iterdir())
    done = subprocess.run(
        ["sh", "-c", _SCRIPT, "sh", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(folder.iterdir()) == before
    return dict(zip(values, done.stdout.split("\n"), strict=False))
