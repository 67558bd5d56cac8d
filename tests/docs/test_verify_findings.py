"""The tables of findings in docs/verify.md are those of deploy/verify."""

import importlib.util

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
