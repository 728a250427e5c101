"""What a metric reads: its parts, each one selector per arm.

A text that is no plain selector is a raw query: an expression that yields counters, in which
`{arm}` stands for the matchers of the version; only sources that allow it evaluate it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelrollout.api.spec import Latency, Metric
from modelrollout.metrics import selectors
from modelrollout.metrics.selectors import Matcher, Selector

ARM: Final = "{arm}"


class Quantity(StrEnum):
    """What a part counts."""

    EVENTS = "events"
    TOTAL = "total"
    OTHERS = "others"
    FAST = "fast"
    COUNT = "count"
    SUM = "sum"
    SQUARES = "squares"
    BUCKETS = "buckets"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a metric reads, for any version.

    Attributes:
        metric: its name.
        quantity: what is counted.
        text: selector or raw query, as written.
        extra: matchers that the metric's kind adds (the bucket).
    """

    metric: str
    quantity: Quantity
    text: str
    extra: tuple[Matcher, ...] = ()

    @property
    def selector(self) -> Selector | None:
        """The plain selector, None for a raw query."""
        try:
            return selectors.parsed(self.text).with_matchers(self.extra)
        except selectors.SelectorError:
            return None

    def expression(self, matchers: tuple[Matcher, ...]) -> str:
        """What is selected of one version, as PromQL without a range."""
        if (selector := self.selector) is not None:
            return str(selector.with_matchers(matchers))
        return self.text.replace(ARM, ",".join(str(matcher) for matcher in matchers))

    def over(self, matchers: tuple[Matcher, ...], *, seconds: float, at: float) -> str:
        """The same as a range that ends at an instant (seconds since the epoch)."""
        expression = self.expression(matchers)
        if self.selector is not None:
            return f"{expression}[{milliseconds(seconds)}] @ {at:.3f}"
        # A raw query is evaluated once, at the end of its range: Prometheus aligns the steps of a
        # subquery, so that any longer one would be evaluated up to its length earlier.
        return f"({expression})[1ms:1ms] @ {at:.3f}"


def milliseconds(seconds: float) -> str:
    """A duration as PromQL writes it."""
    return f"{max(1, round(seconds * 1000))}ms"


def of(metric: Metric) -> Sequence[Part]:
    """The parts of a metric."""
    return tuple(_parts(metric))


def _parts(metric: Metric) -> Iterator[Part]:
    if metric.rate is not None:
        yield Part(metric.name, Quantity.EVENTS, metric.rate.events)
        if metric.rate.total is not None:
            yield Part(metric.name, Quantity.TOTAL, metric.rate.total)
        if metric.rate.others is not None:
            yield Part(metric.name, Quantity.OTHERS, metric.rate.others)
    if metric.latency is not None:
        yield from _of_latency(metric.name, metric.latency)
    if metric.mean is not None:
        yield Part(metric.name, Quantity.SUM, metric.mean.sum)
        yield Part(metric.name, Quantity.COUNT, metric.mean.count)
        if metric.mean.squares is not None:
            yield Part(metric.name, Quantity.SQUARES, metric.mean.squares)
        elif metric.mean.histogram is not None:
            yield from _buckets(metric.name, metric.mean.histogram)


def shape(metric: Metric) -> Sequence[Part]:
    """All buckets of a latency metric: more than decisions rest on, for people to look at."""
    return tuple(_buckets(metric.name, metric.latency.histogram)) if metric.latency else ()


def _buckets(name: str, histogram: str) -> Iterator[Part]:
    try:
        selector = selectors.parsed(histogram)
    except selectors.SelectorError:
        return  # refused by `checking`, as that of a latency is
    base = selector.name.removesuffix("_bucket")
    yield Part(name, Quantity.BUCKETS, str(selector.named(f"{base}_bucket")))


def _of_latency(name: str, latency: Latency) -> Iterator[Part]:
    try:
        selector = selectors.parsed(latency.histogram)
    except selectors.SelectorError:
        # Refused by `checking`: a histogram is always a plain selector.
        return
    base = selector.name.removesuffix("_bucket")
    bound = Matcher("le", "=~", "|".join(_spellings(bound_of(latency))))
    yield Part(name, Quantity.FAST, str(selector.named(f"{base}_bucket")), (bound,))
    yield Part(name, Quantity.COUNT, str(selector.named(f"{base}_count")))


def bound_of(latency: Latency) -> float:
    """The threshold in the unit of the histogram."""
    return latency.threshold * 1000.0 if latency.unit == "ms" else latency.threshold


def _spellings(bound: float) -> list[str]:
    """How exporters write a bucket bound: 1, 1.0; 0.25; 1e+06."""
    texts = {f"{bound:g}", repr(bound)}
    if bound == int(bound):
        texts |= {str(int(bound)), f"{int(bound)}.0"}
    return sorted(text.replace(".", r"\.").replace("+", r"\+") for text in texts)
