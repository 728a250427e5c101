"""From what was declared to what compares: protocols and tasks built from their parts.

The one place where the words of the resource meet the core's.
"""

from collections.abc import Iterable
from typing import Any

from modelrollout.api import comparing
from modelrollout.shadow import comparison, paths
from modelrollout.shadow.protocols import kserve_v1, open_inference, openai, plain, reading
from modelrollout.shadow.tasks import (
    classification,
    detection,
    differing,
    embeddings,
    probabilities,
    ranking,
    regression,
    structured,
    text,
)


def protocol(declared: comparing.Protocol) -> reading.Protocol:
    """How both models speak.

    Raises:
        ValueError: on a path that is none.
    """
    match declared.chosen:
        case comparing.OpenInference() as chosen:
            return open_inference.OpenInference(tuple(chosen.outputs), paths.Path.of(chosen.at))
        case comparing.KServeV1() as chosen:
            return kserve_v1.KServeV1(paths.Path.of(chosen.at))
        case comparing.OpenAI():
            return openai.OpenAI()
        case comparing.Plain() as chosen:
            return plain.Plain(paths.Path.of(chosen.each), paths.Path.of(chosen.at))
        case _:
            raise ValueError(f"expected a protocol that is known, saw {declared.chosen!r}")


def task(declared: comparing.Task) -> comparison.Task[Any]:  # noqa: PLR0911 - a row per task
    """What is compared.

    Raises:
        ValueError: on a path that is none, and on settings that contradict each other.
    """
    match declared.chosen:
        case comparing.Classification() as chosen:
            return classification.Classification(
                tuple(chosen.labels), chosen.top, chosen.threshold, chosen.near
            )
        case comparing.Probabilities() as chosen:
            return probabilities.Probabilities(chosen.tolerance)
        case comparing.Regression() as chosen:
            return _regression(chosen)
        case comparing.Ranking() as chosen:
            return ranking.Ranking(chosen.persistence, chosen.depth, chosen.tolerance)
        case comparing.Detection() as chosen:
            return detection.Detection(chosen.least_score, chosen.least_iou, chosen.sized)
        case comparing.Words() as chosen:
            return _text(chosen)
        case comparing.Structured() as chosen:
            return _structured(chosen)
        case comparing.Embeddings() as chosen:
            return embeddings.Embeddings(chosen.tolerance)
        case _:
            raise ValueError(f"expected a task that is known, saw {declared.chosen!r}")


def _regression(chosen: comparing.Regression) -> regression.Regression:
    ends = chosen.range
    return regression.Regression(
        _tolerance(chosen.tolerance),
        chosen.scale,
        lowest=None if ends is None else ends.lowest,
        highest=None if ends is None else ends.highest,
    )


def _text(chosen: comparing.Words) -> text.Text:
    return text.Text(
        fold_case=chosen.fold_case,
        expect_json=chosen.expect_json,
        refusals=text.REFUSALS if chosen.refusals is None else tuple(chosen.refusals),
        tolerance=chosen.tolerance,
        most_characters=chosen.most_characters,
    )


def _structured(chosen: comparing.Structured) -> structured.Structured:
    return structured.Structured(
        fields=places(chosen.fields),
        required=places(chosen.required),
        ignore=tuple(
            structured.Ignore(rule.name, paths.Path.of(rule.path)) for rule in chosen.ignore
        ),
        unordered=tuple(
            differing.Unordered(paths.Path.of(one.array), paths.Path.of(one.key))
            for one in chosen.unordered
        ),
        tolerance=_tolerance(chosen.tolerance),
        normalise_text=chosen.normalise_text,
        in_text=chosen.in_text,
    )


def _tolerance(declared: comparing.Tolerance) -> comparison.Tolerance:
    return comparison.Tolerance(declared.absolute, declared.relative)


def places(pointers: Iterable[str]) -> tuple[paths.Path, ...]:
    """Parsed.

    Raises:
        ValueError: on a path that is none.
    """
    return tuple(paths.Path.of(pointer) for pointer in pointers)
