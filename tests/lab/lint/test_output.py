"""The command `meshlab lint`: text, JSON and SARIF, exit codes, and text of manifests that is hostile."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from meshlab.lint.rules import BY_CODE, RULES, examples
from meshlab.lint.written import text as text_field

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

    Run = Callable[..., Done]

TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
PLACE = {
    "type": "object",
    "required": ["physicalLocation"],
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "additionalProperties": False,
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "additionalProperties": False,
                    "properties": {
                        "uri": {"type": "string", "format": "uri-reference", "pattern": "^[!-~]+$"}
                    },
                },
                "region": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                },
            },
        }
    },
}
RULE = {
    "type": "object",
    "required": ["id", "shortDescription", "fullDescription", "help"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": TEXT,
        "defaultConfiguration": {
            "type": "object",
            "properties": {"level": LEVEL},
            "additionalProperties": False,
        },
    },
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {"type": "array", "items": PLACE, "minItems": 1},
        "suppressions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"enum": ["inSource", "external"]},
                    "justification": {"type": "string"},
                },
                "additionalProperties": False,
            },
        },
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "additionalProperties": False,
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "additionalProperties": False,
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {"type": "array", "items": RULE, "uniqueItems": True},
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}
"""What this tool writes of SARIF 2.1.0, no more than the standard allows."""

HOSTILE = "\x1b[2Jgone \u202eevil\u2066\x07\x7f"


def bad(code: str) -> str:
    """Return the text of the manifest with the mistake of a rule."""
    pair = examples(BY_CODE[code])
    assert pair is not None
    return pair[0].read_text()


def sarif(done: Done) -> dict[str, Any]:
    """Return a SARIF document that is valid."""
    document: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(document, SARIF)
    return document


def test_findings_have_their_line_their_rule_and_what_to_do(command: Run, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(bad("ML306"))
    done = command("lint", "-f", tmp_path / "mesh.yaml")
    assert done.code == 1
    assert f"{tmp_path}/mesh.yaml" in done.out.replace("\n", "")
    assert "ML306  RequestAuthentication shop/tokens: spec.jwtRules[0]" in done.out
    assert "fix: List this service's own audience in audiences." in done.out
    assert done.out.endswith("1 error\n")


@pytest.mark.parametrize(
    ("code", "fail_on", "expected"),
    [("ML306", "error", 1), ("ML506", "warning", 0), ("ML506", "info", 1), ("ML218", "error", 0)],
)
def test_the_exit_code_follows_the_gravest_finding(
    command: Run, tmp_path: Path, code: str, fail_on: str, expected: int
) -> None:
    (tmp_path / "mesh.yaml").write_text(bad(code))
    assert command("lint", "-f", tmp_path, "--fail-on", fail_on).code == expected


def test_wrong_input_is_2(command: Run, tmp_path: Path) -> None:
    assert command("lint").code == 2
    assert command("lint", "-f", tmp_path / "missing").code == 2


def test_the_rules_are_listed(command: Run) -> None:
    done = command("lint", "--rules")
    assert done.code == 0
    assert all(f"{rule.code} {rule.name}" in done.out for rule in RULES)


def test_json_has_each_finding(command: Run, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(bad("ML306"))
    done = command("lint", "-f", tmp_path, "--format", "json")
    assert command("lint", "-f", tmp_path, "--json") == done
    (finding,) = json.loads(done.out)["findings"]
    assert (finding["rule"], finding["severity"], finding["line"] > 1) == ("ML306", "error", True)
    assert finding["suppressed"] is None


def test_many_copies_of_an_object_are_one_line_and_each_has_its_own_in_documents(
    command: Run, tmp_path: Path
) -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: "
    for number in range(6):
        ports = f"{{selector: {{app: cart}}, ports: [{{name: http, port: 8{number}}}]}}\n"
        (tmp_path / f"{number}.yaml").write_text(service + ports)
    done = command("lint", "-f", tmp_path)
    (line,) = (line for line in done.out.splitlines() if "ML000" in line and "times" in line)
    assert line.startswith("     5 times  error  ML000  another file has the same object")
    assert f"{tmp_path}/1.yaml:3; -v shows each" in line
    assert done.out.count("keep one.") == 0
    assert done.out.splitlines()[-1].endswith("5 errors")
    assert command("lint", "-v", "-f", tmp_path).out.replace("\n", " ").count("ML000  Service shop/cart") == 5
    assert len(json.loads(command("lint", "--json", "-f", tmp_path).out)["findings"]) == 5


def test_sarif_is_valid_and_names_files_below_the_working_directory(
    command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my mesh").mkdir()
    (tmp_path / "my mesh/policy.yaml").write_text(bad("ML306"))
    for path in ("my mesh", tmp_path):
        document = sarif(command("lint", "-f", path, "--format", "sarif"))
        (run,) = document["runs"]
        (result,) = run["results"]
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "ML306"
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "my%20mesh/policy.yaml"
        assert place["region"]["startLine"] > 1


def test_sarif_keeps_what_a_comment_suppresses(command: Run, tmp_path: Path) -> None:
    reason = "the gateway checks it"
    text = bad("ML306").replace("    - issuer:", f"    # meshlab: ignore=ML306 {reason}\n    - issuer:")
    (tmp_path / "mesh.yaml").write_text(text)
    done = command("lint", "-f", tmp_path, "--format", "sarif")
    assert done.code == 0
    (result,) = sarif(done)["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "inSource", "justification": reason}]


def test_sarif_of_no_finding_is_valid(command: Run, tmp_path: Path) -> None:
    pair = examples(BY_CODE["ML306"])
    assert pair is not None
    (tmp_path / "mesh.yaml").write_text(pair[1].read_text())
    assert sarif(command("lint", "-f", tmp_path, "--format", "sarif"))["runs"][0]["results"] == []


def test_standard_input_is_read_with_its_comments(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    comment = "    # meshlab: ignore=ML306 the gateway checks it\n"
    for text, expected in (
        (bad("ML306"), 1),
        (bad("ML306").replace("    - issuer:", f"{comment}    - issuer:"), 0),
    ):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        done = command("lint", "-f", "-", "--format", "sarif")
        assert done.code == expected
        assert sarif(done)["runs"][0]["results"]


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_hostile_text_never_reaches_the_terminal_as_it_is(command: Run, tmp_path: Path, form: str) -> None:
    written = json.dumps(f"https://{HOSTILE}.example")
    text = bad("ML306").replace("issuer: https://issuer.example\n", f"issuer: {written}\n", 1)
    assert text != bad("ML306")
    comment = f"# meshlab: ignore=ML306 {HOSTILE}"
    # YAML refuses control characters, and a file with them is refused with its own text in the message.
    (tmp_path / "policy.yaml").write_text(text)
    (tmp_path / f"evil{HOSTILE}.yaml").write_text(bad("ML312"))
    (tmp_path / "comment.yaml").write_text(f"{comment}\n{bad('ML508')}")
    done = command("lint", "-f", tmp_path, "--format", form, "--fail-on", "info")
    assert done.code == 1
    assert "ML306" in done.out
    assert [each for each in done.out + done.err if not (each.isprintable() or each in "\n\t")] == []


def test_a_field_that_is_no_string_reads_as_empty() -> None:
    assert text_field({"name": 5}, "name") == text_field(None, "name") == ""
