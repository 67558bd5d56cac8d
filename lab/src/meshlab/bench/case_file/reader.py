"""A case file from its text to typed cases, with every problem shown at once."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.case import CaseFile, CasePlace
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor, compose
from meshlab.bench.case_file.problems import CaseFileError, CaseProblem
from meshlab.bench.case_file.read_case import CaseWords, check_words, read_cases, read_matrices, read_words
from meshlab.bench.case_file.read_request import read_request
from meshlab.bench.case_file.read_sender import read_sender
from meshlab.bench.case_file.read_setup import (
    read_addresses,
    read_apps,
    read_authorities,
    read_authorizers,
    read_workloads,
)
from meshlab.bench.case_file.read_token import read_token
from meshlab.bench.case_file.reader_context import Context, mapping
from meshlab.bench.case_file.variables import fill_in
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.named_files import FileReadError, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.bench.case import Case, Matrix
    from meshlab.bench.case_file.reader_context import Fields

__all__ = ["parse_case_file", "read_case_file"]


def read_case_file(path: Path, variables: Mapping[str, str] | None = None) -> CaseFile:
    """Read a case file.

    Args:
        path: The file.
        variables: Values for `${NAME}` in it.

    Raises:
        CaseFileError: It cannot be read, or something in it is wrong; holds every problem with its line.
    """
    try:
        text = read_text(path)
    except FileReadError as error:
        problem = CaseProblem(CasePlace(str(path), 1), error.reason, "yaml")
        raise CaseFileError([problem]) from None
    return parse_case_file(text, str(path), variables)


def parse_case_file(text: str, file: str, variables: Mapping[str, str] | None = None) -> CaseFile:
    """Read the text of a case file.

    Args:
        text: The YAML.
        file: What to call it in error messages.
        variables: Values for `${NAME}` in it.

    Raises:
        CaseFileError: Something in it is wrong; holds every problem with its line.
    """
    root, yaml_problems = compose(text, file)
    if root is None:
        raise CaseFileError(yaml_problems)
    yaml_problems += fill_in(root, variables or {})
    context = Context()
    read = context.problems.attempt(partial(_read, context), root, None)
    spoilt = {problem.place.line for problem in yaml_problems}
    found = [problem for problem in context.problems.found if problem.place.line not in spoilt]
    if yaml_problems or found or read is None:
        raise CaseFileError([*yaml_problems, *found])
    return read


def _read(context: Context, root: Cursor) -> CaseFile:
    fields = root.fields(context.problems, format_words.FILE_WORDS, "a case file")
    attempt = context.problems.attempt
    authorities: tuple[str, ...] = attempt(partial(read_authorities, context), fields.get("authorities"), ())
    context.authorities = frozenset((*format_words.AUTHORITIES, *authorities))
    context.callers = attempt(Cursor.by_key, fields.get("callers"), {})
    context.tokens = attempt(Cursor.by_key, fields.get("tokens"), {})
    _check_named(context)
    defaults = attempt(partial(_defaults, context), fields.get("defaults"), CaseWords())
    if "cases" not in fields and "matrix" not in fields:
        raise root.error("a case file needs `cases:` or `matrix:`")
    cases: list[Case] = attempt(partial(read_cases, context, defaults=defaults), fields.get("cases"), [])
    tables: list[tuple[Matrix, list[Case]]] = attempt(
        partial(read_matrices, context, defaults=defaults), fields.get("matrix"), []
    )
    cases += [case for _, found in tables for case in found]
    matrices = [matrix for matrix, _ in tables]
    if not cases and not context.problems.found:
        raise root.error("the file holds no case", "meaning")
    _refuse_twins(context, cases, matrices)
    return CaseFile(
        path=Path(root.file),
        cases=tuple(cases),
        workloads=attempt(partial(read_workloads, context), fields.get("workloads"), {}),
        addresses=attempt(partial(read_addresses, context), fields.get("addresses"), {}),
        apps=attempt(partial(read_apps, context), fields.get("apps"), ()),
        authorizers=attempt(partial(read_authorizers, context), fields.get("authorizers"), ()),
        authorities=authorities,
        matrices=tuple(matrices),
        mentions=tuple(context.mentions),
        declared_at=attempt(_declared_at, fields.get("workloads"), {}),
    )


def _declared_at(where: Cursor) -> dict[WorkloadRef, CasePlace]:
    keys = [key for key in where.key_cursors() if re.search(format_words.REF, str(key.node.value))]
    return {WorkloadRef.parse(str(key.node.value)): key.place for key in keys}


def _check_named(context: Context) -> None:
    """Read every named caller and token, used or not."""
    for at in context.callers.values():
        context.problems.attempt(lambda at: read_sender(context, mapping(at)), at, None)
    for name, at in context.tokens.items():
        if name == format_words.NONE:
            context.problems.add(at, "`none` means no token; choose another name")
        context.problems.attempt(lambda at: read_token(context, mapping(at)), at, None)


def _defaults(context: Context, where: Cursor) -> CaseWords:
    fields: Fields = where.fields(context.problems, format_words.DEFAULTS_WORDS, "`defaults`")
    found = read_words(context, fields)
    check_words(context, found)
    if any(word in found.request for word in ("url", "tcp", "tls")):
        context.problems.attempt(partial(read_request, context, found.request), fields["request"], None)
    return found


def _refuse_twins(context: Context, cases: list[Case], matrices: list[Matrix]) -> None:
    counts = Counter(case.name for case in cases)
    first: dict[str, CasePlace] = {}
    for case in cases:
        if counts[case.name] > 1 and case.name in first and case.name:
            message = f"line {first[case.name].line} has a case of the name {case.name!r} too; give each its own name"
            context.problems.found.append(CaseProblem(case.place, message, "meaning"))
        first.setdefault(case.name, case.place)
