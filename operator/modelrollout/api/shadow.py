"""A shadow: real requests also go to a version whose answers nobody gets; they are compared."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from modelrollout.api import comparing
from modelrollout.api.part import Name, Part
from modelrollout.api.scalars import Duration, Percent, Weight

HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=64)]


def _share(share: float) -> float:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f'expected a share of at most 100%, such as "10%", saw {share:g}')
    return share


def _some(parts: int) -> int:
    if parts <= 0:
        raise ValueError('expected a share above 0, such as 10 or "0.5%"')
    return parts


Share = Annotated[Percent, AfterValidator(_share)]


class NoiseMode(StrEnum):
    """How it is found out how often stable disagrees with itself."""

    OFF = "Off"
    CALIBRATE = "Calibrate"
    PAIRED = "Paired"


class Noise(Part):
    """The noise floor: stable is asked once more, and compared with what users got."""

    mode: Annotated[
        NoiseMode,
        Field(
            description="Off: the noise floor is unknown. Calibrate: on the first `pairs`. Paired: "
            "on `share` of all pairs."
        ),
    ] = NoiseMode.OFF
    share: Annotated[Share, Field(description="Of the pairs, with mode Paired.")] = 0.1
    pairs: Annotated[
        int, Field(ge=1, le=1_000_000, description="How many, with mode Calibrate.")
    ] = 1_000


class Agreement(Part):
    """What the candidate must show: too much disagreement takes it back."""

    at_least: Annotated[Share, Field(description='Such as "98%", of the compared predictions.')]
    above_noise: Annotated[
        bool,
        Field(
            description="Only disagreement beyond stable's own counts; needs noise of mode Paired "
            "or Calibrate."
        ),
    ] = False


class Slices(Part):
    """Parts of the traffic that are counted apart; every other value is `other`."""

    header: Annotated[HeaderName, Field(description="Whose value names the slice.")]
    values: Annotated[
        list[Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]+$", max_length=63)]],
        Field(min_length=1, max_length=20, description="Slices with counters of their own."),
    ]


class Examples(Part):
    """A few disagreements to look at, redacted."""

    token_secret: Annotated[
        Name, Field(description="A Secret whose key `token` people must show to see them.")
    ]
    fields: Annotated[
        list[comparing.Pointer],
        Field(max_length=100, description="What of a prediction may be seen; the rest is not."),
    ] = Field(default_factory=list)
    keep_text: Annotated[bool, Field(description="Show texts, cut. Left out: their lengths.")] = (
        False
    )


class Shadowing(Part):
    """What is copied, and how answers are compared."""

    sample: Annotated[
        Weight,
        AfterValidator(_some),
        Field(description='Share of the requests that are copied, in percent: 10 or "0.5%".'),
    ] = 1_000
    duration: Annotated[
        Duration, Field(description="How long requests are compared. Left out: 1h.")
    ] = 3600.0
    agreement: Annotated[
        Agreement | None, Field(description="Left out: nothing is asked for, it is only told.")
    ] = None
    coverage: Annotated[
        Share,
        Field(
            description="Share of what should be compared that must have been; what is missing is "
            "not missing at random."
        ),
    ] = 0.8
    protocol: Annotated[comparing.Protocol, Field(description="How both versions speak.")]
    task: Annotated[comparing.Task, Field(description="What is compared.")]
    noise: Annotated[Noise, Field(description="Left out: the noise floor is unknown.")] = Field(
        default_factory=Noise
    )
    paths: Annotated[
        list[Annotated[str, Field(pattern=r"^/", max_length=256)]],
        Field(
            max_length=20,
            description="POSTs that only predict, `*` for one segment. Left out: those of KServe, "
            "the Open Inference Protocol and OpenAI's. Nothing else is ever copied on.",
        ),
    ] = Field(default_factory=list)
    session: Annotated[
        HeaderName | None, Field(description="Header to sample by: all of a session or none.")
    ] = None
    slices: Annotated[
        Slices | None, Field(description="Left out: all requests are counted together.")
    ] = None
    credentials: Annotated[
        list[HeaderName],
        Field(max_length=20, description="Headers with credentials that go along, by name."),
    ] = Field(default_factory=list)
    timeout: Annotated[Duration, Field(description="Of one answer. Left out: 10s.")] = 10.0
    examples: Annotated[Examples | None, Field(description="Left out: none are kept.")] = None


class Shadow(Shadowing):
    """A shadow that stands alone: the target stays, and what was seen is told."""

    version: Annotated[Name, Field(description="One of the versions, not the target.")]
