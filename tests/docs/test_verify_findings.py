"""The tables of findings in docs/verify.md are those of deploy/verify."""

from __future__ import annotations

import importlib.util
import re

from tests.deploy import verified
from tests.docs.pages import ROOT, read


def test_the_tables_are_those_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("verify_findings", ROOT / "docs/verify_findings.py")
    assert spec
    assert spec.loader
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = read("docs/verify.md")
    assert generator.written(page) == page, "Run `python docs/verify_findings.py`."
    assert all(f"| `{name}` |" in page for name in generator.KINDS)


def test_the_report_for_a_program_has_the_keys_and_types_of_the_page() -> None:
    types = {
        "string": str,
        "number": int,
        "boolean": bool,
        "object": dict,
        "array": list,
        "array of strings": list,
    }
    rows = dict(re.findall(r"^\| `([\w\[\].]+)` \| ([a-z ]+) \|", read("docs/verify.md"), re.MULTILINE))
    assert len(rows) == 12
    _, report = verified.report(verified.RECORDED / "states" / "public-access.json")
    (one,) = report["findings"]
    shown = {**report, **{f"findings[].{key}": value for key, value in one.items()}}
    assert shown.keys() == rows.keys()
    assert all(type(shown[key]) is types[kind] for key, kind in rows.items())
