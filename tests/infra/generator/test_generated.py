"""Generated files: they say so, they are written once, and what follows from nothing is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from meshgen.generated import GeneratedFile, is_generated, objects_file, stale, write

from tests.infra.generator.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def file(directory: Path, name: str = "a.yaml", value: str = "1") -> GeneratedFile:
    return objects_file(directory / name, "its/source.yaml", [{"a": value}])


def test_the_first_line_names_the_source_and_the_command(tmp_path: Path) -> None:
    text = file(tmp_path).text
    assert text.splitlines()[0].startswith("# Generated from its/source.yaml by `make manifests`")
    assert yaml.safe_load(text) == {"a": "1"}


def test_a_note_is_a_comment_and_documents_are_separated(tmp_path: Path) -> None:
    text = objects_file(tmp_path / "a", "s", [{"a": 1}, {"b": 2}], note="first\nsecond").text
    assert text.splitlines()[1:3] == ["# first", "# second"]
    assert list(yaml.safe_load_all(text)) == [{"a": 1}, {"b": 2}]


def test_a_reason_stands_above_its_field(tmp_path: Path) -> None:
    text = objects_file(tmp_path / "a", "s", [{"a": {"b": 1, "# it's why": None, "c": [2]}}]).text
    assert text.splitlines()[1:] == ["a:", "  b: 1", "  # it's why", "  c:", "    - 2"]


def test_lists_in_compact_files_stand_on_one_line_and_mean_the_same(tmp_path: Path) -> None:
    value = {"cases": [{"name": "x", "expect": {"status": 403}}]}
    text = objects_file(tmp_path / "a", "s", [value], compact=True).text
    assert "{status: 403}" in text
    assert yaml.safe_load(text) == value


def test_writing_twice_changes_nothing_the_second_time(tmp_path: Path) -> None:
    assert stale([file(tmp_path)], [tmp_path]) == [tmp_path / "a.yaml"]
    assert write([file(tmp_path)], [tmp_path]) == [tmp_path / "a.yaml"]
    assert is_generated(tmp_path / "a.yaml")
    assert stale([file(tmp_path)], [tmp_path]) == []
    assert write([file(tmp_path)], [tmp_path]) == []


def test_an_edited_file_is_stale_and_written_anew(tmp_path: Path) -> None:
    write([file(tmp_path)], [tmp_path])
    (tmp_path / "a.yaml").write_text("# Generated from elsewhere\n")
    assert stale([file(tmp_path)], [tmp_path]) == [tmp_path / "a.yaml"]
    write([file(tmp_path)], [tmp_path])
    assert (tmp_path / "a.yaml").read_text() == file(tmp_path).text


def test_what_follows_from_nothing_is_removed_and_hand_written_files_stay(tmp_path: Path) -> None:
    write([file(tmp_path), file(tmp_path / "deep", "b.yaml")], [tmp_path])
    (tmp_path / "mine.yaml").write_text("a: 1\n")
    assert stale([file(tmp_path)], [tmp_path]) == [tmp_path / "deep/b.yaml"]
    assert write([file(tmp_path)], [tmp_path]) == [tmp_path / "deep/b.yaml"]
    assert sorted(path.name for path in tmp_path.rglob("*.yaml")) == ["a.yaml", "mine.yaml"]


def test_every_generated_file_of_the_project_is_up_to_date() -> None:
    from meshgen.plan import directories, generate

    files = generate(ROOT)
    assert len(files) > 20
    assert [str(path.relative_to(ROOT)) for path in stale(files, directories(ROOT))] == []
