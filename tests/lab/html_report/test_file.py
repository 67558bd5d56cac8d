"""The file of a report: whole or not there, with the rights that a file of the user has."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.errors import LabError
from meshlab.html_report.file import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_gets_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", "é")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "é"
    assert rights(tmp_path / "a.html") == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_a_file_that_is_there_is_replaced_at_once_and_keeps_its_rights(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_text("old")
    file.chmod(0o600)
    before = file.open()
    write_report(file, "new")
    assert before.read() == "old"
    before.close()
    assert file.read_text() == "new"
    assert rights(file) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    write_report(tmp_path / "link.html", "new")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text() == "new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_report(tmp_path / "pipe", "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)


def test_a_file_that_is_open_as_stdout_keeps_what_was_printed_into_it(tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("w+") as out:
        out.write("printed before, ")
        out.flush()
        write_report(Path(f"/dev/fd/{out.fileno()}"), "the report")
        out.seek(0)
        assert out.read() == "printed before, the report"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("name", ["missing/a.html", "."])
def test_what_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabError, match="the HTML file cannot be written: "):
        write_report(tmp_path / name, "text")
    assert list(tmp_path.iterdir()) == []
