# ruff: noqa: E501 - lines of a page
"""docs/benchmarks/shadow.md, from the figures of `tests.bench.shadow`."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tests.cluster import layout

Json = Mapping[str, Any]

PAGE: Final = layout.CHECKOUT / "docs" / "benchmarks" / "shadow.md"
_ASKED_MS: Final = 0.15
_CARRIED: Final = {
    "mirror": ("mirror", "both", 5_000),
    "ext_proc_1000": ("ext_proc", "candidate", 2_000),
    "ext_proc_2000": ("ext_proc", "candidate", 2_000),
}
_STATES: Final = {"slow": "slow (the candidate takes 2 s)"}


def page(found: Json) -> str:
    """The figures as Markdown.

    Args:
        found: as `tests.bench.shadow.measured` returns it.
    """
    return f"""# What a shadow costs, and what its observer carries

Written by `python -m tests.bench.shadow --write` on {datetime.now(UTC):%d %B %Y}, on a machine of {os.cpu_count()} cores
that did other work at the same time (load {os.getloadavg()[0]:.0f}): read ratios and CPU, not absolute latencies. Users, Envoy,
observer and models run as processes on loopback; the model answers a fixed 130 bytes at once.

## Users: 500 requests a second through Envoy, in turns

| tee | p50 | p99 | requests | failed |
|---|---|---|---|---|
{_users(found["user_path"])}

Asked for: at most {_ASKED_MS} ms more at 10 %. With 100 % copied, and an observer that is

| | requests | failed | p50 | p99 |
|---|---|---|---|---|
{_trouble(found["in_trouble"])}

## The observer, on a core of its own: pairs per second of its CPU time

| front | asks | offered | compared | CPU per pair | pairs per CPU second | asked for |
|---|---|---|---|---|---|---|
{_carried(found)}

What is offered and not compared was dropped by the observer, which counts it by reason, or by Envoy's breaker
(64 streams), which drops before its users wait and counts it itself: `envoy_cluster_upstream_rq_pending_overflow`
of the cluster `observer`.

## Ten times too much

A candidate that takes 20 ms, four at a time (200 pairs a second), 64 requests in hand at most, offered
copies of 50 kB at up to 2,000 a second. {_overload(found["overload"])}
"""


def _users(found: Json) -> str:
    none = found["none"]["p50_ms"]
    return "\n".join(
        f"| {tee} | {one['p50_ms']:.2f} ms{_more(one['p50_ms'] - none) if tee != 'none' else ''} | "
        f"{one['p99_ms']:.1f} ms | {one['requests']:,} | {one['failed']} |"
        for tee, one in found.items()
        if tee != "counts"
    )


def _more(by_ms: float) -> str:
    return f" ({by_ms:+.2f})"


def _trouble(found: Json) -> str:
    return "\n".join(
        f"| {_STATES.get(state, state)} | {one['requests']:,} | {one['failed']} | "
        f"{one['p50_ms']:.2f} ms | {one['p99_ms']:.1f} ms |"
        for state, one in found.items()
    )


def _carried(found: Json) -> str:
    return "\n".join(
        f"| {front} | {asks} | {found[name]['offered_per_s']:,.0f}/s | "
        f"{100 * found[name]['complete']:.0f} % | {found[name]['cpu_us_per_pair']:.0f} us | "
        f"{found[name]['pairs_per_cpu_s']:,.0f} | {asked:,} |"
        for name, (front, asks, asked) in _CARRIED.items()
    )


def _overload(found: Json) -> str:
    outcomes = sorted(found["outcomes"].items())
    listed = ", ".join(f"{count:,.0f} `{name}`" for name, count in outcomes if count)
    before, after = found["memory_mib"]
    return (
        f"{found['seen']:,.0f} were seen, warm-up\nincluded: {listed}; unaccounted for: "
        f"{found['unaccounted']}. Memory {before:.0f} MiB before and {after:.0f} MiB after."
    )
