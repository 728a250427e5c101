"""The observer's configuration: one YAML file, read once at the start."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from modelrollout.api import comparing, misfits
from modelrollout.api.part import Part
from modelrollout.api.scalars import Duration
from modelrollout.shadow import eligibility

Url = Annotated[str, Field(pattern=r"^https?://[^/?#]+$", max_length=512)]
Port = Annotated[int, Field(ge=0, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]
Header = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", max_length=128)]
Label = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,63}$")]
MIB = 1024 * 1024


class ConfigError(Exception):
    """The configuration cannot be used; the message says what to change."""


class Models(Part):
    """Who is asked. Stable is asked by the mirror's front, and for the noise floor."""

    candidate: Url
    stable: Url | None = None
    control: Annotated[
        Url | None, Field(description="A second copy of stable. Left out: stable is asked again.")
    ] = None


class Fronts(Part):
    """Where is listened; a front without a port is not there.

    Port 0 takes a free one, and the ports that were taken are told in the first line of the log.
    """

    host: str = "0.0.0.0"  # noqa: S104 - in a pod there is no better address
    mirror: Port | None = None
    ext_proc: Port | None = None
    operations: Port = 9090
    token_file: Annotated[
        Path | None, Field(description="Bearer token that an ext_proc client must show.")
    ] = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.mirror is None and self.ext_proc is None:
            raise ValueError("expected a port for mirror, extProc or both, saw none")
        return self


class Sampling(Part):
    """Which eligible requests are compared: by a hash of the id, or of the session."""

    share: Share = 1.0
    salt: Annotated[str, Field(max_length=128)] = ""
    session: Annotated[
        Header | None, Field(description="Header to sample by: all of a session or none.")
    ] = None
    ids: Annotated[list[Header], Field(min_length=1, max_length=8)] = Field(
        default_factory=lambda: ["x-prediction-id", "x-request-id", "ce-id"]
    )
    without_id: Annotated[
        bool, Field(description="Give requests without an id one, for mirrors that give none.")
    ] = False
    least_per_hour: Annotated[int, Field(ge=0, le=100_000)] = 0


class Eligible(Part):
    """What may be shadowed at all."""

    paths: Annotated[list[str], Field(min_length=1, max_length=50)] = Field(
        default_factory=lambda: list(eligibility.INFERENCE_PATHS)
    )
    content_types: Annotated[list[str], Field(min_length=1, max_length=20)] = Field(
        default_factory=lambda: list(eligibility.CONTENT_TYPES)
    )
    most_bytes: Annotated[int, Field(ge=1, le=1024 * MIB)] = MIB
    credentials: Annotated[
        list[Header], Field(max_length=20, description="Credentials that go along, by name.")
    ] = Field(default_factory=list)


class Budget(Part):
    """What is held at most; the rest is dropped and counted.

    Attributes:
        requests: in hand at once, waiting or being asked.
        bytes: of their bodies, and of the users' answers that came with them.
        concurrency: pairs that are being asked at once.
        answer_bytes: of one answer.
        series: of `/metrics`.
        staleness: how long a copy may wait.
    """

    requests: Annotated[int, Field(ge=1, le=100_000)] = 512
    bytes: Annotated[int, Field(ge=1024)] = 64 * MIB
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 32
    answer_bytes: Annotated[int, Field(ge=1)] = 4 * MIB
    series: Annotated[int, Field(ge=100)] = 2_000
    staleness: Duration = 10.0


class Timeouts(Part):
    """How long a model may take.

    Attributes:
        total: until the whole answer is there; then the request is given up.
        late: from there on, an answer that still came is late. Left out: none is.
        overheard: how long a user's own exchange is listened to.
        limits: of latencies that are configured elsewhere, as edges of the histogram.
    """

    total: Duration = 10.0
    late: Duration | None = None
    overheard: Duration = 60.0
    limits: Annotated[list[Duration], Field(max_length=10)] = Field(default_factory=list)


class Mode(StrEnum):
    """How the noise floor is measured."""

    OFF = "Off"
    CALIBRATE = "Calibrate"
    """Stable against itself on the first pairs."""
    PAIRED = "Paired"
    """Stable against itself on a part of all pairs, for good."""


class Noise(Part):
    """How often does stable disagree with itself?"""

    mode: Mode = Mode.OFF
    share: Share = 0.1
    pairs: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000


class Examples(Part):
    """Disagreements to look at, redacted."""

    token_file: Path | None = None
    most: Annotated[int, Field(ge=1, le=1000)] = 20
    keep: Duration = 3600.0
    fields: Annotated[list[comparing.Pointer], Field(max_length=100)] = Field(default_factory=list)
    keep_text: bool = False


class Slices(Part):
    """Parts of the traffic that are counted apart."""

    header: Header
    values: Annotated[list[Label], Field(min_length=1, max_length=20)]


class Config(Part):
    """All of it; see the parts."""

    labels: Annotated[dict[str, str], Field(max_length=8)] = Field(default_factory=dict)
    models: Models
    fronts: Fronts
    protocol: comparing.Protocol
    task: comparing.Task
    sampling: Sampling = Field(default_factory=Sampling)
    eligible: Eligible = Field(default_factory=Eligible)
    budget: Budget = Field(default_factory=Budget)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    noise: Noise = Field(default_factory=Noise)
    examples: Examples = Field(default_factory=Examples)
    slices: Slices | None = None

    @model_validator(mode="after")
    def _knows_stable(self) -> Self:
        if self.models.stable is None and self.fronts.mirror is not None:
            raise ValueError("expected models.stable, whose answer the mirror's front asks for")
        if self.control is None and self.noise.mode is not Mode.OFF:
            raise ValueError(
                f"expected models.control or models.stable for noise {self.noise.mode}"
            )
        return self

    @property
    def control(self) -> str | None:
        """Who is asked for the noise floor."""
        return self.models.control or self.models.stable

    @classmethod
    def read(cls, file: Path) -> Self:
        """The configuration in a file.

        Raises:
            ConfigError: when it is absent, no YAML, or not as it must be.
        """
        try:
            return cls.model_validate(yaml.safe_load(file.read_text()))
        except (OSError, ValueError, yaml.YAMLError) as problem:
            told = "; ".join(misfits.told(problem)) if isinstance(problem, ValidationError) else ""
            raise ConfigError(f"{file} is not as expected: {told or problem}") from problem
