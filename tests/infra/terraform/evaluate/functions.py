"""The functions of Terraform's language that the project's files use."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FUNCTIONS"]


def _flatten(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (_flatten(value) if isinstance(value, list) else [value])]


def _cidrsubnet(prefix: str, bits: int, number: int) -> str:
    network = ip_network(prefix, strict=False)
    subnet = next(itertools.islice(network.subnets(prefixlen_diff=int(bits)), int(number), None))
    return str(subnet)


def _distinct(values: list[Any]) -> list[Any]:
    return [value for number, value in enumerate(values) if value not in values[:number]]


def _one(values: list[Any]) -> Any:  # noqa: ANN401
    if len(values) > 1:
        raise ValueError("one() of several elements")
    return values[0] if values else None


def _regex(pattern: str, text: str) -> Any:  # noqa: ANN401
    found = re.search(pattern, text)
    if not found:
        raise ValueError(f"{pattern} is not found in {text}")
    return found.groupdict() or list(found.groups()) or found.group()


def _coalesce(*values: Any) -> Any:  # noqa: ANN401
    return next(value for value in values if value not in (None, ""))


def _lookup(values: dict[str, Any], key: str, *default: Any) -> Any:  # noqa: ANN401
    return values.get(key, *default) if default else values[key]


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _templatefile(path: str, values: dict[str, Any]) -> str:
    """Fill the gaps `${NAME}`. A gap that holds an expression is not known here."""

    def fill(gap: re.Match[str]) -> str:
        return _text(values[gap[1]])

    return re.sub(r"(?<!\$)\$\{([^}]*)\}", fill, Path(path).read_text())


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _timeadd(text: str, duration: str) -> str:
    units = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+)([hms])", duration)
    later = _time(text) + timedelta(seconds=sum(int(number) * units[unit] for number, unit in parts))
    return later.isoformat().replace("+00:00", "Z")


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    return values[start:end]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "alltrue": all,
    "anytrue": any,
    "base64encode": lambda text: base64.b64encode(text.encode()).decode(),
    "ceil": lambda number: -int(-number // 1),
    "cidrhost": lambda prefix, number: str(ip_network(prefix, strict=False)[int(number)]),
    "cidrnetmask": lambda prefix: str(ip_network(prefix, strict=False).netmask),
    "cidrsubnet": _cidrsubnet,
    "coalesce": _coalesce,
    "compact": lambda values: [value for value in values if value],
    "concat": lambda *lists: [value for one in lists for value in one],
    "contains": lambda values, value: value in values,
    "distinct": _distinct,
    "element": lambda values, number: values[int(number) % len(values)],
    "endswith": lambda text, end: text.endswith(end),
    "file": lambda path: Path(path).read_text(),
    "filebase64sha256": lambda path: base64.b64encode(
        hashlib.sha256(Path(path).read_bytes()).digest()
    ).decode(),
    "fileset": lambda folder, pattern: sorted(path.name for path in Path(folder).glob(pattern)),
    "flatten": _flatten,
    "floor": lambda number: int(number // 1),
    "format": lambda text, *values: text.replace("%v", "%s") % values,
    "formatlist": lambda text, values: [text.replace("%v", "%s") % value for value in values],
    "join": lambda separator, values: separator.join(map(_text, values)),
    "jsondecode": json.loads,
    "jsonencode": lambda value: json.dumps(value, separators=(",", ":"), sort_keys=True),
    "keys": sorted,
    "length": len,
    "lookup": _lookup,
    "lower": str.lower,
    "max": max,
    "merge": lambda *maps: {key: value for one in maps if one for key, value in one.items()},
    "min": min,
    "nonsensitive": lambda value: value,
    "one": _one,
    "pow": lambda base, exponent: base**exponent,
    "range": lambda *numbers: list(range(*numbers)),
    "regex": _regex,
    "replace": lambda text, old, new: (
        re.sub(old[1:-1], new, text)
        if old[:1] == old[-1:] == "/" and len(old) > 1
        else text.replace(old, new)
    ),
    "reverse": lambda values: values[::-1],
    "sensitive": lambda value: value,
    "setintersection": lambda first, *others: sorted(
        value for value in set(first) if all(value in other for other in others)
    ),
    "setsubtract": lambda one, other: sorted(value for value in one if value not in other),
    "setunion": lambda *sets: sorted({value for one in sets for value in one}),
    "setproduct": lambda *lists: [list(found) for found in itertools.product(*lists)],
    "slice": _slice,
    "sort": sorted,
    "split": lambda separator, text: text.split(separator),
    "strcontains": lambda text, part: part in text,
    "startswith": lambda text, start: text.startswith(start),
    "substr": lambda text, start, length: text[start : None if length < 0 else start + length],
    "sum": sum,
    "templatefile": _templatefile,
    "tobool": lambda value: {"true": True, "false": False}.get(value, value),
    "tolist": list,
    "tomap": dict,
    "tonumber": lambda value: value if isinstance(value, int | float) else json.loads(value),
    "timeadd": _timeadd,
    "timecmp": lambda one, other: (_time(one) > _time(other)) - (_time(one) < _time(other)),
    "toset": lambda values: sorted(_distinct(values), key=str),
    "tostring": _text,
    "trimprefix": lambda text, start: text.removeprefix(start),
    "trimspace": str.strip,
    "trimsuffix": lambda text, end: text.removesuffix(end),
    "upper": str.upper,
    "values": lambda found: [found[key] for key in sorted(found)],
    "zipmap": lambda keys, values: dict(zip(keys, values, strict=True)),
}
