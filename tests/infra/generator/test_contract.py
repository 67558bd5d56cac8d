"""References to the contract: which fields kustomize fills in, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from meshgen.contract import PlaceError, replacements, targets
from meshlab.kustomize import build

if TYPE_CHECKING:
    from pathlib import Path


def manifest(spec: dict[str, Any], name: str = "one") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name, "namespace": "ns"}, "spec": spec}


def built(tmp_path: Path, documents: list[dict[str, Any]], values: dict[str, str]) -> list[dict[str, Any]]:
    """What kustomize makes of manifests and the contract's values."""
    (tmp_path / "things.yaml").write_text(yaml.safe_dump_all(documents))
    (tmp_path / "contract.env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    local = {"config.kubernetes.io/local-config": "true"}
    generator = {"name": "contract", "envs": ["contract.env"]}
    options = {"disableNameSuffixHash": True, "annotations": local}
    kustomization = {
        "resources": ["things.yaml"],
        "configMapGenerator": [{**generator, "options": options}],
        "replacements": replacements(targets(documents)),
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return [dict(found.body) for found in build(tmp_path)]


def test_a_whole_field_takes_the_value_whatever_it_holds(tmp_path: Path) -> None:
    (found,) = built(tmp_path, [manifest({"host": "${HOST}"})], {"HOST": "https://a.example:1/b"})
    assert found["spec"] == {"host": "https://a.example:1/b"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${ISSUER}/${SUBJECT}", "https://idp.example/x/alice"),
        ("https://accounts.example/${SUBJECT}", "https://accounts.example/alice"),
        ("ns/${HOST}", "ns/h.example"),
        ("${HOST}:443", "h.example:443"),
        ("${HOST},${SUBJECT}", "h.example,alice"),
    ],
)
def test_a_part_of_a_field_takes_the_value_and_no_other_part_moves(
    tmp_path: Path, written: str, expected: str
) -> None:
    values = {"ISSUER": "https://idp.example/x", "SUBJECT": "alice", "HOST": "h.example"}
    (found,) = built(tmp_path, [manifest({"list": ["first", written]})], values)
    assert found["spec"] == {"list": ["first", expected]}


def test_only_the_object_that_refers_to_a_value_takes_it(tmp_path: Path) -> None:
    documents = [manifest({"host": "${HOST}"}), manifest({"host": "mine"}, "two")]
    assert [found["spec"]["host"] for found in built(tmp_path, documents, {"HOST": "h"})] == ["h", "mine"]


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.from_regex(r"[a-z/:]{1,8}", fullmatch=True), min_size=2, max_size=2))
def test_values_with_the_delimiter_in_them_stay_where_they_belong(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    (found,) = built(
        tmp_path_factory.mktemp("k"), [manifest({"a": "${A}/${B}"})], dict(zip("AB", values, strict=True))
    )
    assert found["spec"]["a"] == "/".join(values)


@pytest.mark.parametrize("text", ["x${A}", "${A}x", "a${A}/b", "a:${A}/b", "${A}${B}"])
def test_a_reference_that_is_no_whole_part_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(PlaceError, match=r"Thing one: spec\.a: .* must be a whole part"):
        targets([manifest({"a": text})])


def test_a_field_that_kustomize_cannot_name_is_refused() -> None:
    with pytest.raises(PlaceError, match="cannot name this field"):
        targets([manifest({"a.b": "${A}"})])
