"""A mutant that no longer checks a server outside is shown by a case with a server whose certificate is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.mutate.run import MutationRun, mutation_run

from tests.lab.mutate.shop import mutant, shop
from tests.lab.outside_server import OUTSIDE_SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.results import Result

CASES = """
cases:
- {name: partner, from: {workload: shop/cart}, request: "GET http://api.example/", expect: 200 api.example}
"""


@pytest.fixture(scope="module")
def run() -> Iterator[MutationRun]:
    with mutation_run(
        shop(f"---\n{OUTSIDE_SERVER}"), [parse_case_file(CASES, "cases.yaml")], find=True
    ) as started:
        yield started


def result(run: MutationRun, field: str, change: str) -> Result:
    (found,) = run.run([mutant(run, "DestinationRule", f"spec.trafficPolicy.tls.{field}", change)])
    return found


def test_a_certificate_that_is_no_longer_checked_is_shown_by_a_case_with_its_server(run: MutationRun) -> None:
    found = result(run, "insecureSkipVerify", "set")
    assert (found.state, found.effect) == ("survived", "now allowed")
    assert found.missing is not None
    assert "a server with a certificate of an authority that no client trusts" in found.missing.case.name
    assert found.missing.needs.startswith("apps: {api.example: {certificate: {authority: ")
    pasted = parse_case_file(f"{found.missing.needs}cases:\n{found.missing.text}", "missing.yaml")
    with mutation_run(run.objects, [pasted]) as again:
        (caught,) = again.run([found.mutant])
    assert (caught.state, caught.caught_by) == ("caught", found.missing.case.name)


def test_names_that_are_no_longer_checked_are_shown_too(run: MutationRun) -> None:
    found = result(run, "subjectAltNames", "removed")
    assert (found.state, found.effect) == ("survived", "now allowed")
    assert found.missing is not None
    assert "a server with a certificate for another name" in found.missing.case.name
