"""Texts that the conditions of a way name: members, near misses, unusual spellings and strangers."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from meshlab.battery.paths import disguised
from meshlab.battery.patterns import joined
from meshlab.battery.request_values import Name, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshlab.battery.clauses import Atom
    from meshlab.battery.patterns import Pattern

__all__ = ["MOST_NAMED", "STRANGER", "addresses", "is_host", "methods", "names", "paths", "texts"]

_PATH = re.compile(r"/[!-\"$->@-~]*")
"""A path that a request line can carry: ASCII without spaces, `#` and `?` (RFC 9112, section 3)."""

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")
_VALUE = re.compile(r"[!-~]([ -~]{0,198}[!-~])?")
MOST_NAMED = 400
"""How many conditions of one dimension get values of their own."""

_MOST = 160
"""How many values there are beside those that conditions name."""

_MOST_JOINED = 12
_MOST_SNI = 6
_USUAL_METHODS = ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS")
STRANGER = "stranger.example"
"""A host that no manifest names."""


def paths(atoms: Sequence[Atom], spelt: Iterable[Atom]) -> tuple[Text, ...]:
    """Return the paths to try.

    Args:
        atoms: The conditions on paths.
        spelt: Those whose texts are also sent in unusual spellings.
    """
    atoms = atoms[:MOST_NAMED]
    patterns = [atom.pattern for atom in atoms if atom.pattern is not None]
    found = ["/", *(disguised(member) for pattern in patterns for member in pattern.members())]
    found += _filled(patterns)
    found += joined(patterns, _MOST_JOINED)
    near: dict[str, str] = {}
    for atom in atoms:
        for member in atom.pattern.members() if atom.pattern is not None else ():
            near.setdefault(member.rpartition("/")[0], atom.name)
            near.setdefault(f"{member.rstrip('/')}/x", atom.name)
        for text in atom.pattern.near_misses() if atom.pattern is not None else ():
            near.setdefault(text, atom.name)
    members = [member for pattern in patterns for member in pattern.members()]
    # The end of a path alone is no path.
    beside = ("/stranger", *list(near)[:_MOST])
    rooted = (text if text.startswith("/") else f"/{text}" for text in (*found, *beside, *members))
    usual = [Text(path, origin=near.get(path, "")) for path in dict.fromkeys(rooted) if _PATH.fullmatch(path)]
    unusual = [each for atom in spelt for each in _spellings(atom)]
    return tuple(dict.fromkeys((*usual, *unusual[:_MOST])))


def _filled(patterns: Sequence[Pattern]) -> Iterator[str]:
    """Yield members of templates that also meet the beginning or the text of another condition."""
    templates = [pattern.value.split("/") for pattern in patterns if pattern.kind == "template"]
    others = [pattern for pattern in patterns if pattern.kind in ("exact", "prefix")]
    for template in templates[:_MOST_JOINED]:
        for other in others[:_MOST_JOINED]:
            member = other.members()[0].split("/")
            if len(member) > len(template):
                continue
            both = list(zip(member, template, strict=False))
            if all(wanted in ("{*}", "{**}", segment) for segment, wanted in both):
                path = "/".join((*member, *template[len(member) :]))
                yield disguised(path.replace("{**}", "1").replace("{*}", "1"))


def _spellings(atom: Atom) -> Iterator[Text]:
    """Yield unusual spellings of a path that a condition names, each of which a proxy may or may not undo."""
    pattern = atom.pattern
    if pattern is None:
        return
    for path in pattern.members()[:1]:
        if ";" in path:
            # It is an unusual spelling itself.
            return
        first = path[1:2]
        spelt = {
            "trailing slash": f"{path}/",
            "double slash": f"/{path}",
            "dots": f"/x/..{path}",
            "encoded dots": f"/x/%2e%2e{path}",
            "parameter": f"{path};x",
        }
        if first.isalnum():
            spelt["encoded"] = f"/%{ord(first):02x}{path[2:]}"
            spelt["case"] = f"/{first.swapcase()}{path[2:]}"
        before, slash, last = path.rpartition("/")
        if before and pattern.kind != "exact" and pattern.value[len(before) :].startswith("/"):
            spelt["without its slash"] = before
        if before and slash and last:
            spelt["encoded slash"] = f"{before}%2f{last}"
        for trait, text in spelt.items():
            if path != "/" and _PATH.fullmatch(text):
                yield Text(text, trait, atom.name)


def methods(atoms: Sequence[Atom]) -> tuple[Text, ...]:
    """Return the methods to try."""
    patterns = [atom.pattern for atom in atoms[:MOST_NAMED] if atom.pattern is not None]
    found = ["GET", *(member for pattern in patterns for member in _methods_of(pattern))]
    found += _USUAL_METHODS if patterns else ()
    found += [near for pattern in patterns for near in pattern.near_misses("X")][:_MOST]
    # CONNECT has a target of another form, which cases do not write.
    sendable = (
        text for text in dict.fromkeys(found) if _METHOD.fullmatch(text) and text.upper() != "CONNECT"
    )
    return tuple(Text(text) for text in sendable)


def _methods_of(pattern: Pattern) -> Sequence[str]:
    """Return methods that meet a pattern. Proxies refuse an HTTP/1.1 request with a method that they do not know."""
    return [method for method in _USUAL_METHODS if pattern.meets(method)] or pattern.members("X")


def names(
    usual: str, atoms: Sequence[Atom], port: int, *, sni: bool, others: bool = True
) -> tuple[Name, ...]:
    """Return the hosts and server names to try.

    Args:
        usual: The host of a request that asks for nothing else.
        atoms: The conditions on hosts and server names.
        port: The port that the client connects to.
        sni: Whether the client speaks TLS, so that its server name may differ from its Host.
        others: Whether hosts may be asked for that no condition names.
    """
    atoms = atoms[:MOST_NAMED]
    patterns = [atom.pattern for atom in atoms if atom.pattern is not None]
    # Behind a colon only digits can follow.
    fillings = ("any", "1")
    found = [usual, *(each for pattern in patterns for word in fillings for each in pattern.members(word))]
    found += joined(patterns, _MOST_JOINED)
    found = [text for text in dict.fromkeys(found) if is_host(text)]
    hosts = [text for text in found if ":" not in text]
    literal = [pattern.value for pattern in patterns if pattern.kind == "exact" and is_host(pattern.value)]
    near = [each for pattern in patterns if pattern.kind == "regex" for each in pattern.near_misses()]
    near += [f"{host}:{port}" for host in hosts]
    near += [f"{host}:{port + 1}" for host in literal if ":" not in host]
    if others:
        near += [f"x.{host}" for host in literal] + [f"{host}.x" for host in literal if ":" not in host]
        near.append(STRANGER)
    named = [Name(text) for text in found]
    chosen = [Name(text) for text in dict.fromkeys(near) if is_host(text)]
    chosen += [
        Name(host.upper(), None, "case", atom.name)
        for atom in atoms
        if atom.pattern is not None and atom.pattern.kind == "exact" and is_host(host := atom.pattern.value)
        if ":" not in host
    ]
    if sni:
        # A server name that is served, and a Host that is not: only the routes and policies can distinguish them.
        bare = [host for host in literal if ":" not in host]
        chosen += [Name(near, host) for host in bare for near in (f"x.{host}", f"{host}.x")]
        chosen += [Name(text, usual) for text in found if text.partition(":")[0] not in literal]
        chosen += [
            Name(host, other)
            for host in hosts[:_MOST_SNI]
            for other in (*hosts[:_MOST_SNI], STRANGER)
            if other != host
        ]
    return tuple(dict.fromkeys((*named, *list(dict.fromkeys(chosen))[:_MOST])))


def is_host(text: str) -> bool:
    """Return whether a text can be a Host: a name or an IPv4 address, with a port or without."""
    name, colon, port = text.partition(":")
    return bool(_HOST.fullmatch(name)) and (not colon or (port.isdecimal() and 0 < int(port) < 65536))


def texts(atoms: Sequence[Atom], filling: str = "x") -> tuple[Text, ...]:
    """Return the values of a header or a parameter to try; the first is none, and the last is sent empty."""
    patterns = [atom.pattern for atom in atoms[:MOST_NAMED] if atom.pattern is not None]
    found = [member for pattern in patterns for member in pattern.members(filling)]
    found += joined(patterns, _MOST_JOINED)
    found += [near for pattern in patterns for near in pattern.near_misses(filling)][:_MOST]
    found.append("stranger")
    written = (Text(text) for text in dict.fromkeys(found) if _VALUE.fullmatch(text))
    return (Text(""), *written, Text("", empty=True))


def addresses(atoms: Sequence[Atom]) -> tuple[Text, ...]:
    """Return the client addresses to try: one in each range, those beside it, and one of none."""
    if not atoms:
        return (Text(""),)
    inside: list[str] = []
    beside: dict[str, str] = {}
    for atom in atoms[:MOST_NAMED]:
        network = ipaddress.ip_network(atom.word)
        first, last = int(network.network_address), int(network.broadcast_address)
        kind = type(network.network_address)
        inside.append(str(kind(min(first + 1, last))))
        for number in (last + 1, first - 1):
            if 0 < number < 2**network.max_prefixlen - 1:
                beside.setdefault(str(kind(number)), atom.name)
    every = dict.fromkeys(("192.0.2.1", *inside, *list(beside)[:_MOST]))
    return tuple(Text(text, origin=beside.get(text, "")) for text in every)
