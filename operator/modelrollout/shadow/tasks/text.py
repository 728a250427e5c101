"""Text of language models: the same, how different, refused, valid? The core is fed by fronts.

Decoding is noisy even at temperature 0, so distances mean something above the noise floor only.
Nothing here judges which text is better.
"""

import json
import re
from dataclasses import dataclass

from modelrollout.shadow import comparison, increments, jsontext, trouble
from modelrollout.shadow.tasks import alignment, naming

REFUSALS = (
    "i can't",
    "i cannot",
    "i can not",
    "i'm sorry, but",
    "i am sorry, but",
    "i'm unable",
    "i am unable",
    "i won't",
    "as an ai",
)
"""How refusals begin, in lower case, with a plain apostrophe."""
_APOSTROPHE = str.maketrans({"\N{RIGHT SINGLE QUOTATION MARK}": "'"})
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Passage:
    """One text, normalised, with what is known of the whole answer."""

    text: str
    refused: bool
    valid_json: bool
    finish: str = ""
    calls: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """How texts are read and compared.

    An instance is a string, or an object of `text`, `refusal` and `finish_reason` (a choice of
    OpenAI's protocols), whose `tool_calls` must be equal too. Normalised: NFC, white space as
    single blanks, none at the ends.

    Attributes:
        fold_case: whether capitals count as small letters.
        expect_json: whether the text is meant to be JSON; validity is counted per side.
        refusals: beginnings that count as a refusal.
        tolerance: edit distance per character of the longer text that is still the same.
        most_characters: what is measured of both; beyond that only equality is seen, and counted.

    Raises:
        ValueError: on a tolerance outside of 0 to 1, or nothing to measure.
    """

    fold_case: bool = False
    expect_json: bool = False
    refusals: tuple[str, ...] = REFUSALS
    tolerance: float = 0.0
    most_characters: int = 2_000

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance <= 1.0:
            raise ValueError(f"expected a tolerance of 0 to 1, found {self.tolerance}")
        if self.most_characters < 1:
            raise ValueError(f"expected at least 1 character, found {self.most_characters}")

    def read(self, value: object) -> Passage:
        """See the class; raises as every task does."""
        raw, refusal, finish = _parts(value)
        text = " ".join(naming.normalised(raw).split())
        start = (refusal or text).lower().translate(_APOSTROPHE).lstrip()
        return Passage(
            text=text.casefold() if self.fold_case else text,
            refused=bool(refusal) or start.startswith(self.refusals),
            valid_json=self.expect_json and _is_json(raw),
            finish=finish,
            calls=_calls(value),
        )

    def compare(self, primary: Passage, candidate: Passage) -> comparison.Comparison:
        """The leading distance is the normalised edit distance, 0 to 1."""
        apart, measures = self._measured(primary.text, candidate.text)
        same = (primary.refused, primary.calls) == (candidate.refused, candidate.calls) and (
            primary.text == candidate.text or (apart <= self.tolerance and self.tolerance > 0.0)
        )
        lengths = {"primary": len(primary.text), "candidate": len(candidate.text)}
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=apart,
            counted=(
                *measures,
                *increments.shift("characters", **lengths),
                *self._flags(primary, increments.Side.PRIMARY),
                *self._flags(candidate, increments.Side.CANDIDATE),
                *_unlike(primary, candidate),
            ),
            differences=() if same else (comparison.Difference("text", "value"),),
        )

    def _flags(self, passage: Passage, side: increments.Side) -> tuple[increments.Count, ...]:
        flags = {
            "refused": passage.refused,
            "valid_json": passage.valid_json,
            "invalid_json": self.expect_json and not passage.valid_json,
            "empty_text": not passage.text,
        }
        return tuple(increments.mark(name, side=side) for name, given in flags.items() if given)

    def _measured(self, a: str, b: str) -> tuple[float, tuple[increments.Increment, ...]]:
        if a == b:
            return 0.0, tuple(increments.distance(m, 0.0) for m in ("edit", "rouge_l", "length"))
        cut_a, cut_b = a[: self.most_characters], b[: self.most_characters]
        # Equal beginnings of different texts are never counted as identical.
        least = 1.0 / max(len(a), len(b))
        edit = max(least, normalised_edit(cut_a, cut_b))
        measures = (
            increments.distance("edit", edit),
            increments.distance("rouge_l", 1.0 - rouge_l(cut_a, cut_b)),
            increments.distance("length", 1.0 - min(len(a), len(b)) / max(len(a), len(b))),
        )
        if (cut_a, cut_b) == (a, b):
            return edit, measures
        return edit, (*measures, increments.mark("measured_in_part"))


def _unlike(primary: Passage, candidate: Passage) -> tuple[increments.Count, ...]:
    differs = {
        "finish_differs": primary.finish != candidate.finish,
        "tool_calls_differ": primary.calls != candidate.calls,
    }
    return tuple(increments.mark(name) for name, given in differs.items() if given)


def _calls(value: object) -> str:
    """Calls of tools in one spelling: their arguments are JSON in text, and blanks mean nothing."""
    calls = value.get("tool_calls") if isinstance(value, dict) else None
    if not isinstance(calls, list) or not calls:
        return ""
    return json.dumps([_unfolded(call) for call in calls], sort_keys=True)


def _unfolded(call: object) -> object:
    if not isinstance(call, dict) or not isinstance(call.get("arguments"), str):
        return call
    try:
        return {**call, "arguments": jsontext.parsed(call["arguments"])}
    except trouble.UnreadableError:
        return call


def _parts(value: object) -> tuple[str, str, str]:
    """Text, the server's own refusal, and why it ended."""
    if isinstance(value, str):
        return value, "", ""
    if not isinstance(value, dict):
        raise comparison.schema(f"expected text, found {jsontext.kind(value)}")
    text, refusal = value.get("text"), value.get("refusal") or ""
    finish = value.get("finish_reason") or ""
    if not all(isinstance(part, str) for part in (text, refusal, finish)):
        raise comparison.schema("expected text, refusal and finish_reason as strings")
    return str(text) or str(refusal), str(refusal), str(finish)


def _is_json(text: str) -> bool:
    try:
        jsontext.parsed(text)
    except trouble.UnreadableError:
        return False
    return True


def normalised_edit(a: str, b: str) -> float:
    """Levenshtein's distance in characters by the length of the longer text, 0 to 1."""
    longest = max(len(a), len(b))
    return alignment.edit_distance(a, b) / longest if longest else 0.0


def rouge_l(a: str, b: str) -> float:
    """F1 of the longest common subsequence of words in lower case, 0 to 1, symmetric (Lin 2004).

    Two texts without words are equal.
    """
    words_a, words_b = _WORD.findall(a.lower()), _WORD.findall(b.lower())
    if not words_a and not words_b:
        return 1.0
    return 2.0 * alignment.common_length(words_a, words_b) / (len(words_a) + len(words_b))
