"""`meshlab mutate`: what it prints, writes and ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab.door_and_cart import DOOR_AND_CART
from tests.lab.mutate.shop import CASES, POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

PUT = "methods and PUT"


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, Path]:
    """Write the mesh and its cases."""
    mesh, cases = tmp_path / "mesh.yaml", tmp_path / "cases.yaml"
    mesh.write_text(DOOR_AND_CART + POLICIES)
    cases.write_text(CASES)
    return mesh, cases


def test_a_survivor_fails_the_command_and_its_case_mends_that(
    command: Command, shop: tuple[Path, Path], tmp_path: Path
) -> None:
    mesh, cases = shop
    missing = tmp_path / "missing.yaml"
    done = command("mutate", "-f", mesh, cases, "-k", PUT, "--cases-out", missing)
    assert done.code == 1
    assert "No case notices:" in done.out
    assert f"{mesh}:" in done.out
    assert "AuthorizationPolicy shop/cart" in done.out
    assert "spec.rules[0].to[0].operation.methods: PUT added  (now allowed)" in done.out
    assert "1 mutant: 1 survived" in done.out
    assert f"wrote the missing cases to {missing}" in done.err
    assert "methods: PUT added: now allowed" in missing.read_text()
    mended = command("mutate", "-f", mesh, cases, missing, "-k", PUT)
    assert mended.code == 0
    assert "1 mutant: 1 caught" in mended.out


def test_json_is_one_document(command: Command, shop: tuple[Path, Path]) -> None:
    mesh, cases = shop
    done = command("mutate", "-f", mesh, cases, "-k", f"{PUT} or notPaths", "--json", "--all")
    document = json.loads(done.out)
    assert (done.code, document["version"], document["exit_code"]) == (1, 1, 1)
    assert document["counts"] == {
        "survived": 1,
        "caught": 0,
        "equivalent": 1,
        "same_configuration": 0,
        "not_judged": 0,
    }
    by_state = {mutant["state"]: mutant for mutant in document["mutants"]}
    survivor = by_state["survived"]
    assert (survivor["kind"], survivor["namespace"], survivor["name"]) == (
        "AuthorizationPolicy",
        "shop",
        "cart",
    )
    assert survivor["field"] == "spec.rules[0].to[0].operation.methods"
    assert survivor["line"] > 0
    assert survivor["effect"] == "now allowed"
    assert survivor["case"].startswith("  - name:")
    assert "case" not in by_state["equivalent"]


def test_a_case_that_fails_today_ends_it_with_1_before_anything_is_changed(
    command: Command, shop: tuple[Path, Path]
) -> None:
    mesh, cases = shop
    cases.write_text(CASES.replace("200 shop/cart", "404 shop/cart"))
    done = command("mutate", "-f", mesh, cases)
    assert done.code == 1
    assert "open: failed" in done.err
    assert "see why with meshlab test, and mend them first" in done.err
    document = json.loads(command("mutate", "-f", mesh, cases, "--json").out)
    assert "open: failed" in document["error"]["message"]


def test_a_case_that_is_not_judged_ends_it_with_3(command: Command, shop: tuple[Path, Path]) -> None:
    mesh, cases = shop
    with mesh.open("a") as file:
        file.write("---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n")
        file.write("metadata: {name: patch, namespace: shop}\nspec: {}\n")
    done = command("mutate", "-f", mesh, cases)
    assert done.code == 3
    assert "closed: not judged" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-k", "elsewhere"), "selects none of the"),
        (("--kind", "Pod"), "--kind 'Pod' selects no mutant; there are "),
        (("-k", "("), "write words with and, or, not"),
    ],
)
def test_a_choice_of_nothing_is_wrong_input(
    command: Command, shop: tuple[Path, Path], arguments: tuple[str, ...], words: str
) -> None:
    mesh, cases = shop
    done = command("mutate", "-f", mesh, cases, *arguments)
    assert done.code == 2
    assert words in done.err


def test_names_that_the_mesh_does_not_have_are_wrong_input(command: Command, shop: tuple[Path, Path]) -> None:
    mesh, cases = shop
    cases.write_text(CASES.replace("edge/door", "edge/gate"))
    done = command("mutate", "-f", mesh, cases)
    assert done.code == 2
    assert "no gateway edge/gate" in done.err
