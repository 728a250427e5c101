"""What two models' answers are compared by: the protocol they speak, and the task they do.

The same words stand in the resource and in the observer's configuration, so that what was accepted
in one place cannot be misread in the other. What they mean is `shadow`'s.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from modelrollout.api.part import Part

Text = Annotated[str, Field(min_length=1, max_length=128)]
Pointer = Annotated[
    str,
    Field(
        max_length=512,
        pattern=r"^(/.*)?$",
        description="A JSON Pointer such as /predictions/[]/score; [] is any item, * any value.",
    ),
]
Unit = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Choice(Part):
    """Fields of which exactly one is given."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = sorted(self.model_fields_set)
        if len(given) != 1 or self.chosen is None:
            fields = ", ".join(
                field.alias or name for name, field in type(self).model_fields.items()
            )
            raise ValueError(f"expected exactly one of {fields}, saw {', '.join(given) or 'none'}")
        return self

    @property
    def chosen(self) -> Part | None:
        """The one that was given."""
        return next(
            (part for name in type(self).model_fields if (part := getattr(self, name)) is not None),
            None,
        )


class Tolerance(Part):
    """Numbers are equal within absolute + relative * |primary|."""

    absolute: Annotated[Amount, Field(description="In the unit of the prediction.")] = 0.0
    relative: Annotated[Amount, Field(description="Of the size of what users got.")] = 0.0


class OpenInference(Part):
    """The Open Inference Protocol (v2), JSON and binary tensors."""

    outputs: Annotated[
        list[Text],
        Field(
            max_length=20,
            description="Tensors that hold the prediction. Left out: the only one.",
        ),
    ] = Field(default_factory=list)
    at: Pointer = ""


class KServeV1(Part):
    """KServe's first protocol: `predictions`."""

    at: Pointer = ""


class OpenAI(Part):
    """Completions and chat completions, streamed or whole."""


class Plain(Part):
    """Any JSON."""

    each: Pointer = ""
    at: Pointer = ""


class Protocol(Choice):
    """How the models speak: exactly one."""

    open_inference: OpenInference | None = None
    kserve_v1: Annotated[KServeV1 | None, Field(alias="kserveV1")] = None
    open_ai: Annotated[OpenAI | None, Field(alias="openAI")] = None
    plain: Plain | None = None


class Classification(Part):
    """Is it the same label?"""

    labels: Annotated[
        list[Text],
        Field(
            max_length=1000,
            description="Labels with counters of their own; in the order of scores, where the "
            "models give scores. Left out: only agreement is counted.",
        ),
    ] = Field(default_factory=list)
    top: Annotated[
        int, Field(ge=1, le=100, description="How many of the best labels are compared as a set.")
    ] = 5
    threshold: Annotated[
        Unit | None, Field(description="Of one score: the label is whether it is at least this.")
    ] = None
    near: Annotated[Unit, Field(description="How near to the threshold a flip says less.")] = 0.02


class Probabilities(Part):
    """Are the distributions alike?"""

    tolerance: Annotated[Unit, Field(description="What is still the same.")] = 0.001


class Range(Part):
    """From which predictions are scaled to 0..1, for correlation."""

    lowest: Annotated[float, Field(description="What is below counts as this.")]
    highest: Annotated[float, Field(description="What is above counts as this.")]


class Regression(Part):
    """Is it the same number?"""

    tolerance: Annotated[Tolerance, Field(description="What is still the same.")] = Field(
        default_factory=Tolerance
    )
    scale: Annotated[
        float,
        Field(
            gt=0, allow_inf_nan=False, description="Unit of the edges of the histogram of errors."
        ),
    ] = 1.0
    range: Annotated[
        Range | None, Field(description="For correlation and RMSE. Left out: neither is counted.")
    ] = None


class Ranking(Part):
    """Is it the same order?"""

    persistence: Annotated[float, Field(gt=0, lt=1, description="p of rank-biased overlap.")] = 0.9
    depth: Annotated[int, Field(ge=1, le=1000, description="k of overlap@k and NDCG@k.")] = 10
    tolerance: Annotated[Unit, Field(description="What is still the same.")] = 0.0


class Detection(Part):
    """Are the same things found in the same places?"""

    least_score: Annotated[Unit, Field(description="Boxes below are left out.")] = 0.0
    least_iou: Annotated[
        float, Field(gt=0, le=1, alias="leastIoU", description="Of two boxes that match.")
    ] = 0.5
    sized: Annotated[
        bool, Field(description="Boxes are x, y, width and height, not two corners.")
    ] = False


class Words(Part):
    """Is it the same text?"""

    fold_case: Annotated[bool, Field(description="Capitals count as small letters.")] = False
    expect_json: Annotated[
        bool, Field(alias="expectJSON", description="Texts are meant to be JSON.")
    ] = False
    refusals: Annotated[
        list[Text] | None,
        Field(max_length=100, description="How refusals begin. Left out: usual English ones."),
    ] = None
    tolerance: Annotated[
        Unit, Field(description="Edits per character that are still the same text.")
    ] = 0.0
    most_characters: Annotated[
        int, Field(ge=1, le=100_000, description="What is measured of a text.")
    ] = 2_000


class Ignore(Part):
    """A named rule: what differs at or below `path` is no difference."""

    name: Annotated[Text, Field(description="Under which it is counted.")]
    path: Pointer


class Unordered(Part):
    """An array whose order is noise; its items are matched by the value at `key`."""

    array: Pointer
    key: Pointer = ""


class Structured(Part):
    """Is it the same document?"""

    fields: Annotated[
        list[Pointer], Field(max_length=100, description="Places with counters of their own.")
    ] = Field(default_factory=list)
    required: Annotated[
        list[Pointer], Field(max_length=100, description="Places that must be there.")
    ] = Field(default_factory=list)
    ignore: Annotated[
        list[Ignore], Field(max_length=50, description="Where a difference is none.")
    ] = Field(default_factory=list)
    unordered: Annotated[
        list[Unordered], Field(max_length=20, description="Arrays whose order is noise.")
    ] = Field(default_factory=list)
    tolerance: Annotated[Tolerance, Field(description="Of numbers.")] = Field(
        default_factory=Tolerance
    )
    normalise_text: Annotated[bool, Field(description="Compare strings after NFC.")] = False
    in_text: Annotated[bool, Field(description="The document is in a text.")] = False


class Embeddings(Part):
    """Do the vectors point the same way?"""

    tolerance: Annotated[Unit, Field(description="Cosine distance that is still the same.")] = 0.001


class Task(Choice):
    """What is compared: exactly one."""

    classification: Classification | None = None
    probabilities: Probabilities | None = None
    regression: Regression | None = None
    ranking: Ranking | None = None
    detection: Detection | None = None
    text: Words | None = None
    structured: Structured | None = None
    embeddings: Embeddings | None = None
