"""Addresses of pods that options of a command line state, as `addresses` of a case file does."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from meshlab.bench.case_file import format_words
from meshlab.bench.close_names import close_names
from meshlab.errors import LabError
from meshlab.istio.read.workload_ref import WorkloadRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["check_addresses", "read_address_options"]

OPTION = "--address"
_FORM = "write NAMESPACE/NAME=IP, such as shop/cart=10.8.1.7"


def read_address_options(texts: Iterable[str]) -> dict[WorkloadRef, str]:
    """Return the addresses that options state, by workload.

    Args:
        texts: What each option says, such as `shop/cart=10.8.1.7`.

    Raises:
        LabError: One of them says something else, or two of them contradict each other.
    """
    found: dict[WorkloadRef, str] = {}
    for text in texts:
        name, equals, written = text.partition("=")
        if not equals or not re.search(format_words.REF, name):
            raise LabError(f"{OPTION} {text}: {name!r} is no workload with an address; {_FORM}")
        try:
            address = str(ipaddress.ip_address(written))
        except ValueError:
            raise LabError(f"{OPTION} {text}: {written!r} is not an IP address; {_FORM}") from None
        ref = WorkloadRef(*name.split("/"))
        if ref in found:
            raise LabError(f"{OPTION} {text}: {ref} has the address {found[ref]} already; keep one")
        owner = next((other for other, known in found.items() if known == address), None)
        if owner is not None:
            raise LabError(
                f"{OPTION} {text}: {owner} has the address {address}, too; a pod has one of its own"
            )
        found[ref] = address
    return found


def check_addresses(addresses: Mapping[WorkloadRef, str], known: Iterable[WorkloadRef]) -> None:
    """Check that every workload with a stated address is there.

    Raises:
        LabError: One of them is not.
    """
    names = {str(ref) for ref in known}
    for ref in addresses:
        if str(ref) not in names:
            close = close_names(str(ref), names)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(names))}"
            raise LabError(f"{OPTION} {ref}: there is no workload of this name; {hint}")
