"""One look as one query: every part of every metric, for both arms, at both ends of the window.

Each part is marked by a label of its own and all are joined by `or`. Three things are asked of a
part: the last values at or before the start, the last values inside the window, and which series
were reset; only for their targets are single samples read, by a further query.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain.planned import Window
from modelrollout.metrics import arms, parts, selectors
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.parts import Part
from modelrollout.metrics.selectors import Matcher, Selector

MARK: Final = "__part__"
START: Final = "s"
END: Final = "e"
RESET: Final = "r"
LOOKBACK_S: Final = 300.0
"""How far back a last value is looked for; as long as Prometheus itself looks back."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One part of one arm.

    Attributes:
        part: what is read.
        version: of which version.
        matchers: which select it.
    """

    part: Part
    version: str
    matchers: tuple[Matcher, ...]

    @property
    def example(self) -> str:
        """The query to try by hand."""
        return self.part.expression(self.matchers)


@dataclass(frozen=True, slots=True)
class Question:
    """A look at one source.

    Attributes:
        wanted: what is read, in the order of the marks.
        window: the look.
        margin_s: a pod that began so long before the window may not have been scraped then.
    """

    wanted: tuple[Wanted, ...]
    window: Window
    margin_s: float

    @property
    def text(self) -> str:
        """The query."""
        return " or ".join(
            piece for number, one in enumerate(self.wanted) for piece in self._pieces(number, one)
        )

    def _pieces(self, number: int, one: Wanted) -> Iterator[str]:
        start, end = self.window.start, self.window.end
        length_s = end - start
        before = one.part.over(one.matchers, seconds=LOOKBACK_S, at=start)
        inside = one.part.over(one.matchers, seconds=length_s, at=end)
        yield _marked(f"last_over_time({before})", f"{number}{START}")
        yield _marked(f"last_over_time({inside})", f"{number}{END}")
        if one.part.selector is not None:
            # As far back as the start value may lie: a reset may follow it when scrapes fail.
            around = one.part.over(one.matchers, seconds=length_s + LOOKBACK_S, at=end)
            yield _marked(f"(resets({around}) > 0)", f"{number}{RESET}")


def _marked(expression: str, mark: str) -> str:
    return f'label_replace({expression},"{MARK}","{mark}","","")'


def history(question: Question, numbers: Sequence[int], instances: Collection[str]) -> str:
    """The query for all single samples of these parts since their start values may be.

    Ranges cannot be joined by `or`, so it is one selector that finds all of them, and some more: of
    each label that all parts name, every value that one of them wants.

    Args:
        question: of the look.
        numbers: parts that are plain selectors.
        instances: only series of these targets are wanted.
    """
    found = [question.wanted[number] for number in numbers]
    plain = [one.part.selector for one in found if one.part.selector is not None]
    wanted = [
        _wanted_values((*selector.matchers, *one.matchers))
        for one, selector in zip(found, plain, strict=True)
    ]
    values = {"__name__": {re.escape(selector.name) for selector in plain}}
    for label in sorted(set.intersection(*(set(one) for one in wanted))):
        values[label] = {one[label] for one in wanted}
    if "" not in instances:
        values["instance"] = {re.escape(instance) for instance in instances}
    inside = ",".join(
        str(Matcher(label, "=~", "|".join(sorted(any_of)))) for label, any_of in values.items()
    )
    window = question.window
    length_s = window.end - window.start + LOOKBACK_S
    return f"{{{inside}}}[{parts.milliseconds(length_s)}] @ {window.end:.3f}"


def _wanted_values(matchers: Iterable[Matcher]) -> Mapping[str, str]:
    """Labels whose values are wanted, with a regular expression of them."""
    return {
        one.label: re.escape(one.value) if one.operator == "=" else f"(?:{one.value})"
        for one in matchers
        if one.operator in {"=", "=~"}
    }


def asked(
    spec: ModelRolloutSpec,
    metrics: Sequence[Metric],
    *,
    namespace: str,
    window: Window,
    seen: Mapping[str, ArmSeen],
    facts: SourceFacts,
    of: Callable[[Metric], Sequence[Part]] = parts.of,
) -> Question:
    """What is asked of one source for one look.

    Args:
        spec: of the rollout.
        metrics: those that this source has.
        namespace: of the rollout.
        window: the look, with the names of both versions.
        seen: what is known of them.
        facts: of the source.
        of: the parts of a metric that are wanted.
    """
    fixed = selectors.equal(facts.matchers)
    wanted = []
    for metric in metrics:
        arm = metric.arm or spec.analysis.arm
        for version in window.versions:
            if version not in seen:
                continue
            own = arms.matchers(arm, namespace=namespace, version=version, seen=seen[version])
            wanted += [Wanted(part, version, (*own, *fixed)) for part in of(metric)]
    return Question(tuple(wanted), window, 1.5 * facts.scrape_interval_s)


def scraped(
    targets: Sequence[tuple[str, str]], *, at: float, fixed: Mapping[str, str] | None = None
) -> str:
    """Which targets were scraped at an instant: `up` of (instance, job) pairs.

    Args:
        targets: pairs.
        at: seconds since the epoch.
        fixed: matchers of the source.
    """
    found = []
    for instance, job in targets:
        names = {**(fixed or {}), "instance": instance, "job": job}
        up = Selector("up", selectors.equal(names))
        found.append(f"last_over_time({up}[{parts.milliseconds(LOOKBACK_S)}] @ {at:.3f})")
    return " or ".join(found)
