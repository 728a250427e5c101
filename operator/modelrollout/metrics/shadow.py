"""What an observer counted for one shadow: one question, and its answer as a few whole numbers."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from modelrollout.metrics import selectors

_PREFIX: Final = "modelrollout_shadow_"
_ASKED: Final = "requests_total|comparisons_total|excess_total"
_NOT_ELIGIBLE: Final = frozenset(
    {"method_not_safe", "content_type", "opted_out", "no_id", "not_sampled", "duplicate"}
)
"""What should never have been compared; the rest is what coverage is the share of."""
_LOST: Final = frozenset(
    {
        *("too_large", "queue_full", "bytes_full", "cut_off", "stale", "stopped"),
        *("comparer_error", "primary_unreadable"),
    }
)


def question(*, namespace: str, run: str, mandatory: Mapping[str, str]) -> str:
    """The query for the counters of one shadow.

    Args:
        namespace: of the rollout.
        run: of the shadow.
        mandatory: matchers of the source.
    """
    matchers = (
        selectors.Matcher("__name__", "=~", f"{_PREFIX}({_ASKED})"),
        *selectors.equal({"namespace": namespace, "run": run, **mandatory}),
    )
    inside = ",".join(str(matcher) for matcher in matchers)
    return f"sum by (__name__, pair, verdict, outcome, sign) ({{{inside}}})"


def totals(answer: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The counters as `domain.agreeing` names them; none where there is no series yet.

    Raises:
        ValueError, KeyError, TypeError: on an answer of another shape.
    """
    found: dict[str, int] = {}
    for series in answer:
        labels, amount = series["metric"], round(float(series["value"][1]))
        for name in _names(labels):
            found[name] = found.get(name, 0) + amount
    return found


def _names(labels: Mapping[str, str]) -> tuple[str, ...]:
    before = "control_" if labels.get("pair") == "control" else ""
    match labels["__name__"].removeprefix(_PREFIX):
        case "comparisons_total":
            verdict = labels["verdict"]
            return (f"{before}{verdict}",) if verdict in {"match", "mismatch"} else ()
        case "excess_total":
            return (labels["sign"],)
        case "requests_total" if not before:
            return _of_outcome(labels["outcome"])
        case _:
            return ()


def _of_outcome(outcome: str) -> tuple[str, ...]:
    if outcome in _NOT_ELIGIBLE:
        return ()
    if outcome in _LOST:
        return ("eligible",)
    trouble = outcome.startswith("candidate_") or outcome == "schema_mismatch"
    return ("eligible", "compared", *(("trouble",) if trouble else ()))
