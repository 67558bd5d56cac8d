"""Choice of mutants: by kind and words, only those that let more in, and samples that can be drawn again."""

from __future__ import annotations

import pytest
from meshlab.bench.selection import SelectionError
from meshlab.mutate.chosen_mutants import Wanted, choose

from tests.lab.mutate.shop import shop

MUTANTS = list(shop().mutants())


def test_only_what_may_let_more_in_is_asked_and_the_rest_is_counted() -> None:
    weaker = choose(MUTANTS, Wanted())
    assert all(mutant.weakens for mutant in weaker.mutants)
    every = choose(MUTANTS, Wanted(all=True))
    assert len(every.mutants) == len(MUTANTS)
    assert weaker.only_break == len(MUTANTS) - len(weaker.mutants) > 0


def test_kinds_are_named_in_upper_and_lower_case() -> None:
    found = choose(MUTANTS, Wanted(kinds=("gateway", "PeerAuthentication"), all=True))
    assert {mutant.kind for mutant in found.mutants} == {"Gateway", "PeerAuthentication"}


def test_words_choose_objects_fields_and_files() -> None:
    found = choose(MUTANTS, Wanted(expression="shop/cart and methods and not removed"))
    assert {mutant.change.split()[1] for mutant in found.mutants} == {"added"}
    assert choose(MUTANTS, Wanted(expression="shop.yaml", all=True)).mutants == tuple(MUTANTS)


def test_words_that_choose_nothing_are_an_error_that_says_what_there_is() -> None:
    with pytest.raises(
        SelectionError,
        match=r"-k .elsewhere. selects none of the \d+ mutants; use words of an object, such as Gateway edge/door",
    ):
        choose(MUTANTS, Wanted(expression="elsewhere"))


def test_a_sample_keeps_the_order_and_is_the_same_each_time() -> None:
    first, again = (choose(MUTANTS, Wanted(all=True, limit=5)) for _ in range(2))
    other = choose(MUTANTS, Wanted(all=True, limit=5, seed=1))
    assert first == again
    assert first.mutants != other.mutants
    assert [mutant for mutant in MUTANTS if mutant in first.mutants] == list(first.mutants)
    assert first.sampled_out == len(MUTANTS) - 5
