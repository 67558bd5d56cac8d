"""A condition on a stated address holds exactly where the compiled one holds for what stands for the address."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st
from meshlab.istio.envoy.rbac import PeerAddresses
from meshlab.istio.model.addresses import SOURCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.istio.envoy.config import Json

# Few bits vary, so that ranges and addresses meet often.
ADDRESSES = st.one_of(
    st.integers(0, 255).map(
        lambda bits: str(ipaddress.IPv4Address((10 << 24) | (bits & 15) << 12 | bits >> 4))
    ),
    st.integers(0, 255).map(
        lambda bits: str(ipaddress.IPv6Address((0xFD00 << 112) | (bits & 15) << 60 | bits >> 4))
    ),
    st.sampled_from(["0.0.0.0", "255.255.255.255", "127.0.0.1", "127.99.0.1", "127.101.0.1", "::", "::1"]),
)


@st.composite
def blocks(draw: st.DrawFn) -> str:
    address = draw(ADDRESSES | st.just("127.100.0.1"))
    if draw(st.booleans()):
        return address
    return f"{address}/{draw(st.integers(0, ipaddress.ip_address(address).max_prefixlen))}"


def sources_of(stated: Sequence[str]) -> dict[str, str]:
    return {address: str(SOURCES[1 + index]) for index, address in enumerate(stated)}


def holds(condition: Json, *, direct: str, remote: str) -> bool:
    """Evaluate a principal as Envoy does."""
    ((kind, value),) = condition.items()
    match kind:
        case "andIds":
            return all(holds(each, direct=direct, remote=remote) for each in value["ids"])
        case "notId":
            return not holds(value, direct=direct, remote=remote)
        case "directRemoteIp":
            return is_in(direct, value)
        case "remoteIp":
            return is_in(remote, value)
    raise AssertionError(kind)


def is_in(address: str, value: dict[str, Any]) -> bool:
    network = ipaddress.ip_network(f"{value['addressPrefix']}/{value['prefixLen']}", strict=False)
    return ipaddress.ip_address(address) in network


def in_block(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)


@given(st.lists(ADDRESSES, min_size=1, max_size=6, unique=True), blocks())
@example(["10.0.0.1", "fd00::1"], "0.0.0.0/0")
@example(["10.0.0.1", "fd00::1"], "127.100.0.0/24")
def test_a_peers_condition_is_that_of_its_stated_address(stated: list[str], block: str) -> None:
    sources = sources_of(stated)
    known = PeerAddresses(sources)
    for address, source in sources.items():
        expected = in_block(address, block)
        assert expected == any(holds(each, direct=source, remote="10.0.0.1") for each in known.direct(block))
        # Without X-Forwarded-For the trusted client address is the peer's.
        assert expected == any(holds(each, direct=source, remote=source) for each in known.remote(block))
    # A peer without a stated address is in no range; the bench asks whether that matters.
    assert not any(holds(each, direct="127.0.0.1", remote="127.0.0.1") for each in known.direct(block))


@given(st.lists(ADDRESSES, min_size=1, max_size=6, unique=True), ADDRESSES, blocks())
@example(["10.0.0.1"], "10.0.0.2", "0.0.0.0/0")
def test_an_address_that_was_sent_along_is_compared_as_written(
    stated: list[str], sent: str, block: str
) -> None:
    known = PeerAddresses(sources_of(stated))
    found = any(holds(each, direct=str(SOURCES[1]), remote=sent) for each in known.remote(block))
    assert found == in_block(sent, block)


@given(ADDRESSES, blocks())
def test_the_pods_own_address_is_compared_beforehand(own: str, block: str) -> None:
    always = {"any": True}
    expected = always if in_block(own, block) else {"notRule": always}
    assert PeerAddresses(own=own).destination(block) == expected


def test_without_stated_addresses_conditions_stay_as_written() -> None:
    known, written = PeerAddresses(), {"addressPrefix": "10.0.0.0", "prefixLen": 8}
    assert known.direct("10.0.0.0/8") == [{"directRemoteIp": written}]
    assert known.remote("10.0.0.0/8") == [{"remoteIp": written}]
    assert known.destination("10.0.0.0/8") == {"destinationIp": written}
