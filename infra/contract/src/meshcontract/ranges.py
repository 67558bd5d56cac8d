"""Ranges of addresses, which must be as narrow as what they stand for."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

__all__ = [
    "is_private",
    "private_address_problem",
    "private_range_problem",
    "range_problem",
    "too_narrow",
    "unusable",
]

_RANGE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}")
# Addresses that a VPC routes without an owner in the internet.
_PRIVATE = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("240.0.0.0/4"),  # a pattern of `value_types` leaves out 255.0.0.0/8
)


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


def private_range_problem(text: str, widest: int, expected: str) -> str:
    """Return why a range of one's own network must not be opened; empty for nothing.

    Args:
        text: The range, as ADDRESS/LENGTH.
        widest: The shortest prefix that is taken.
        expected: What the range stands for, in words.
    """
    if not _RANGE.fullmatch(text):
        return f"{text or 'an empty value'} is no range such as 10.8.0.0/26; name {expected}."
    if problem := range_problem(text, widest, expected):
        return problem
    if not is_private(IPv4Network(text)):
        return f"{text} is public; name {expected}."
    return ""


def too_narrow(text: str, narrowest: int) -> str:
    """Return why a range has too few addresses; empty for nothing.

    Args:
        text: The range, which is one.
        narrowest: The longest prefix that is taken.
    """
    found = IPv4Network(text)
    return f"{text} is narrower than /{narrowest}." if found.prefixlen > narrowest else ""


def private_address_problem(text: str) -> str:
    """Return why an address is none of one's own network; empty for nothing.

    Args:
        text: The address.
    """
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return "it is no IPv4 address"
    if unusable(address):
        return "no machine on a network can have this address"
    return "" if is_private(IPv4Network(address)) else "it is a public address"


def is_private(found: IPv4Network) -> bool:
    """Return whether a range has no owner in the internet."""
    return any(found.subnet_of(private) for private in _PRIVATE)


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
