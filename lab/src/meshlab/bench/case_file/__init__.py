"""Case files: YAML in, typed cases out, every problem with its line."""

from __future__ import annotations

from meshlab.bench.case_file.against import check_against
from meshlab.bench.case_file.problems import CaseFileError, CaseProblem
from meshlab.bench.case_file.reader import parse_case_file, read_case_file

__all__ = ["CaseFileError", "CaseProblem", "check_against", "parse_case_file", "read_case_file"]
