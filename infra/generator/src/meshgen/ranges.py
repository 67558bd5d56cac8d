"""Ranges of addresses, which must be as narrow as what they stand for."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

__all__ = ["range_problem", "unusable"]


def range_problem(text: str, widest: int, expected: str) -> str:
    """Return why a range must not be opened; empty for nothing.

    Args:
        text: The range, as ADDRESS/LENGTH.
        widest: The shortest prefix that is taken.
        expected: What the range stands for, in words.
    """
    try:
        found = IPv4Network(text)
    except (AddressValueError, NetmaskValueError) as error:
        return f"{error}."
    except ValueError as error:
        return f"{error}; name the first address of the range."
    if found.prefixlen < widest:
        return f"{text} is wider than /{widest}; name {expected}."
    if unusable(found.network_address) or unusable(found.broadcast_address):
        return f"{text} holds no address that a machine on a network can have."
    return ""


def unusable(address: IPv4Address) -> bool:
    """Return whether no machine on a network can have an address."""
    this_network, broadcast = IPv4Network("0.0.0.0/8"), IPv4Address("255.255.255.255")
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address in this_network
        or address == broadcast
    )
