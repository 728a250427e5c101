"""`python -m tests.bench`: measures on two local clusters and writes docs/benchmarks.md.

Traffic and shadow have pages of their own, which are quoted (`quoted`).
"""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench import quoted
from tests.cluster import layout

PAGE: Final = layout.CHECKOUT / "docs" / "benchmarks.md"


def main() -> None:
    """Both parts, then the page."""
    with tempfile.TemporaryDirectory() as folder:
        chart = _run("tests.bench.chart", Path(folder, "chart.json"))
        rows = _run("tests.bench.scale", Path(folder, "scale.json"))
    PAGE.write_text(quoted.renewed(page(chart, rows), quoted.sections()))
    print(PAGE.read_text())  # noqa: T201 - what was asked for


def _run(module: str, result: Path) -> Any:
    command = [sys.executable, "-m", "tests.cluster", "run", "--", sys.executable, "-m", module]
    subprocess.run([*command, str(result)], check=True)
    return json.loads(result.read_text())


def page(chart: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    idle, reaction = chart["idle"], chart["reaction"]
    seconds, delays = reaction["reactions_s"], reaction["gateway_s"]
    first, last = rows[0], rows[-1]
    per = [f"{row['looks_per_s'] / max(row['rollouts'] / 30, 1e-9):.2f}" for row in rows]
    table = "\n".join(
        f"| {row['rollouts']:,} | {row['cores']:.3f} | {row['rss_mb']:.0f} | "
        f"{row['looks_per_s']:.2f} ({share}) | {row['late_p99_s']:g} |"
        for row, share in zip(rows, per, strict=True)
    )
    growth = (last["cores"] - first["cores"]) / (last["rollouts"] - first["rollouts"])
    return f"""# Benchmarks

Written by `make bench` on {datetime.now(UTC):%d %B %Y}: {_machine()}. Everything ran on this one machine:
control plane, gateway, Prometheus, models, users and operator.

## Reaction

From the instant at which Prometheus first answers with ten errors of a candidate that now fails every
request (enough to condemn it alone), to the last answer that a client gets from it. {len(seconds)} runs, 60 requests/s, 50 % on the
candidate, a look every {reaction["interval_s"]:g} s, a scrape every {reaction["scrape_s"]:g} s.

| | median | smallest to largest |
|---|---|---|
| reaction | {median(seconds):.2f} s | {min(seconds):.2f} to {max(seconds):.2f} s |
| the gateway's own delay, a weight changed by hand | {median(delays):.2f} s | {min(delays):.2f} to {max(delays):.2f} s |
| one look + one scrape + that delay | {reaction["bound_s"]:.2f} s | |

Ratio of the slowest reaction to that sum: {max(seconds) / reaction["bound_s"]:.2f} (at most 1 is asked for).

## At rest

| | |
|---|---|
| requests to the apiserver in {idle["rest_s"]:g} s of rest (Lease and watches aside, by the audit log) | {idle["calls"]} |
| queries to Prometheus in that time (by its query log) | {idle["queries"]} |
| weights changed by hand are put back after | {idle["put_back_s"]:.2f} s |

## 1, 100 and 1,000 rollouts in progress

Five metrics each, a look every 30 s, a source that answers in 20 ms, a real apiserver; {_window_s():g} s
each. CPU and memory of the operator's process alone. In brackets: looks made to looks due.

| rollouts | cores | RSS, MB | looks/s | passes late, 99th percentile: at most, s |
|---|---|---|---|---|
{table}

Each further rollout costs {1000 * growth:.2f} thousandths of a core. Asked for at 1,000: under half a core (here
{last["cores"]:.2f}) and under 400 MB (here {last["rss_mb"]:.0f}), and less than 1 s late (here at most {last["late_p99_s"]:g} s).
"""


def _window_s() -> float:
    from tests.bench import scale

    return scale.WINDOW_S


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    python = ".".join(str(part) for part in sys.version_info[:3])
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores ({models[0] if models else 'unknown'}), Python {python}, load {load:.1f}"


if __name__ == "__main__":
    main()
