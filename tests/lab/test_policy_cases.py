"""Reading policy tests: a word that nobody knows is an error, never a case silently weaker than written."""

from pathlib import Path

import pytest
from meshlab.bench.cases import load_cases
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

GOOD = """
defaults: {path: /profile/u-1}
cases:
  - name: in
    expect: {status: 200, by: app}
  - name: out
    to: sidecar
    client: stranger
    expect: {refused: true, by: sidecar}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    return path


def test_a_case_takes_what_it_does_not_say_from_the_defaults(tmp_path: Path) -> None:
    first, second = load_cases(write(tmp_path, GOOD))
    assert (first.path, first.method, first.token, first.to, first.expect.status) == (
        "/profile/u-1", "GET", "valid", "gateway", 200,
    )  # fmt: skip
    assert (second.client, second.expect.refused) == ("stranger", True)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("to: sidecar", "too: sidecar", r"case 2 \(out\): unknown word 'too'"),
        ("status: 200", "statuss: 200", r"case 1 \(in\): expect: unknown word 'statuss'"),
        ("client: stranger", "client: somebody", r"'somebody' is not one of gateway, neighbour"),
        ("by: app", "by: nobody", r"'nobody' is not one of gateway, sidecar, app"),
        ("{status: 200, by: app}", "{by: app}", r"expect needs `by` and one of `status` and `refused`"),
        ("{status: 200, by: app}", "{status: 200, refused: true, by: app}", r"one of `status` and `refused`"),
        ("name: out", "name: in", r"two cases are named 'in'"),
        ("  - name: in\n", "  - to: gateway\n", r"case 1: a case needs `name` and `expect`"),
        ("cases:", "casez:", r"expected a mapping with `cases`"),
        ("defaults: {path: /profile/u-1}", "defaults: {token: best}", r"unknown token 'best'"),
    ],
)
def test_what_nobody_knows_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(LabError, match=complaint) as refused:
        load_cases(path)
    assert str(path) in str(refused.value)


def test_text_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"cases\.yaml:2"):
        load_cases(write(tmp_path, "cases: ["))
