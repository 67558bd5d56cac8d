"""The cost page says what its script computes, and every price says where it is from."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT, read

if TYPE_CHECKING:
    from types import ModuleType

PAGE = "docs/cost.md"


@pytest.fixture(scope="module")
def cost() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cost", ROOT / "docs/cost.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["cost"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def numbers(cost: ModuleType) -> dict[str, Any]:
    loaded: dict[str, Any] = cost.load()
    return loaded


def test_the_tables_are_those_of_the_script(cost: ModuleType, numbers: dict[str, Any]) -> None:
    assert cost.written(read(PAGE), numbers) == read(PAGE), "Run `python docs/cost.py --write`."
    found = re.findall(r"<!-- cost: ([a-z ]+) -->\n\n\|", read(PAGE))
    assert sorted(found) == sorted(cost.TABLES)


def test_a_bill_is_the_arithmetic_that_a_reader_can_do_by_hand(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    example = {**numbers["examples"]["million"], "nat_vms": 40, "nat_addresses": 1, "clusters": 1}
    bill = cost.bill(example, cost.prices(numbers))
    assert bill["Cloud Run: requests"] == pytest.approx(0.40)
    assert bill["Pub/Sub: publish and deliver"] == pytest.approx(2 * 1100 * 1e6 / 2**40 * 40)
    assert bill["Logging: success lines"] == pytest.approx(473e6 / 2**30 * 0.5)
    assert bill["GKE: cluster"] == pytest.approx(73.0)
    assert bill["NAT: gateway and addresses"] == pytest.approx((32 * 0.0014 + 0.005) * 730)
    assert bill["Connector"] == 0


def test_small_messages_and_rows_are_charged_at_their_least(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    usd = cost.prices(numbers)
    tiny = {**numbers["examples"]["million"], "event_bytes": 1, "row_bytes": 1}
    least = {**tiny, "event_bytes": 1000, "row_bytes": 1000}
    for part in ("Pub/Sub: publish and deliver", "BigQuery: inserts"):
        assert cost.bill(tiny, usd)[part] == cost.bill(least, usd)[part]


def test_what_is_idle_costs_the_same_without_events_and_everything_else_nothing(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    usd = cost.prices(numbers)
    for example in numbers["examples"].values():
        none = {**example, "events": 0, "instance_starts": 0, "nat_gib": 0, "network_log_gib": 0}
        full, empty = cost.bill(example, usd), cost.bill(none, usd)
        for part in cost.PARTS:
            assert empty[part.name] == (full[part.name] if part.idle else 0)


def test_every_price_is_used_and_says_where_and_when_it_was_read(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    for name, price in numbers["prices"].items():
        assert price["page"].startswith("https://cloud.google.com/"), name
        assert re.search(r"20\d\d", price["read"]), name
        assert isinstance(price["checked"], bool), name
        # Each price changes some bill: none stands in the table for nothing.
        everything = dict.fromkeys(numbers["examples"]["million"], 0.5)
        usd = cost.prices(numbers)
        before = cost.bill(everything, usd), cost.bills_of_all_ways(numbers, usd)
        dearer = {**usd, name: usd[name] + 1}
        assert (cost.bill(everything, dearer), cost.bills_of_all_ways(numbers, dearer)) != before, name


def test_a_way_is_the_arithmetic_that_a_reader_can_do_by_hand(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    usd = cost.prices(numbers)
    shared = {**numbers["ways"], "full": 0.5, "event_bytes": 1000, "row_bytes": 1500}
    measured = {"events_per_s": 1000.0}

    def of(name: str) -> dict[str, float]:
        found: dict[str, float] = cost.way_bill(numbers["ways"][name], shared, measured, usd)
        return found

    function, pool, stream = of("function"), of("work_storage"), of("dataflow_streaming")
    assert function["requests"] == pytest.approx(0.40)
    # Two thousand seconds of a vCPU and of half a GiB.
    assert function["CPU, memory, disk"] == pytest.approx(2000 * (0.000024 + 0.5 * 0.0000025))
    assert function["BigQuery writes"] == pytest.approx(1.5e9 / 2**30 * 0.05)
    assert pool["requests"] == 0
    assert pool["CPU, memory, disk"] == pytest.approx(2000 * (0.000011244 + 0.5 * 0.000001235))
    assert pool["BigQuery writes"] == pytest.approx(function["BigQuery writes"] / 2)
    hours = 2000 / 3600
    assert stream["CPU, memory, disk"] == pytest.approx(hours * (0.069 + 4 * 0.003557 + 30 * 0.000054))
    assert stream["Streaming Engine"] == pytest.approx(1e9 / 2**30 * 58 / 3600 * 0.089)
    assert of("dataflow_batch")["Pub/Sub"] == of("dataflow_batch")["BigQuery writes"] == 0


def test_what_is_measured_says_from_which_run_or_that_it_is_no_measurement(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    for name, found in numbers["measured"].items():
        assert found.keys() == {"run", "events_per_s", "cpu_ms", "peak_mib"}, name
        assert all(found[key] > 0 for key in found if key != "run"), name
    assert {way["measured"] for way in numbers["ways"].values() if isinstance(way, dict)} <= numbers[
        "measured"
    ].keys()
    unmeasured = sum(not found["run"] for found in numbers["measured"].values())
    assert cost.TABLES["measured"](numbers).count("not measured") == unmeasured


def test_the_ways_are_printed_with_own_numbers(cost: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(["--ways", "--set=run_request=1", "--set=full=1"]) == 0
    assert re.search(r"^Function +\d\.\d{3} .*requests 1\.000", capsys.readouterr().out, re.MULTILINE)
    assert cost.main(["--ways", "--set=fill=1"]) == 1


def test_own_numbers_and_prices_are_taken(cost: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        cost.main(["--example=million", "--set=events=2e6", "--set=run_request=1", "--set=log_share=0"]) == 0
    )
    printed = capsys.readouterr().out
    assert re.search(r"Cloud Run: requests +2\.00", printed)
    assert "Logging" not in printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--example=huge"], "there is no example huge, only million, small, medium, large"),
        (["--set=evnets=1"], "evnets is neither a number of an example nor a price"),
        (["--set=events=many"], "events=many: a number of zero or more is needed"),
        (["--set=events=-1", "--set=x=1"], "events=-1: a number of zero or more is needed; x is neither"),
        (["--set=events=inf"], "events=inf: a number of zero or more is needed"),
        (["--set=events=nan"], "events=nan: a number of zero or more is needed"),
        (["--set=title=1"], "title is neither a number of an example nor a price"),
        (["--numbers=absent.toml"], "cannot read absent.toml"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    cost: ModuleType, arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cost.main(arguments) == 1
    assert error in capsys.readouterr().err


def test_a_file_of_ones_own_that_lacks_a_number_or_has_a_text_for_one_is_a_sentence(
    cost: ModuleType, numbers: dict[str, Any]
) -> None:
    usd = cost.prices(numbers)
    with pytest.raises(cost.NumbersError, match="the number events is missing"):
        cost.bill({key: value for key, value in numbers["examples"]["small"].items() if key != "events"}, usd)
    with pytest.raises(cost.NumbersError, match="no number"):
        cost.bill({**numbers["examples"]["small"], "events": "many"}, usd)
