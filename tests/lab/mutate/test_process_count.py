"""How many processes ask mutants."""

from __future__ import annotations

from meshlab.mutate.process_count import process_count


def test_few_mutants_are_not_worth_a_further_mesh() -> None:
    assert process_count(0, 10, 8) == 1
    assert process_count(39, 10, 8) == 1
    assert process_count(40, 10, 8) == 2


def test_a_mesh_with_many_cases_takes_longer_to_start_and_needs_more_mutants() -> None:
    assert process_count(70, 40, 8) == 3
    assert process_count(70, 800, 8) == 1
    assert process_count(120, 800, 8) == 2


def test_each_processor_has_one_up_to_a_limit() -> None:
    assert process_count(1000, 10, 1) == 1
    assert process_count(1000, 10, 2) == 2
    assert process_count(1000, 10, 64) == 4


def test_the_system_must_let_the_proxies_of_all_processes_run() -> None:
    assert process_count(1000, 10, 8, room=3) == 3
    assert process_count(1000, 10, 8, room=0) == 1
