"""What a user names is read within a limit: files and open pipes, and neither devices nor named pipes."""

from __future__ import annotations

import io
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file import CaseFileError
from meshlab.bench.case_file.collect import collect
from meshlab.bench.check.each import check_each, files_of
from meshlab.bench.settings_file import read_settings_file
from meshlab.env_file import read_env_file
from meshlab.errors import LabError
from meshlab.inputs import read_inputs
from meshlab.kustomize.build import build
from meshlab.manifest import ManifestError
from meshlab.named_files import FileReadError, read_bytes, read_stream, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

SERVICE = b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"
CASES = b"cases: [{name: a, from: {workload: a/b}, request: 'http://c.d/', expect: 200}]\n"


def open_pipe(content: bytes) -> str:
    """Return the path that a shell would pass for `<(command)`."""
    reads, writes = os.pipe()
    os.write(writes, content)
    os.close(writes)
    return f"/dev/fd/{reads}"


@pytest.fixture
def named_pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    return path


READERS: list[Callable[[Path], object]] = [
    lambda path: read_inputs([str(path)]),
    lambda path: collect([path]),
    lambda path: list(check_each(files_of([str(path)]))),
    read_settings_file,
    read_env_file,
]


@pytest.mark.parametrize("read", READERS)
def test_a_device_is_refused_wherever_a_file_may_be_named(read: Callable[[Path], object]) -> None:
    with pytest.raises((LabError, CaseFileError), match=r"/dev/zero.*: it is a device; name a file"):
        read(Path("/dev/zero"))


@pytest.mark.parametrize("read", READERS)
def test_a_named_pipe_is_refused_and_not_waited_for(read: Callable[[Path], object], named_pipe: Path) -> None:
    with pytest.raises((LabError, CaseFileError), match=r"pipe\.yaml.*: it is a named pipe; name a file"):
        read(named_pipe)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has a limit of its own
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("s.yaml")
        with pytest.raises(FileReadError, match=r"s\.yaml: it is a socket"):
            read_bytes(Path("s.yaml"))


def test_a_link_to_a_device_is_refused_and_passed_over_in_a_directory(tmp_path: Path) -> None:
    link = tmp_path / "endless.yaml"
    link.symlink_to("/dev/zero")
    with pytest.raises(FileReadError, match="it is a device"):
        read_text(link)
    (tmp_path / "a.yaml").write_bytes(SERVICE)
    assert [found.name for found in read_inputs([str(tmp_path)]).manifests] == ["a"]


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="cannot be read: No such file or directory"):
        read_bytes(tmp_path / "missing")
    with pytest.raises(FileReadError, match="cannot be read: Is a directory"):
        read_bytes(tmp_path)


def test_a_pipe_that_is_open_is_read_as_a_file() -> None:
    assert [found.name for found in read_inputs([open_pipe(SERVICE)]).manifests] == ["a"]
    assert [len(found.cases) for found in collect([Path(open_pipe(CASES))])] == [1]


def test_dev_stdin_is_read() -> None:
    kept = os.dup(0)
    os.dup2(int(open_pipe(SERVICE).rpartition("/")[2]), 0)
    try:
        assert read_bytes(Path("/dev/stdin")) == SERVICE
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshlab.named_files.MAX_BYTES", 2**20)
    file = tmp_path / "large.yaml"
    file.write_bytes(b"#" * 2**20)
    assert len(read_bytes(file)) == 2**20
    file.write_bytes(b"#" * (2**20 + 1))
    says = r"larger than 1 MiB, the limit; name a smaller file"
    with pytest.raises(FileReadError, match=rf"large\.yaml: {says}"):
        read_bytes(file)
    with pytest.raises(FileReadError, match=rf"\(standard input\): {says}"):
        read_stream(io.StringIO("#" * (2**20 + 1)))


def test_standard_input_without_an_end_is_refused() -> None:
    with Path("/dev/zero").open() as endless, pytest.raises(FileReadError, match="larger than 64 MiB"):
        read_stream(endless)


def test_text_that_is_not_utf8_is_refused_and_a_byte_order_mark_is_not_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "a.env"
    file.write_bytes(b"\xef\xbb\xbfA=1\n")
    assert read_env_file(file) == {"A": "1"}
    file.write_bytes(b"A=\xff\n")
    with pytest.raises(LabError, match=r"a\.env: not UTF-8 text: invalid start byte at byte 2"):
        read_env_file(file)


def test_a_kustomization_with_a_named_pipe_is_refused(named_pipe: Path) -> None:
    (named_pipe.parent / "kustomization.yaml").write_text("resources: [pipe.yaml]\n")
    with pytest.raises(ManifestError, match=r"pipe\.yaml: it is a named pipe"):
        build(named_pipe.parent)


def test_the_command_says_it_in_one_sentence(command: Command) -> None:
    done = command("check", "-f", "/dev/zero")
    says = "meshlab: /dev/zero: it is a device; name a file, or - for standard input\n"
    assert (done.code, done.out, done.err) == (2, "", says)


def test_what_can_be_read_only_once_is_not_watched(command: Command, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_bytes(CASES)
    for arguments in (("-f", open_pipe(SERVICE), cases), ("-f", "manifests", open_pipe(CASES))):
        done = command("test", "--watch", *arguments)
        assert done.code == 2
        assert "--watch cannot watch a pipe; name a file" in done.err
