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

    absolute: Amount = 0.0
    relative: Amount = 0.0


class OpenInference(Part):
    """The Open Inference Protocol (v2), JSON and binary tensors."""

    outputs: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
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

    labels: Annotated[list[Text], Field(max_length=1000)] = Field(default_factory=list)
    top: Annotated[int, Field(ge=1, le=100)] = 5
    threshold: Unit | None = None
    near: Unit = 0.02


class Probabilities(Part):
    """Are the distributions alike?"""

    tolerance: Unit = 0.001


class Range(Part):
    """From which predictions are scaled to 0..1, for correlation."""

    lowest: float
    highest: float


class Regression(Part):
    """Is it the same number?"""

    tolerance: Tolerance = Field(default_factory=Tolerance)
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    range: Range | None = None


class Ranking(Part):
    """Is it the same order?"""

    persistence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    depth: Annotated[int, Field(ge=1, le=1000)] = 10
    tolerance: Unit = 0.0


class Detection(Part):
    """Are the same things found in the same places?"""

    least_score: Unit = 0.0
    least_iou: Annotated[float, Field(gt=0, le=1, alias="leastIoU")] = 0.5
    sized: bool = False


class Words(Part):
    """Is it the same text?"""

    fold_case: bool = False
    expect_json: Annotated[bool, Field(alias="expectJSON")] = False
    refusals: Annotated[list[Text] | None, Field(max_length=100)] = None
    tolerance: Unit = 0.0
    most_characters: Annotated[int, Field(ge=1, le=100_000)] = 2_000


class Ignore(Part):
    """A named rule: what differs at or below `path` is no difference."""

    name: Text
    path: Pointer


class Unordered(Part):
    """An array whose order is noise; its items are matched by the value at `key`."""

    array: Pointer
    key: Pointer = ""


class Structured(Part):
    """Is it the same document?"""

    fields: Annotated[list[Pointer], Field(max_length=100)] = Field(default_factory=list)
    required: Annotated[list[Pointer], Field(max_length=100)] = Field(default_factory=list)
    ignore: Annotated[list[Ignore], Field(max_length=50)] = Field(default_factory=list)
    unordered: Annotated[list[Unordered], Field(max_length=20)] = Field(default_factory=list)
    tolerance: Tolerance = Field(default_factory=Tolerance)
    normalise_text: bool = False
    in_text: bool = False


class Embeddings(Part):
    """Do the vectors point the same way?"""

    tolerance: Unit = 0.001


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
