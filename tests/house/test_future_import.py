"""A package writes annotations in one way: all of its modules import them from the future, or none does.

The import was measured for the SDK and the function: it makes their start no cheaper, because names that are needed for
types alone stand in quotes there already. So it stays out of what has to start fast.
"""

import ast

import pytest

from tests.house.source_texts import ROOT, tracked

WITH = ("deploy/steps/", "function-aws/", "infra/contract/src/", "infra/generator/src/")
WITHOUT = ("sdk/src/", "function/", "beam/src/", "bench/")


def _has_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign) for node in ast.walk(tree)
    )


def _imports_from_the_future(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


@pytest.mark.parametrize(
    ("folder", "imports"), [(one, True) for one in WITH] + [(one, False) for one in WITHOUT]
)
def test_every_module_of_a_package_writes_annotations_in_one_way(folder: str, imports: bool) -> None:
    trees = {
        path: ast.parse((ROOT / path).read_text(encoding="utf-8"))
        for path in tracked(folder)
        if path.endswith(".py")
    }

    assert trees
    assert [
        path
        for path, tree in trees.items()
        if _has_annotations(tree) and _imports_from_the_future(tree) is not imports
    ] == []
