"""The page of shadows says what was measured, in the tables that are quoted elsewhere."""

from typing import Any

from tests.bench import quoted, shadow_page

USERS = {"p50_ms": 0.9, "p99_ms": 12.0, "requests": 4_500, "failed": 0}
CARRIED = {
    "offered_per_s": 2_900.4,
    "complete": 0.814,
    "cpu_us_per_pair": 307.2,
    "pairs_per_cpu_s": 3_256.0,
}
FOUND: dict[str, Any] = {
    "user_path": {
        "none": USERS,
        "10 %": USERS | {"p50_ms": 0.99},
        "100 %": USERS | {"failed": 3},
        "counts": {"both_ok": 1},
    },
    "in_trouble": {"well": USERS, "slow": USERS | {"p50_ms": 2.27}},
    "mirror": CARRIED,
    "ext_proc_1000": CARRIED,
    "ext_proc_2000": CARRIED | {"complete": 0.37},
    "overload": {
        "seen": 12_130.0,
        "outcomes": {"both_ok": 1_315, "queue_full": 10_815, "late": 0},
        "unaccounted": 0,
        "memory_mib": [79.2, 84.4],
    },
}


def test_every_figure_stands_in_its_table() -> None:
    page = shadow_page.page(FOUND)
    for line in (
        "| none | 0.90 ms | 12.0 ms | 4,500 | 0 |",
        "| 10 % | 0.99 ms (+0.09) | 12.0 ms | 4,500 | 0 |",
        "| 100 % | 0.90 ms (+0.00) | 12.0 ms | 4,500 | 3 |",
        "| slow (the candidate takes 2 s) | 4,500 | 0 | 2.27 ms | 12.0 ms |",
        "| mirror | both | 2,900/s | 81 % | 307 us | 3,256 | 5,000 |",
        "| ext_proc | candidate | 2,900/s | 37 % | 307 us | 3,256 | 2,000 |",
    ):
        assert f"\n{line}\n" in page
    assert "counts" not in page.partition("## The observer")[0]
    assert "12,130 were seen" in page
    assert "1,315 `both_ok`, 10,815 `queue_full`; unaccounted for: 0" in page
    assert "79 MiB before and 84 MiB after" in page


def test_its_tables_can_be_quoted() -> None:
    (asked,) = [one for one in quoted.SECTIONS if one.page == "benchmarks/shadow.md"]
    assert "| mirror |" in quoted.section(asked, shadow_page.page(FOUND))
