"""Cost of a month: `python docs/cost.py` prints it, for the examples of `docs/cost.toml` or for your own numbers.

`python docs/cost.py --ways` prints what a million events cost in each of the ways to run the enrichment, by the
processor time in `docs/measured.toml`. `--write` writes the tables of `docs/cost.md`; a test holds the page to them. A
table stands between `<!-- cost: NAME -->` and `<!-- end of the table -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PAGE = FOLDER / "cost.md"
NUMBERS = FOLDER / "cost.toml"
MEASURED = FOLDER / "measured.toml"

HOURS = 730.0  # of a month, as Google's calculator counts them
SECONDS = HOURS * 3600
GIB = 2.0**30
TIB = 2.0**40
MILLION = 1_000_000

Prices = Mapping[str, float]
Example = Mapping[str, float]

_TABLE = re.compile(
    r"(?P<begin><!-- cost: (?P<name>[a-z ]+) -->\n).*?(?P<end><!-- end of the table -->)", re.DOTALL
)


class NumbersError(Exception):
    """A number is missing, unknown or no number; the message says which."""


@dataclass(frozen=True)
class Part:
    """One line of the bill.

    Attributes:
        name: what it is.
        idle: whether it costs the same without any event.
        usd: its cost of a month, from an example and the prices.
    """

    name: str
    idle: bool
    usd: Callable[[Example, Prices], float]


def _pubsub(n: Example, p: Prices) -> float:
    # Published once and delivered once; a dead letter is published and delivered again.
    size = max(1000, n["event_bytes"])
    return 2 * size * n["events"] * (1 + n["dead_letter_share"]) / TIB * p["pubsub_throughput"]


def _cpu(n: Example, p: Prices) -> float:
    seconds = n["events"] * n["billed_ms"] / 1000
    return seconds * (n["vcpu"] * p["run_cpu"] + n["memory_gib"] * p["run_memory"])


def _kept_instances(n: Example, p: Prices) -> float:
    return n["min_instances"] * SECONDS * (n["vcpu"] + n["memory_gib"]) * p["run_idle"]


def _inserts(n: Example, p: Prices) -> float:
    rows = n["events"] * (1 - n["dead_letter_share"])
    return rows * max(1000, n["row_bytes"]) / GIB * p["bigquery_insert"]


def _storage(n: Example, p: Prices) -> float:
    return n["events"] * n["row_bytes"] * n["months_kept"] / GIB * p["bigquery_storage"]


def _success_lines(n: Example, p: Prices) -> float:
    return n["events"] * n["log_bytes"] * n["log_share"] / GIB * p["log"]


def _gateway_data(n: Example, p: Prices) -> float:
    gib = n["events"] * n["lookup_bytes"] / GIB
    return gib * (p["load_balancer_data"] + n["zone_crossings"] * p["zone_crossing"])


def _nat(n: Example, p: Prices) -> float:
    hourly = min(32, n["nat_vms"]) * p["nat_vm"] + n["nat_addresses"] * p["nat_address"]
    return hourly * HOURS


def _alerts(n: Example, p: Prices) -> float:
    series = SECONDS / 30 / MILLION  # one time series of each condition, every 30 s
    return n["alert_conditions"] * (p["alert_condition"] + series * p["alert_series"])


def _secret_accesses(n: Example, p: Prices) -> float:
    return n["instance_starts"] * n["secrets"] / 10_000 * p["secret_access"]


def _gateway_rules(n: Example, p: Prices) -> float:
    return (1 if n["gateways"] else 0) * p["load_balancer_rule"] * HOURS


PARTS = (
    Part("Pub/Sub: publish and deliver", False, _pubsub),
    Part("Cloud Run: requests", False, lambda n, p: n["events"] / MILLION * p["run_request"]),
    Part("Cloud Run: CPU and memory", False, _cpu),
    Part("Cloud Run: instances that are kept", True, _kept_instances),
    Part("BigQuery: inserts", False, _inserts),
    Part("BigQuery: storage", False, _storage),
    Part("Logging: success lines", False, _success_lines),
    Part("Gateway: data, and between zones", False, _gateway_data),
    Part("Secret Manager: accesses", False, _secret_accesses),
    Part("NAT: data", False, lambda n, p: n["nat_gib"] * p["nat_data"]),
    Part("Network logs", False, lambda n, p: n["network_log_gib"] * p["network_log"]),
    Part("GKE: cluster", True, lambda n, p: n["clusters"] * HOURS * p["gke_cluster"]),
    Part("GKE: nodes", True, lambda n, p: n["node_vcpus"] * HOURS * p["node_vcpu"]),
    Part("Gateway: internal load balancer", True, _gateway_rules),
    Part("NAT: gateway and addresses", True, _nat),
    Part("Connector", True, lambda n, p: n["connector_vms"] * HOURS * p["connector_vm"]),
    Part("Certificate authority", True, lambda n, p: n["certificate_authorities"] * p["ca_month"]),
    Part("Secret Manager: versions", True, lambda n, p: n["secrets"] * p["secret_version"]),
    Part("Cloud KMS: key versions", True, lambda n, p: n["kms_keys"] * p["kms_version"]),
    Part("DNS: private zones", True, lambda n, p: n["dns_zones"] * p["dns_zone"]),
    Part("Alerts", True, _alerts),
    Part("Lookup: internal load balancer", True, lambda n, p: n["internal_proxies"] * HOURS * p["internal_proxy"]),
    Part("Lookup: Private Service Connect", True, lambda n, p: n["psc_endpoints"] * HOURS * p["psc_endpoint"]),
)  # fmt: skip

# What one of each part costs in a month without any event: the part, what one of it is, and its inputs.
IDLE = (
    ("GKE: cluster", "one regional cluster", {"clusters": 1}),
    ("GKE: nodes", "one e2-standard-2", {"node_vcpus": 2}),
    ("Gateway: internal load balancer", "one to five forwarding rules", {"gateways": 1}),
    ("NAT: gateway and addresses", "two VMs and one address", {"nat_vms": 2, "nat_addresses": 1}),
    ("Connector", "two machines; nothing with Direct VPC egress", {"connector_vms": 2}),
    ("Certificate authority", "one of the DevOps tier", {"certificate_authorities": 1}),
    ("Secret Manager: versions", "one version", {"secrets": 1}),
    ("Cloud KMS: key versions", "one version", {"kms_keys": 1}),
    ("DNS: private zones", "one zone", {"dns_zones": 1}),
    ("Alerts", "one condition", {"alert_conditions": 1}),
    (
        "Cloud Run: instances that are kept",
        "one of 1 vCPU and 512 MiB",
        {"min_instances": 1, "vcpu": 1, "memory_gib": 0.5},
    ),
    ("Lookup: internal load balancer", "three proxy instances, the least", {"internal_proxies": 3}),
    ("Lookup: Private Service Connect", "one endpoint", {"psc_endpoints": 1}),
)


def load(path: Path = NUMBERS, measured: Path = MEASURED) -> dict[str, Any]:
    """Return the prices and examples of a file, and what was measured, as `measured`.

    Raises:
        NumbersError: one of them cannot be read, or is no TOML.
    """
    found = {**_read(path), "measured": _read(measured)}
    if missing := {"prices", "examples"} - set(found):
        raise NumbersError(f"{path} has no [{sorted(missing)[0]}]")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NumbersError(f"cannot read {path}: {error}") from None


def prices(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Return each price in US dollars."""
    return {name: float(price["usd"]) for name, price in numbers["prices"].items()}


def bill(example: Example, usd: Prices) -> dict[str, float]:
    """Return what each part costs in a month, in US dollars.

    Raises:
        NumbersError: a number is missing, or is none.
    """
    try:
        return {part.name: part.usd(example, usd) for part in PARTS}
    except KeyError as missing:
        raise NumbersError(f"the number {missing.args[0]} is missing") from None
    except TypeError:
        raise NumbersError("a value of the example is no number; each but the title must be one") from None


def way_bill(
    way: Mapping[str, Any], shared: Mapping[str, Any], measured: Mapping[str, float], usd: Prices
) -> dict[str, float]:
    """Return what a million events cost in one way, in US dollars, by the parts of `WAY_PARTS`.

    An instance with one CPU takes `events_per_s`, and has work for the share `full` of its time. It is charged for all
    of it.

    Args:
        way: One of `[ways]`: how it is billed, its memory, and the price of its writes.
        shared: The numbers that all ways share.
        measured: What one CPU takes.
        usd: The prices.

    Raises:
        NumbersError: a number is missing, or is none.
    """
    try:
        events, billing = shared["events"], way["billing"]
        seconds = events / (measured["events_per_s"] * shared["full"])
        cpu, memory = (usd[name] for name in _OF_BILLING[billing])
        compute = seconds * (cpu * _PER[billing] + way["memory_gib"] * memory * _PER[billing])
        engine = 0.0
        if billing.startswith("dataflow"):
            compute += seconds / 3600 * shared["disk_gib"] * usd["dataflow_disk"]
        if billing == "dataflow_streaming":
            gib = events * shared["event_bytes"] / GIB
            engine = gib * shared["engine_units"] / 3600 * usd["dataflow_engine"]
        rows_gib = events * max(1000, shared["row_bytes"]) / GIB
        pubsub = 0.0 if billing == "dataflow_batch" else 2 * max(1000, shared["event_bytes"]) * events / TIB
        values = (
            pubsub * usd["pubsub_throughput"],
            events / MILLION * usd["run_request"] if billing == "requests" else 0.0,
            compute,
            engine,
            rows_gib * usd[way["insert"]] if way["insert"] else 0.0,
        )
    except KeyError as missing:
        raise NumbersError(f"the number {missing.args[0]} is missing") from None
    return dict(zip(WAY_PARTS, values, strict=True))


WAY_PARTS = ("Pub/Sub", "requests", "CPU, memory, disk", "Streaming Engine", "BigQuery writes")
_OF_BILLING = {
    "requests": ("run_cpu", "run_memory"),
    "instances": ("run_cpu_always", "run_memory_always"),
    "pool": ("pool_cpu", "pool_memory"),
    "dataflow_streaming": ("dataflow_streaming_cpu", "dataflow_memory"),
    "dataflow_batch": ("dataflow_batch_cpu", "dataflow_memory"),
}
"""The prices of a CPU and of a GiB, by how a way is billed."""

_PER = {
    "requests": 1.0,
    "instances": 1.0,
    "pool": 1.0,
    "dataflow_streaming": 1 / 3600,
    "dataflow_batch": 1 / 3600,
}
"""Seconds of Cloud Run's prices, hours of Dataflow's."""


def bills_of_all_ways(numbers: Mapping[str, Any], usd: Prices) -> dict[str, dict[str, float]]:
    """Return the bill of each way, by its title.

    Raises:
        NumbersError: a number is missing.
    """
    shared = numbers["ways"]
    return {
        way["title"]: way_bill(way, shared, numbers["measured"].get(way["measured"], {}), usd)
        for way in shared.values()
        if isinstance(way, Mapping)
    }


def with_own(
    example: Example, settings: Iterable[str], usd: Prices
) -> tuple[dict[str, float], dict[str, float]]:
    """Return an example and the prices with ``NAME=VALUE`` settings in place of their own.

    Raises:
        NumbersError: a setting names neither, or its value is no number that is zero or more.
    """
    own, own_usd = dict(example), dict(usd)
    problems = []
    for setting in settings:
        name, _, text = setting.partition("=")
        target = own if name in own else own_usd if name in own_usd else None
        try:
            value = float(text)
        except ValueError:
            value = -1
        if target is None or name == "title":
            problems.append(f"{name} is neither a number of an example nor a price")
        elif not 0 <= value < float("inf"):
            problems.append(f"{name}={text}: a number of zero or more is needed")
        else:
            target[name] = value
    if problems:
        raise NumbersError("; ".join(problems))
    return own, own_usd


def _chosen(numbers: Mapping[str, Any], name: str) -> Example:
    example: Example | None = numbers["examples"].get(name)
    if example is None:
        raise NumbersError(f"there is no example {name}, only {', '.join(numbers['examples'])}")
    return example


def _per_million(numbers: Mapping[str, Any]) -> str:
    found = bill(numbers["examples"]["million"], prices(numbers))
    rows = [(name, _money(usd)) for name, usd in found.items() if usd]
    return _markdown(
        ("part", "USD for a million events"), [*rows, ("**all**", f"**{_money(sum(found.values()))}**")]
    )


def _idle(numbers: Mapping[str, Any]) -> str:
    nothing = dict.fromkeys(numbers["examples"]["million"], 0.0)
    usd = prices(numbers)
    parts = {part.name: part for part in PARTS}
    return _markdown(
        ("part", "one is", "USD a month"),
        [(name, one, _money(parts[name].usd({**nothing, **inputs}, usd))) for name, one, inputs in IDLE],
    )


def _examples(numbers: Mapping[str, Any]) -> str:
    chosen = [numbers["examples"][name] for name in ("small", "medium", "large")]
    bills = [bill(example, prices(numbers)) for example in chosen]
    rows = [
        (part.name, *(_money(one[part.name]) for one in bills))
        for part in PARTS
        if any(one[part.name] for one in bills)
    ]
    idle = [sum(one[part.name] for part in PARTS if part.idle) for one in bills]
    totals = [sum(one.values()) for one in bills]
    each = [total / (example["events"] / MILLION) for total, example in zip(totals, chosen, strict=True)]
    return _markdown(
        ("USD a month", *(example["title"].partition(":")[0] for example in chosen)),
        [
            *rows,
            ("**all**", *(f"**{_money(total)}**" for total in totals)),
            ("of it without any event", *map(_money, idle)),
            ("all, for a million events", *map(_money, each)),
        ],
    )


def _inputs(numbers: Mapping[str, Any]) -> str:
    chosen = [numbers["examples"][name] for name in ("small", "medium", "large")]
    return _markdown(
        ("number", *(example["title"].partition(":")[0] for example in chosen)),
        [
            (f"`{name}`", *(f"{example[name]:,}" for example in chosen))
            for name in chosen[0]
            if name != "title"
        ],
    )


def _sources(numbers: Mapping[str, Any]) -> str:
    return _markdown(
        ("price", "USD", "for each", "source", "read", "checked"),
        [
            (
                f"`{name}`", f"{price['usd']:.8f}".rstrip("0").rstrip("."), price["unit"],
                f"[page]({price['page']})", price["read"], "yes" if price["checked"] else "**no**",
            )
            for name, price in numbers["prices"].items()
        ],
    )  # fmt: skip


def _ways(numbers: Mapping[str, Any]) -> str:
    bills = bills_of_all_ways(numbers, prices(numbers))
    rows = [
        (title, *map(_cents, found.values()), f"**{_cents(sum(found.values()))}**")
        for title, found in bills.items()
    ]
    return _markdown(("USD for a million events of 1 KB", *WAY_PARTS, "**all**"), rows)


def _measured(numbers: Mapping[str, Any]) -> str:
    rows = [
        (
            f"`{name}`", f"{found['events_per_s']:,.0f}", f"{found['cpu_ms']:.2f}", f"{found['peak_mib']:.0f}",
            found["run"] or "**aimed at, not measured**",
        )
        for name, found in numbers["measured"].items()
    ]  # fmt: skip
    return _markdown(("what", "events/s of one CPU", "CPU an event [ms]", "peak [MiB]", "from"), rows)


def _shared(numbers: Mapping[str, Any]) -> str:
    shared = {name: value for name, value in numbers["ways"].items() if not isinstance(value, Mapping)}
    return _markdown(("number", "is"), [(f"`{name}`", f"{value:,}") for name, value in shared.items()])


def _free(numbers: Mapping[str, Any]) -> str:
    rows = [(one["what"], one["amount"], f"[page]({one['page']})") for one in numbers["free"]]
    return _markdown(("free in each month", "how much", "source"), rows)


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "per million": _per_million,
    "idle": _idle,
    "examples": _examples,
    "inputs": _inputs,
    "sources": _sources,
    "ways": _ways,
    "measured": _measured,
    "shared": _shared,
    "free": _free,
}


def written(page: str, numbers: Mapping[str, Any]) -> str:
    """Return a page with its tables as the numbers say.

    Raises:
        KeyError: a marker names no table.
    """
    return _TABLE.sub(
        lambda found: f"{found['begin']}\n{TABLES[found['name']](numbers)}\n{found['end']}", page
    )


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _money(usd: float) -> str:
    return f"{usd:,.0f}" if usd >= 100 else f"{usd:.2f}" if usd >= 0.01 or not usd else f"{usd:.4f}"


def _cents(usd: float) -> str:
    return f"{usd:.3f}" if usd else "-"


def _ways_report(numbers: Mapping[str, Any], settings: Iterable[str]) -> str:
    shared = {name: value for name, value in numbers["ways"].items() if not isinstance(value, Mapping)}
    own, usd = with_own(shared, settings, prices(numbers))
    bills = bills_of_all_ways({**numbers, "ways": {**numbers["ways"], **own}}, usd)
    width = max(map(len, bills))
    lines = [f"{'USD for a million events':<{width}} {'all':>8}  of it"]
    for title, found in bills.items():
        parts = ", ".join(f"{name} {_cents(value)}" for name, value in found.items() if value)
        lines.append(f"{title:<{width}} {sum(found.values()):>8.3f}  {parts}")
    return "\n".join(lines) + "\n"


def _report(title: str, found: Mapping[str, float], events: float) -> str:
    width = max(map(len, found))
    total = sum(found.values())
    idle = sum(found[part.name] for part in PARTS if part.idle)
    lines = [
        f"{title}, USD a month",
        *(f"  {name:<{width}} {usd:>12,.2f}" for name, usd in found.items() if usd),
    ]
    lines += [f"  {'all':<{width}} {total:>12,.2f}", f"  {'of it without any event':<{width}} {idle:>12,.2f}"]
    if events:
        lines.append(f"  {'all, for a million events':<{width}} {total / (events / MILLION):>12,.2f}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print a bill, or write the page's tables; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="docs/cost.py", description="Prints what a month costs, by part, from docs/cost.toml.",
        epilog="The numbers and where the prices are from: docs/cost.md",
    )  # fmt: skip
    parser.add_argument(
        "--example", default="small", help="million, small, medium or large (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a number or a price of your own; may be repeated",
    )
    parser.add_argument(
        "--numbers", type=Path, default=NUMBERS, help="a file like docs/cost.toml (default: %(default)s)"
    )
    parser.add_argument(
        "--ways", action="store_true", help="a million events in each way to run the enrichment"
    )
    parser.add_argument("--write", action="store_true", help="write the tables of docs/cost.md instead")
    options = parser.parse_args(arguments)
    try:
        numbers = load(options.numbers)
        if options.write:
            PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), numbers), encoding="utf-8")
            return 0
        if options.ways:
            sys.stdout.write(_ways_report(numbers, options.set))
            return 0
        example = _chosen(numbers, options.example)
        own, usd = with_own(example, options.set, prices(numbers))
        sys.stdout.write(_report(str(own["title"]), bill(own, usd), own["events"]))
    except NumbersError as error:
        sys.stderr.write(f"docs/cost.py: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
