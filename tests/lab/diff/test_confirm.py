"""What several requests show: chance is no change where the odds are even, and is one where they are not."""

from __future__ import annotations

from meshlab.bench.evidence.instrument import chain_name, route_mark
from meshlab.bench.evidence.line import EvidenceLine
from meshlab.bench.verdicts.chance import Odds
from meshlab.diff.confirm import Answers
from meshlab.diff.effect import Effect, Kind, not_there

from tests.lab.diff.verdicts import DOOR, allowed, effect, refused

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ONE, OTHER, DENIED = effect(allowed()), effect(allowed("shop/other")), effect(refused())
EVEN = ("cart 50, other 50", "cart 50, other 50")
UNEVEN = ("", "cart 50, other 50")


def kind(answers: Answers) -> Kind | None:
    change = answers.judgement.change
    return change.kind if change else None


def test_what_ends_otherwise_each_time_is_a_change() -> None:
    assert kind(Answers([ONE, ONE], [DENIED, DENIED])) is Kind.NOW_REFUSED


def test_what_both_sides_have_seen_is_no_change_where_the_odds_are_even() -> None:
    found = Answers([ONE, OTHER], [OTHER, ONE, OTHER], EVEN).judgement
    assert (found.change, found.varies) == (None, True)
    assert Answers([ONE], [OTHER, ONE], EVEN).judgement.change is None


def test_a_request_that_ended_otherwise_once_without_a_reason_is_no_change() -> None:
    assert kind(Answers([ONE, ONE], [DENIED, ONE])) is None


def test_what_only_one_side_has_seen_is_a_change_where_the_odds_are_uneven() -> None:
    found = Answers([ONE] * 3, [ONE, ONE, OTHER], UNEVEN).judgement
    assert found.change is not None
    assert (found.change.kind, found.new) == (Kind.ANOTHER_WORKLOAD, OTHER)
    assert found.chance == "in 1 of 3 requests, before in 0 of 3"


def test_the_gravest_of_several_changes_counts() -> None:
    assert kind(Answers([DENIED] * 2, [DENIED, OTHER], UNEVEN)) is Kind.NOW_ALLOWED
    assert kind(Answers([ONE] * 2, [OTHER, DENIED], UNEVEN)) is Kind.NOW_REFUSED


def test_even_odds_with_nothing_in_common_are_a_change() -> None:
    assert kind(Answers([ONE, OTHER], [DENIED, DENIED], EVEN)) is Kind.NOW_REFUSED


def test_a_question_is_doubtful_where_it_ends_otherwise_or_the_odds_differ() -> None:
    assert Answers([ONE], [DENIED]).is_doubtful
    assert Answers([ONE], [ONE], UNEVEN).is_doubtful
    assert not Answers([ONE], [ONE], EVEN).is_doubtful
    assert not Answers([not_there("x")], [not_there("x")], UNEVEN).is_doubtful


def test_it_is_asked_more_often_the_more_chance_has_a_say() -> None:
    repeats = [Answers([ONE], [DENIED], found).repeats for found in (("", ""), EVEN, UNEVEN)]
    assert repeats == sorted(set(repeats))


def test_what_is_not_known_is_never_a_change_and_a_repetition_that_is_not_known_says_nothing() -> None:
    unknown = Effect(unknown=("EnvoyFilter",))
    assert kind(Answers([unknown], [ONE])) is None
    assert not Answers([ONE], [unknown]).is_doubtful
    answers = Answers([ONE], [DENIED])
    answers.add(unknown, is_new=True)
    assert answers.new == [DENIED]


def listener(name: str, *hosts: tuple[str, object]) -> dict[str, object]:
    routes = {"virtualHosts": [{"domains": [host], "routes": [{"route": route}]} for host, route in hosts]}
    return {"name": name, "filterChains": [{"filters": [{"typedConfig": {"routeConfig": routes}}]}]}


def configuration(*listeners: dict[str, object], servers: int = 1) -> dict[str, object]:
    endpoints = [{"socketAddress": {"address": "127.0.0.1", "portValue": port}} for port in range(servers)]
    return {"staticResources": {"listeners": list(listeners), "clusters": [{"name": "cart", "x": endpoints}]}}


def weights(*numbers: int) -> dict[str, object]:
    return {"weightedClusters": {"clusters": [{"name": f"c{n}", "weight": w} for n, w in enumerate(numbers)]}}


AT_DOOR = (EvidenceLine(DOOR, "http", listener="web"),)


def test_chance_has_a_say_only_in_the_route_that_took_the_request() -> None:
    one, other = {"route": weights(50, 50)}, {"route": {"cluster": "cart"}}
    host = {"domains": ["a.example"], "routes": [one, other]}
    manager = {"@type": HCM, "routeConfig": {"virtualHosts": [host]}}
    config = configuration({"name": "web", "filterChains": [{"filters": [{"typedConfig": manager}]}]})

    def found(mark: str) -> str:
        line = EvidenceLine(DOOR, "http", listener="web", chain="filter chain 0", route_mark=mark)
        return Odds({DOOR: config}).of((line,), "a.example")

    assert [bool(found(route_mark(0, number))) for number in (0, 1)] == [True, False]


def test_chance_has_a_say_only_in_the_filter_chain_that_took_the_connection() -> None:
    chains = [{"filters": [{"typedConfig": each}]} for each in (weights(50, 50), {"cluster": "cart"})]
    config = configuration({"name": "web", "filterChains": chains})

    def found(chain: str) -> str:
        line = EvidenceLine(DOOR, "tcp", listener="web", chain=chain)
        return Odds({DOOR: config}).of((line,), None)

    assert [bool(found(chain_name(number))) for number in (0, 1)] == [True, False]


def test_weights_and_percentages_of_the_host_and_listener_that_took_the_request_are_odds() -> None:
    def found(host: str, config: dict[str, object]) -> str:
        return Odds({DOOR: config}).of(AT_DOOR, host)

    split = configuration(listener("web", ("a.example", weights(50, 50)), ("b.example", weights(100, 0))))
    assert found("a.example", split) != ""
    assert found("b.example", split) == ""
    assert found("a.example", configuration(listener("other", ("a.example", weights(50, 50))))) == ""
    assert found("a.example", split) != found(
        "a.example", configuration(listener("web", ("a.example", weights(60, 40))))
    )


def test_a_percentage_of_all_or_none_is_no_chance() -> None:
    def found(numerator: int) -> str:
        fault = {"fault": {"percentage": {"numerator": numerator, "denominator": "MILLION"}}}
        return Odds({DOOR: configuration(listener("web", ("*", fault)))}).of(AT_DOOR, "a.example")

    assert [bool(found(numerator)) for numerator in (0, 500_000, 1_000_000)] == [False, True, False]


def test_several_servers_behind_a_cluster_are_odds() -> None:
    def found(servers: int) -> str:
        config = configuration(listener("web", ("*", {"cluster": "cart"})), servers=servers)
        return Odds({DOOR: config}).of(AT_DOOR, "a.example")

    assert found(1) == ""
    assert "cart has" in found(2)
