"""The evaluation without terraform never guesses. `test_modules.py` compares it with terraform's own plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.terraform.evaluate import NotEvaluatedError, Reference, evaluate

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGE = """
variable "names" {
  type    = map(object({ size = optional(number, 3), tags = optional(list(string), []) }))
  default = { b = {}, a = { size = 1, tags = ["x"] } }
}

variable "on" {
  type    = bool
  default = false

  validation {
    condition     = var.on != true
    error_message = "on must be off."
  }
}

locals {
  sizes = { for name, one in var.names : upper(name) => one.size if one.size > 0 }
  text  = "${join("-", keys(local.sizes))}/${var.on ? "on" : "off"} $${literal}"
  flat  = flatten([for name, one in var.names : [for tag in one.tags : "${name}:${tag}"]])
}

resource "thing" "many" {
  for_each = var.names

  name = each.key
  size = each.value.size * 2 + 1
  gone = null

  dynamic "tag" {
    for_each = each.value.tags

    content {
      value = "${tag.key} ${tag.value}"
    }
  }
}

resource "thing" "counted" {
  count = length(local.sizes)

  name = "n${count.index}"
  text = local.text
}

resource "thing" "one" {
  names   = thing.counted[*].name
  first   = thing.many["a"].name
  id      = thing.many["a"].id
  both    = "${thing.many["a"].id} and ${thing.one_more.name}"
  chosen  = try(thing.many["c"].name, "none")
  flat    = local.flat
  nothing = one([])
  network = cidrsubnet("10.0.0.0/16", 8, 2)
}

resource "thing" "one_more" {
  name = "more"
}

output "result" {
  value = thing.one.names
}
"""


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    (folder / "main.tf").write_text(LANGUAGE)
    return folder


def test_what_the_language_says_is_evaluated(language: Path) -> None:
    found = evaluate(language, {})
    text = "A-B/off ${literal}"
    assert found.resources == {
        'thing.many["a"]': {"name": "a", "size": 3, "tag": [{"value": "0 x"}]},
        'thing.many["b"]': {"name": "b", "size": 7, "tag": []},
        "thing.counted[0]": {"name": "n0", "text": text},
        "thing.counted[1]": {"name": "n1", "text": text},
        "thing.one": {
            "names": ["n0", "n1"],
            "first": "a",
            "id": Reference('thing.many["a"].id'),
            "both": Reference('${thing.many["a"].id} and more'),
            "chosen": "none",
            "flat": ["a:x"],
            "network": "10.0.2.0/24",
        },
        "thing.one_more": {"name": "more"},
    }
    assert found.outputs == {"result": ["n0", "n1"]}


def test_a_validation_that_does_not_hold_is_a_refusal(language: Path) -> None:
    assert evaluate(language, {"on": True}).refusals == ["variable on: on must be off."]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x = unheard_of(1)", "the function unheard_of"),
        ("x = local.missing", "local.missing"),
        ("x = var.missing", "var.missing"),
        ("x = thing.missing.name", "the resource thing.missing"),
        ("x = nothing.at.all", "the name nothing"),
        ("count = thing.a.id == 1 ? 1 : 0", "a condition is"),
        ("x = [for one in thing.a.list : one]", "for over thing.a.list"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "main.tf").write_text(f'resource "thing" "a" {{}}\nresource "thing" "b" {{\n  {text}\n}}\n')
    with pytest.raises(NotEvaluatedError, match=named):
        evaluate(tmp_path, {})


def test_a_value_of_another_type_or_name_is_refused(language: Path) -> None:
    with pytest.raises(NotEvaluatedError, match="is no number"):
        evaluate(language, {"names": {"a": {"size": "wide"}}})
    with pytest.raises(NotEvaluatedError, match="has no variables"):
        evaluate(language, {"nams": {}})


def test_modules_may_name_each_other(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.tf").write_text(
            'variable "given" {\n  type = string\n}\nresource "thing" "this" {\n  given = var.given\n}\n'
            f'output "own" {{\n  value = "{name}"\n}}\n'
        )
    (tmp_path / "main.tf").write_text(
        'module "one" {\n  source = "./one"\n  given = module.other.own\n}\n'
        'module "other" {\n  source = "./other"\n  given = module.one.own\n}\n'
    )
    assert evaluate(tmp_path, {}).resources == {
        "module.one.thing.this": {"given": "other"},
        "module.other.thing.this": {"given": "one"},
    }
